"""kill -9 in the middle of a shard, and between data and manifest, in every stage of annotation up to MF-Skills.

The stage dies by its own hand at a chosen place: half of a shard written, or the data whole and no manifest yet.
After a rerun the digests are those of an undisturbed run, so no record is missing and none is there twice, and shards
that were complete are not made again.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from music_flamingo import stages
from music_flamingo.core.manifest import MANIFEST_NAME, PROGRESS_NAME, WORK_NAME, read_manifest, verify
from music_flamingo.core.shards import TEMPORARY_PATTERN

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "tests/pipeline/tiny.yaml"
STAGES = ("ingest", "facts", "captions", "synthesize", "validate")
NOTHING_TO_DO_WITHIN_S = 30.0
KILLED_AT = {"validate": 9}
"""The write that is cut short: at least one shard is whole before it. validate first writes four of scratch."""

pytestmark = [pytest.mark.reliability, pytest.mark.slow, pytest.mark.timeout(1800)]

DYING = """
import os, signal, sys
from pathlib import Path
import pyarrow.parquet as pq
from music_flamingo.core import manifest
from music_flamingo.cli import main

place, call = sys.argv[1], int(sys.argv[2])
calls = 0

def reached():
    global calls
    calls += 1
    return calls == call

def die():
    os.kill(os.getpid(), signal.SIGKILL)

write_table, complete = pq.write_table, manifest.complete

def half_a_shard(table, where, **options):
    write_table(table, where, **options)
    if reached():
        os.truncate(where, Path(where).stat().st_size // 2)
        die()

def no_manifest(root, described):
    if reached():
        die()
    complete(root, described)

if place == "shard":
    pq.write_table = half_a_shard
elif place == "manifest":
    manifest.complete = no_manifest
sys.exit(main(sys.argv[3:]))
"""


def run(stage: str, data: Path, place: str = "nowhere", call: int = 0) -> "subprocess.CompletedProcess[str]":
    """`mf run STAGE`, which kills itself at the given call of the place."""
    parameters = ["--params", str(ROOT / "params.yaml"), "--profile", str(TINY)]
    if stage == "validate":
        # its workers write the shards themselves: one process, so that the place is reached in the one that dies
        parameters += ["--set", "validate.workers=1"]
    return subprocess.run(
        [sys.executable, "-c", DYING, place, str(call), "run", stage, *parameters, "--data", str(data)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    data = tmp_path_factory.mktemp("undisturbed") / "data"
    for stage in STAGES:
        done = run(stage, data)
        assert done.returncode == 0, done.stderr[-3000:]
    return data


@pytest.fixture
def before(undisturbed, tmp_path):
    """Gives a data folder in which all that a stage takes is there, and nothing that it gives."""

    def prepared(stage: str) -> Path:
        data = tmp_path / "data"
        data.mkdir()
        for port in stages.load(stage).inputs:
            (data / port).symlink_to(undisturbed / port)
        return data

    return prepared


def digests(stage: str, data: Path) -> dict[str, str]:
    return {port: verify(data / port).digest for port in stages.load(stage).outputs}


def shards(stage: str, data: Path) -> dict[Path, int]:
    """Every whole shard of the stage's ports, in scratch space too, and when it was written."""
    found = [p for port in stages.load(stage).outputs for p in (data / port).rglob("part-*.parquet")]
    return {p: p.stat().st_mtime_ns for p in found}


def clean(stage: str, data: Path) -> bool:
    """No half-written file, no scratch, no sign of an unfinished run is left."""
    ports = [data / port for port in stages.load(stage).outputs]
    left = [p for port in ports for pattern in (TEMPORARY_PATTERN, PROGRESS_NAME) for p in port.rglob(pattern)]
    return not left and not any((port / WORK_NAME).exists() for port in ports)


@pytest.mark.parametrize("stage", STAGES)
def test_killed_in_the_middle_of_a_shard_it_goes_on_and_ends_the_same(undisturbed, before, stage):
    data = before(stage)
    assert run(stage, data, "shard", KILLED_AT.get(stage, 3)).returncode == -signal.SIGKILL
    assert not any((data / port / MANIFEST_NAME).exists() for port in stages.load(stage).outputs)
    whole = shards(stage, data)
    assert whole
    done = run(stage, data)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"{stage}: continuing an interrupted run" in done.stderr
    assert digests(stage, data) == digests(stage, undisturbed)
    again = shards(stage, data)
    assert all(again[p] == written for p, written in whole.items() if p in again)
    assert clean(stage, data)


@pytest.mark.parametrize(("stage", "call"), [(s, k) for s in STAGES for k in range(1, len(stages.load(s).outputs) + 1)])
def test_killed_between_data_and_manifest_it_ends_the_same(undisturbed, before, stage, call):
    data = before(stage)
    assert run(stage, data, "manifest", call).returncode == -signal.SIGKILL
    assert sum((data / port / MANIFEST_NAME).exists() for port in stages.load(stage).outputs) == call - 1
    done = run(stage, data)
    assert done.returncode == 0, done.stderr[-3000:]
    assert digests(stage, data) == digests(stage, undisturbed)
    assert clean(stage, data)


def test_killed_three_times_in_a_row_a_stage_ends_the_same(undisturbed, before):
    data = before("synthesize")
    for _ in range(3):
        assert run("synthesize", data, "shard", 2).returncode == -signal.SIGKILL
    assert run("synthesize", data).returncode == 0
    assert digests("synthesize", data) == digests("synthesize", undisturbed)


@pytest.mark.parametrize("stage", STAGES)
def test_the_same_inputs_again_do_nothing_and_say_so(undisturbed, tmp_path, stage):
    data = tmp_path / "data"
    shutil.copytree(undisturbed, data)
    before = {p: read_manifest(data / p) for p in stages.load(stage).outputs}, shards(stage, data)
    started = time.monotonic()
    done = run(stage, data)
    assert time.monotonic() - started < NOTHING_TO_DO_WITHIN_S
    assert f"{stage}: up to date, nothing to do" in done.stderr
    assert ({p: read_manifest(data / p) for p in stages.load(stage).outputs}, shards(stage, data)) == before
