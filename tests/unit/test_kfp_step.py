"""Steps of a Kubeflow pipeline: what is tried again, what fails at once, and the page that tells how a run ended."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import songs

from music_flamingo.core.errors import (
    ConfigError,
    CorruptDataError,
    MissingInputError,
    MissingToolError,
    TransientError,
)
from music_flamingo.core.manifest import MANIFEST_NAME, read_manifest
from music_flamingo.records import Facts, Track
from music_flamingo.runs import kfp_step as step
from music_flamingo.runs import summary_page as outcome
from music_flamingo.runs.store import folder_of_run, read_named
from music_flamingo.runs.summary_page import CACHED, DONE, FAILED, FAILURE_NAME, OPEN, PARTLY, tell, write_outcome
from music_flamingo.stages import captions as captions_stage
from music_flamingo.teachers.failures import TeacherAwayError, TeacherUnusableError

CONFIG = json.dumps(songs.params("captions"))
RUN = "r-1"


@dataclass
class Port:
    path: str

    @property
    def uri(self) -> str:
        return self.path


class Run:
    """The folder of a run as kfp.local lays it: a folder a step, a folder a port."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "pipeline-2026"
        tracks = [[songs.make_track(f"w{i}/0", f"w{i}")] for i in range(4)]
        songs.write_port(self.root / "ingest/tracks", Track, tracks, stage="ingest")
        songs.write_port(
            self.root / "collect-facts/facts",
            Facts,
            [[songs.make_facts(t[0].id, t[0].work_id)] for t in tracks],
            "facts",
        )
        self.inputs = {"tracks": self.port("ingest/tracks"), "facts": self.port("collect-facts/facts")}

    def port(self, name: str) -> Port:
        return Port(str(self.root / name))

    def branch(self, number: int, shards: str, config: str = CONFIG) -> Port:
        out = self.port(f"for-loop-2-iteration-{number}/captions/captions")
        step.run_step("captions", config, self.inputs, {"captions": out}, shards)
        return out

    def ends(self, succeeded: bool = False) -> dict[str, outcome.StageEnd]:
        return {end.name: end for end in tell(read_named(str(self.root), (MANIFEST_NAME, FAILURE_NAME)), succeeded)}

    def page(self, state: str, message: str = "") -> str:
        page = self.root / "outcome/page"
        write_outcome(RUN, "smoke", state, message, page, str(page))
        return page.read_text()


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


@pytest.fixture
def waits(monkeypatch):
    waited = []
    monkeypatch.setattr(step.time, "sleep", waited.append)
    return waited


def fail_times(monkeypatch, errors):
    """The stage fails with these errors, one a try, and works after them; gives the list of tries."""
    tries, real = [], captions_stage.describe

    def describe(*arguments):
        tries.append(1)
        if len(tries) <= len(errors):
            raise errors[len(tries) - 1]
        return real(*arguments)

    monkeypatch.setattr(captions_stage, "describe", describe)
    return tries


def test_branches_and_the_step_that_collects_them_give_the_port(run):
    parts = [run.branch(0, "0-1"), run.branch(1, "2-3")]
    out = run.port("collect-captions/captions")
    step.collect_step("captions", CONFIG, run.inputs, {"captions": out}, parts)
    assert read_manifest(Path(out.path)).num_records == 4
    assert run.ends()["captions"].state == DONE


def test_what_may_pass_is_tried_again_after_longer_and_longer_waits(run, monkeypatch, waits):
    tries = fail_times(monkeypatch, [TeacherAwayError("down"), TransientError("still down")])
    out = run.branch(0, "0-3")
    assert waits == [30.0, 120.0]
    assert read_manifest(Path(out.path)).num_records == 4
    assert len(tries) == 6, "two failures, then the four windows"
    assert not list(run.root.rglob(FAILURE_NAME))


def test_a_try_goes_on_from_the_shards_of_the_one_before(run, monkeypatch, waits):
    real, seen = captions_stage.describe, []

    def describe(config, teacher, window):
        seen.append(window.track.id)
        if window.track.id == "w2/0" and seen.count("w2/0") == 1:
            raise TransientError("away")
        return real(config, teacher, window)

    monkeypatch.setattr(captions_stage, "describe", describe)
    run.branch(0, "0-3")
    assert seen == ["w0/0", "w1/0", "w2/0", "w2/0", "w3/0"]


def test_what_does_not_pass_in_three_tries_fails(run, monkeypatch, waits):
    fail_times(monkeypatch, [TransientError("down")] * 3)
    with pytest.raises(TransientError, match="down"):
        run.branch(0, "0-3")
    assert len(waits) == 2
    assert run.ends()["captions"].state == FAILED


@pytest.mark.parametrize(
    "error",
    [
        ConfigError("wrong"),
        MissingInputError("wrong"),
        CorruptDataError("wrong"),
        MissingToolError("wrong"),
        TeacherUnusableError("wrong key"),
        TypeError("a bug"),
    ],
    ids=lambda e: type(e).__name__,
)
def test_what_would_fail_again_is_not_tried_again(run, monkeypatch, waits, error):
    tries = fail_times(monkeypatch, [error] * 9)
    with pytest.raises(type(error)):
        run.branch(0, "0-3")
    assert (len(tries), waits) == (1, [])
    [line] = run.ends()["captions"].lines
    assert line == f"shards 0-3: {type(error).__name__}: {error}"


def test_a_wrong_parameter_is_told_on_the_page(run, waits):
    with pytest.raises(ConfigError):
        run.branch(0, "0-1", config=json.dumps(songs.params("captions") | {"window_s": -1.0}))
    page = run.page("FAILED", "exit-handler-1 failed")
    assert "Run r-1, profile smoke: failed" in page
    assert "captions.window_s: Input should be greater than 0 (found -1.0)" in page.replace("&#x27;", "'")
    assert "exit-handler-1 failed" in page


def test_the_page_tells_how_many_branches_are_done_when_one_failed(run, monkeypatch, waits):
    run.branch(0, "0-1")
    fail_times(monkeypatch, [CorruptDataError("a hole in shard 2")])
    with pytest.raises(CorruptDataError):
        run.branch(1, "2-3")
    ends = run.ends()
    assert ends["captions"].lines == [
        "shards 2-3: CorruptDataError: a hole in shard 2",
        "1 branches are done; they are not repeated",
    ]
    assert (ends["facts"].state, ends["synthesize"].state) == (DONE, OPEN)
    assert ends["facts"].lines == ["facts, 4 records (4 ok)"]


def test_branches_that_nobody_collected_are_a_stage_in_part(run):
    run.branch(0, "0-1")
    assert run.ends()["captions"].state == PARTLY


def test_a_stage_whose_port_was_read_but_lies_in_another_run_came_from_the_cache(run):
    # ingest gives three ports, and this run has one of them; captions read `tracks`
    run.branch(0, "0-3")
    assert run.ends()["ingest"].state == OPEN
    out = run.port("collect-captions/captions")
    step.collect_step(
        "captions", CONFIG, run.inputs, {"captions": out}, [run.port("for-loop-2-iteration-0/captions/captions")]
    )
    assert run.ends()["ingest"].state == CACHED
    assert run.ends()["release"].state == OPEN
    assert run.ends(succeeded=True)["release"].state == CACHED


def test_nothing_on_the_page_is_taken_for_markup(run, monkeypatch, waits):
    fail_times(monkeypatch, [CorruptDataError("<script>alert(1)</script> in 'a & b.mp3'")])
    with pytest.raises(CorruptDataError):
        run.branch(0, "0-3")
    page = run.page("FAILED", "<b>bold</b>")
    assert "<script>" not in page
    assert "<b>" not in page
    assert "&lt;script&gt;" in page


def test_without_the_store_the_page_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.delenv("RUN_STORE", raising=False)
    page = tmp_path / "page"
    write_outcome(
        "abc", "paper", "FAILED", "", page, "minio://mlpipeline/v2/artifacts/music-flamingo/abc/outcome/1/page"
    )
    assert "RUN_STORE" in page.read_text()
    assert "failed" in page.read_text()


def test_a_store_that_is_away_hides_no_failure(run, monkeypatch, waits):
    fail_times(monkeypatch, [CorruptDataError("a hole")])
    out = Port(str(run.root / "captions/captions"))
    away = type("Away", (), {"path": out.path, "uri": "minio://bucket/v2/run/captions/1/captions"})()
    monkeypatch.delenv("RUN_STORE", raising=False)
    with pytest.raises(CorruptDataError, match="a hole"):
        step.run_step("captions", CONFIG, run.inputs, {"captions": away})


def test_the_folder_of_a_run_is_found_in_the_store_and_on_disk():
    uri = "minio://mlpipeline/v2/artifacts/music-flamingo/1f-2e/outcome/9c/page"
    assert folder_of_run(uri, "1f-2e") == "minio://mlpipeline/v2/artifacts/music-flamingo/1f-2e"
    assert folder_of_run("/tmp/out/annotation-2026/outcome/page", "4711") == "/tmp/out/annotation-2026"
