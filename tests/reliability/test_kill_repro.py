"""kill -9 of the whole `mf repro`: DVC, the stage it runs and the stage's workers. A rerun ends in the same digests.

The workspace is a DVC repository of its own, so that its locks are its own too.
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
from music_flamingo.core.manifest import MANIFEST_NAME, verify

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "tests/pipeline/tiny.yaml"
PORTS = [port for name in stages.ORDER for port in stages.load(name).outputs]
DEADLINE_S = 600.0
NOTHING_TO_DO_WITHIN_S = 90.0
DEAD_WITHIN_S = 30.0

pytestmark = [pytest.mark.reliability, pytest.mark.slow, pytest.mark.timeout(3000)]


def start(workspace: Path) -> "subprocess.Popen[bytes]":
    """`mf repro` as the leader of a group of its own: killing the group kills all below it."""
    with (workspace / "repro.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "music_flamingo.cli", "repro", "--profile", str(TINY), "--workspace", workspace],
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def finish(workspace: Path) -> str:
    """Run to the end; gives what was said."""
    before = len((workspace / "repro.log").read_text()) if (workspace / "repro.log").exists() else 0
    status = start(workspace).wait(timeout=DEADLINE_S)
    said = (workspace / "repro.log").read_text()[before:]
    assert status == 0, said[-4000:]
    return said


def new_workspace(folder: Path) -> Path:
    folder.mkdir()
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "-q"], cwd=folder, check=True)
    return folder


def digests(workspace: Path) -> dict[str, str]:
    return {port: verify(workspace / "data" / port).digest for port in PORTS}


def wait_for(process: "subprocess.Popen[bytes]", pattern: str, workspace: Path) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not list(workspace.glob(pattern)):
        assert process.poll() is None, (workspace / "repro.log").read_text()[-4000:]
        assert time.monotonic() < deadline, f"{pattern} never came"
        time.sleep(0.05)


def stage_runs(workspace: Path) -> list[int]:
    """Processes of this workspace's pipeline that are still alive."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            is_ours = entry.name.isdigit() and (entry / "cwd").resolve() == workspace
            words = (entry / "cmdline").read_bytes().split(b"\0") if is_ours else []
        except OSError:
            continue
        if b"run" in words or b"dvc" in words:
            found.append(int(entry.name))
    return found


def wait_until_gone(workspace: Path, group: int) -> None:
    """The system takes a moment to clear away what was killed, and workers die after their parent. DVC takes a process
    that is dead and not yet cleared away for a running one."""
    deadline = time.monotonic() + DEAD_WITHIN_S
    while left := [*stage_runs(workspace), *members(group)]:
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.05)


def members(group: int) -> list[int]:
    """Processes of a group, dead ones that nobody has cleared away among them."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(after_name[2]) == group:
            found.append(int(stat.parent.name))
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, str]:
    workspace = new_workspace(tmp_path_factory.mktemp("repro") / "undisturbed")
    finish(workspace)
    found = digests(workspace)
    shutil.rmtree(workspace)
    return found


def test_killed_whole_in_three_stages_and_run_again_it_ends_the_same(undisturbed, tmp_path):
    workspace = new_workspace(tmp_path / "killed")
    for sign in ("data/originals/_work/tracks/part-*", "data/facts/part-*", "data/skills/part-*"):
        process = start(workspace)
        wait_for(process, sign, workspace)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        wait_until_gone(workspace, process.pid)
    finish(workspace)
    assert digests(workspace) == undisturbed

    # DVC may leave a dead process's name in its list of readers: what counts is that nothing waits for it
    started = time.monotonic()
    said = finish(workspace)
    assert time.monotonic() - started < NOTHING_TO_DO_WITHIN_S
    assert "up to date" in said
    assert digests(workspace) == undisturbed


def test_a_stage_that_outlives_its_killed_driver_is_waited_for_and_not_doubled(undisturbed, tmp_path):
    workspace = new_workspace(tmp_path / "orphan")
    process = start(workspace)
    wait_for(process, "data/facts/_progress.json", workspace)
    for pid in stage_runs(workspace):
        if b"dvc" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
            os.kill(pid, signal.SIGKILL)
    process.wait(timeout=DEADLINE_S)
    assert not (workspace / "data/facts" / MANIFEST_NAME).exists()
    finish(workspace)
    assert digests(workspace) == undisturbed
