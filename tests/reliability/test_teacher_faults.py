"""Teachers that misbehave, and stages killed while they ask (numbers 1 and 2 of what must hold under faults)."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from support import songs
from support import tiny_world as world
from support.teacher_server import MISDEEDS, TeacherServer, for_stage, teacher

from music_flamingo.core.manifest import Manifest, complete, files_digest, list_files, read_manifest
from music_flamingo.core.ports import Table
from music_flamingo.core.record import QUARANTINED
from music_flamingo.model.files import save_model
from music_flamingo.model.tiny import build_model, build_processor, build_tokenizer
from music_flamingo.records import Caption, Example, Facts, Track
from music_flamingo.stages import captions, reason, synthesize, validate
from music_flamingo.teachers.cache import CallCache
from music_flamingo.teachers.failures import TeacherUnusableError

pytestmark = pytest.mark.reliability

TESTS = Path(__file__).parents[1]
WINDOWS = 5
DEADLINE_S = 120
STAGES = {"captions": captions.STAGE, "synthesize": synthesize.STAGE}
IMPATIENT = {"timeout_s": 4.0}
"""Long enough for a busy machine to answer in time: a reply that comes late counts as finished at the server alone."""


def write_songs(data: Path, num_shards: int, per_shard: int) -> None:
    """Songs of WINDOWS windows of 30 s each."""
    names = [[(f"w{s}{k:02d}/0", f"w{s}{k:02d}") for k in range(per_shard)] for s in range(num_shards)]
    track = songs.make_track(duration_s=30.0 * WINDOWS)
    tracks = [[track.model_copy(update={"id": t, "work_id": w}) for t, w in shard] for shard in names]
    songs.write_port(data / "tracks", Track, tracks)
    lyrics = songs.with_lyrics()
    songs.write_port(data / "facts", Facts, [[songs.make_facts(t, w, lyrics=lyrics) for t, w in s] for s in names])


def run(stage: str, data: Path, asked: dict) -> dict[str, Manifest]:
    return songs.run_stage(STAGES[stage], {**songs.params(stage), "teacher": for_stage(stage, asked)}, data)


def statuses(table: Table) -> Counter[str]:
    return Counter(record.status for record in table)


# --- number 2: a teacher that misbehaves -----------------------------------------------------------------------------


def test_five_percent_of_each_misdeed_leave_every_record_ok_or_quarantined_after_at_most_five_tries(tmp_path):
    write_songs(tmp_path, num_shards=2, per_shard=25)
    with TeacherServer(misbehaves=0.05) as server:
        server.hangs_s = 5.0
        asked = teacher(server, tmp_path / "cache", concurrency=32, endpoint=IMPATIENT)
        described = run("captions", tmp_path, asked)["captions"]
        written = run("synthesize", tmp_path, asked)["candidates"]
        assert set(server.misdeeds) == set(MISDEEDS), "each of them happened"
        assert max(server.tries.values()) <= 5
        assert max(server.finished.values()) == 1
    for manifest, record in ((described, Caption), (written, Example)):
        counts = statuses(Table(tmp_path / manifest.port, record, manifest))
        assert counts.total() == manifest.num_records
        assert all(s == "ok" or s.startswith(f"{QUARANTINED}teacher_") for s in counts)
        assert counts["ok"] > 0.95 * counts.total()
    assert described.num_records == 50 * WINDOWS


def unreliable(share: float):
    """A share of the calls is refused at every try."""
    return lambda call, number: "http_500" if random.Random(call).random() < share else None


def test_calls_that_never_succeed_are_records_under_their_reason_and_later_stages_pass_them_over(tmp_path):
    write_songs(tmp_path, num_shards=1, per_shard=40)
    with TeacherServer() as server:
        server.misdeed = unreliable(0.08)
        asked = teacher(server, tmp_path / "cache", concurrency=16)
        described = run("captions", tmp_path, asked)["captions"]
        written = run("synthesize", tmp_path, asked)["candidates"]
    failed = f"{QUARANTINED}teacher_http_5xx"
    assert set(described.status) == set(written.status) == {"ok", failed}
    candidates = Table(tmp_path / "candidates", Example, written)
    lost = [e for e in candidates if not e.is_ok]
    assert all(e.answer == "" or e.options for e in lost)
    assert {e.skill for e in lost} <= {e.skill for e in candidates.ok()}
    kept = songs.run_stage(validate.STAGE, songs.params("validate"), tmp_path)
    assert kept["rejects"].status[failed] == len(lost)
    assert set(kept["skills"].status) == {"ok"}


def test_more_than_a_fifth_of_200_failed_calls_stop_the_stage_and_it_goes_on_when_the_teacher_is_well(tmp_path):
    write_songs(tmp_path, num_shards=4, per_shard=25)
    with TeacherServer() as server:
        server.misdeed = unreliable(0.3)
        asked = teacher(server, tmp_path / "cache", concurrency=16)
        with pytest.raises(TeacherUnusableError, match=r"of the last 200 calls of scripted at http.*teacher_http_5xx"):
            run("captions", tmp_path, asked)
        assert not (tmp_path / "captions" / "_manifest.json").exists()
        assert 200 <= len(server.tries) < 300, "it stops soon after the 200th call"
        well = sum(server.finished.values())
        server.misdeed = unreliable(0.0)
        described = run("captions", tmp_path, asked)["captions"]
        assert described.status == {"ok": 100 * WINDOWS}, "what failed in the shards before is asked again"
        assert sum(server.finished.values()) == 100 * WINDOWS and max(server.finished.values()) == 1 and well > 100


def test_a_server_that_is_not_there_stops_the_stage(tmp_path):
    write_songs(tmp_path, num_shards=1, per_shard=2)
    with TeacherServer() as server:
        asked = teacher(server, None)
    with pytest.raises(TeacherUnusableError, match="teacher_unreachable 10"):
        run("captions", tmp_path, asked)


# --- number 1: a stage that is killed while it asks ------------------------------------------------------------------


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A data folder with every port, and each stage's digest, made by a teacher in this process's server."""
    data = tmp_path_factory.mktemp("undisturbed")
    write_songs(data, num_shards=3, per_shard=12)
    with TeacherServer() as server:
        asked = teacher(server, None)
        manifests = {**run("captions", data, asked), **run("synthesize", data, asked)}
        calls = len(server.finished)
    return data, manifests, calls


def start(stage: str, data: Path, asked: dict, config: dict | None = None) -> subprocess.Popen:
    code = (
        "import json, sys; from pathlib import Path; from support import songs; from music_flamingo import stages; "
        "songs.run_stage(stages.load(sys.argv[1]), json.loads(sys.argv[3]), Path(sys.argv[2]))"
    )
    paths = f"{TESTS}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    values = json.dumps(config or {**songs.params(stage), "teacher": for_stage(stage, asked)})
    return subprocess.Popen(
        [sys.executable, "-c", code, stage, str(data), values],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )


def kill_after(process: subprocess.Popen, server: TeacherServer, num_calls: int) -> None:
    """kill -9 once the server has answered that many further calls."""
    deadline = time.monotonic() + DEADLINE_S
    goal = sum(server.finished.values()) + num_calls
    while sum(server.finished.values()) < goal:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline, "it asked too little"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait(DEADLINE_S) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("stage", "output", "record"), [("captions", "captions", Caption), ("synthesize", "candidates", Example)]
)
def test_a_stage_killed_three_times_repeats_no_finished_call_and_ends_in_the_same_bytes(
    undisturbed, tmp_path, stage, output, record
):
    source, manifests, _ = undisturbed
    for port in STAGES[stage].inputs:
        (tmp_path / port).symlink_to(source / port)
    with TeacherServer(sleeps_s=0.02) as server:
        asked = teacher(server, tmp_path / "cache")
        for num_calls in (25, 90, 17):
            kill_after(start(stage, tmp_path, asked), server, num_calls)
            assert not (tmp_path / output / "_manifest.json").exists()
        time.sleep(0.2)  # what was on its way to the dead process
        kept, before = len(CallCache(tmp_path / "cache")), Counter(server.finished)
        assert kept >= 25
        manifest = run(stage, tmp_path, asked)[output]
        asked_again = server.finished - before
        every_call = len(server.finished)
        assert sum(asked_again.values()) == every_call - kept, "only what no process had finished is asked"
    assert manifest.digest == manifests[output].digest
    ids = [r.id for r in Table(tmp_path / output, record, manifest)]
    assert len(ids) == len(set(ids)) == manifests[output].num_records


def test_killed_between_data_and_manifest_nothing_is_asked_again(undisturbed, tmp_path):
    source, manifests, _ = undisturbed
    for port in STAGES["captions"].inputs:
        (tmp_path / port).symlink_to(source / port)
    with TeacherServer() as server:
        asked = teacher(server, None)
        first = run("captions", tmp_path, asked)["captions"]
        (tmp_path / "captions" / "_manifest.json").unlink()
        (tmp_path / "captions" / "_progress.json").write_text(json.dumps({"key": first.key}))
        calls = sum(server.finished.values())
        assert run("captions", tmp_path, asked)["captions"].digest == first.digest == manifests["captions"].digest
        assert sum(server.finished.values()) == calls


def test_another_stage_configuration_downstream_asks_nothing_twice(undisturbed, tmp_path):
    """A changed choice of questions makes the stage again, from calls that are all kept."""
    source, _, _ = undisturbed
    for port in STAGES["synthesize"].inputs:
        (tmp_path / port).symlink_to(source / port)
    with TeacherServer() as server:
        asked = teacher(server, tmp_path / "cache")
        run("synthesize", tmp_path, asked)
        calls = sum(server.finished.values())
        fewer = {**songs.params("synthesize"), "teacher": asked, "max_questions": 15}
        manifest = songs.run_stage(synthesize.STAGE, fewer, tmp_path)["candidates"]
        assert manifest.digest == read_manifest(tmp_path / "candidates").digest
        assert sum(server.finished.values()) == calls


# --- both, for the chains of reason ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hard_questions(tmp_path_factory) -> Path:
    """Questions about twelve training tracks in three shards, and a tiny model that has learned nothing."""
    data = tmp_path_factory.mktemp("questions")
    names = [[(f"w{s}{k}/0", f"w{s}{k}") for k in range(4)] for s in range(3)]
    songs.write_port(data / "tracks", Track, [[songs.make_track(t, w) for t, w in shard] for shard in names])
    songs.write_port(data / "facts", Facts, [[songs.make_facts(t, w) for t, w in shard] for shard in names])
    for module in (captions, synthesize, validate):
        songs.run_stage(module.STAGE, songs.params(module.STAGE.name), data)
    skills = Table(data / "skills", Example, read_manifest(data / "skills"))
    write_model(data / "sft_model", [e.question for e in skills])
    return data


def write_model(root: Path, corpus: list[str]) -> None:
    processor = build_processor(build_tokenizer(corpus, world.SIZE.vocabulary), world.SIZE, world.RATE_HZ)
    save_model(build_model(processor, world.SIZE, seed=0), processor, root)
    files = list_files(root)
    manifest = {"stage": "sft", "port": "sft_model", "record": "folder", "key": "by hand", "config": {}, "inputs": {}}
    manifest |= {"files": files, "num_records": None, "status": {}, "metrics": {}, "digest": files_digest(files)}
    complete(root, Manifest.model_validate(manifest))


def reasoning(asked: dict) -> dict:
    """Parameters of reason that keep most of what a model without ears hears."""
    own = songs.params("reason")
    lenient = {**own["limits"], "right_above": 0.0, "answer_right_above": 0.0}
    return {**own, "teacher": asked, "limits": lenient, "num_examples": 60, "max_tracks": 12}


def with_inputs(source: Path, folder: Path) -> Path:
    for port in reason.STAGE.inputs:
        (folder / port).symlink_to(source / port)
    return folder


def test_reason_killed_while_it_asks_repeats_no_finished_call_and_ends_in_the_same_bytes(hard_questions, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    with TeacherServer(sleeps_s=0.02) as server:
        first = songs.run_stage(reason.STAGE, reasoning(teacher(server, None)), with_inputs(hard_questions, whole))
    with TeacherServer(sleeps_s=0.02) as server:
        config = reasoning(teacher(server, tmp_path / "cache"))
        with_inputs(hard_questions, killed)
        for num_calls in (20, 60):
            kill_after(start("reason", killed, config["teacher"], config), server, num_calls)
            assert not (killed / "think" / "_manifest.json").exists()
        time.sleep(0.2)
        kept, before = len(CallCache(tmp_path / "cache")), Counter(server.finished)
        again = songs.run_stage(reason.STAGE, config, killed)
        assert sum((server.finished - before).values()) == len(server.finished) - kept
    for port in reason.STAGE.outputs:
        assert again[port].digest == first[port].digest
    assert first["think"].num_records > 10


def test_chains_whose_calls_never_succeed_are_discarded_under_their_reason(hard_questions, tmp_path):
    with TeacherServer() as server:
        server.misdeed = unreliable(0.15)
        asked = teacher(server, None, stop={"window_calls": 200, "max_failed_fraction": 0.5})
        made = songs.run_stage(reason.STAGE, reasoning(asked), with_inputs(hard_questions, tmp_path))
    assert set(made["think"].status) == {"ok"}
    assert made["think_rejects"].status[f"{QUARANTINED}teacher_http_5xx"] > 0
