"""Run DVC as a child process: filter its own messages, and end it and its stages with the driver.

DVC starts each stage in the same process group: a signal to the group reaches all. A stage also watches the driver
itself (core/driver.py), for one that is killed has no time to send anything.
"""

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from music_flamingo.core import telemetry
from music_flamingo.core.driver import driver_environment
from music_flamingo.core.errors import UserError

ENDING_S = 10.0
"""A stage that is interrupted writes what it has in hand; then it is killed."""
NOISE = (
    *("Generating lock file", "Updating lock file", "To track the changes", "To enable auto staging"),
    *("Use `dvc push`", "\tgit add", "\tdvc config", "Importing '"),
)
"""How the lines begin that speak of DVC's own affairs."""


def run_dvc(folder: Path, until: str | None = None) -> int:
    """`dvc repro` in `folder`, up to the stage `until`; gives its exit status.

    KeyboardInterrupt ends it and the stage it runs first.
    """
    if importlib.util.find_spec("dvc") is None:
        raise UserError("DVC is not installed. Install with: pip install 'music-flamingo-kubeflow[all]'.")
    with telemetry.span("run"), _environment() as environment:
        command = [sys.executable, "-m", "music_flamingo.runs.dvc_program", "repro", *([until] if until else [])]
        dvc = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, process_group=0, text=True, errors="replace"
        )
        try:
            assert dvc.stdout is not None
            for line in without_noise(dvc.stdout):
                print(line, end="", flush=True)
            return dvc.wait()
        finally:
            _end(dvc)


def without_noise(lines: Iterable[str]) -> Iterator[str]:
    """Lines that concern the run; of empty lines one at a time, none first."""
    empty_before = True
    for line in lines:
        is_empty = not line.strip()
        if line.startswith(NOISE) or (is_empty and empty_before):
            continue
        empty_before = is_empty
        yield line


def _end(dvc: "subprocess.Popen[str]") -> None:
    """End DVC and all it started, where it still runs."""
    if dvc.poll() is not None:
        return
    for sign in (signal.SIGINT, signal.SIGKILL):
        _signal_group(dvc.pid, sign)
        try:
            dvc.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            continue
        break
    _signal_group(dvc.pid, signal.SIGKILL)


def _signal_group(group: int, sign: signal.Signals) -> None:
    try:
        os.killpg(group, sign)
    except ProcessLookupError:
        return


@contextmanager
def _environment() -> Iterator[dict[str, str]]:
    """dvc.yaml says `mf run ...`: the mf of this interpreter comes first in PATH.

    A colon parts the folders of PATH: where the interpreter lies in a folder with one in its name, a script elsewhere
    starts it.
    """
    own = {**driver_environment(), **telemetry.for_children()}
    environment = {**os.environ, **own, "MF_PYTHON": sys.executable}
    with tempfile.TemporaryDirectory(prefix="mf-") as scratch:
        programs = Path(sys.executable).parent
        if os.pathsep in str(programs) or not (programs / "mf").exists():
            programs = _script(Path(scratch))
        environment["PATH"] = f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        yield environment


def _script(folder: Path) -> Path:
    script = folder / "mf"
    script.write_text('#!/bin/sh\nexec "$MF_PYTHON" -m music_flamingo.cli "$@"\n')
    script.chmod(0o755)
    return folder
