"""A stage in several processes, as torchrun starts them, on tiny_world's model and ports.

Run as a program it is one of the ranks: `torchrun --nproc-per-node 2 tests/support/ranked.py STAGE DATA CHANGES`.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from music_flamingo import stages
from music_flamingo.core.manifest import WORK_NAME
from music_flamingo.core.stage import execute
from music_flamingo.training.scale.checkpoints import COMPLETE, checkpoints
from support import tiny_world as world

HERE = Path(__file__)
DEADLINE_S = 240
FSDP2 = {"kind": "fsdp2", "reshard_after_forward": True}
ZERO_2, ZERO_3 = ({"kind": "deepspeed", "stage": stage} for stage in (2, 3))

MIXED = {
    "mixture": {"temperature": 2.0, "sources": {"skills": 1.0, "speech": 0.5}},
    "fill": {"max_tokens": 160, "look_ahead": 6},
    "max_turns": 1,
}
"""Music and speech, several lessons in a row."""


def on(parallel: dict, **changes: object) -> dict:
    """The settings of a stage that is shared in this way."""
    return {"hardware": {**world.HARDWARE, "parallel": parallel, **changes}}


def start(stage: str, data: Path, ranks: int, **changes: Any) -> subprocess.Popen[str]:
    """The stage in `ranks` processes; one alone, that shares nothing, is started without torchrun."""
    shares = changes.get("hardware", world.HARDWARE)["parallel"]["kind"] != "single"
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)] if shares else []
    environment = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    environment |= {"PYTHONPATH": f"{HERE.parents[1]}:{environment.get('PYTHONPATH', '')}", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *launcher, str(HERE), stage, str(data), json.dumps(changes)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(stage: str, data: Path, ranks: int, **changes: object) -> list[dict]:
    """The stage to its end; gives the lines of its log."""
    process = start(stage, data, ranks, **changes)
    output, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, output[-12000:]
    return log_of(stage, data)


def log_of(stage: str, data: Path) -> list[dict]:
    return [json.loads(line) for line in (data / f"{stage}_model" / "log.jsonl").read_text().splitlines()]


def folder(stage: str, data: Path, phase: str = "") -> Path:
    """Where checkpoints lie; the backbone's, by phase."""
    return data / f"{stage}_model" / WORK_NAME / phase / "checkpoints"


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def stop_at(process: subprocess.Popen[str], where: Path, step: int, stop: Callable[[], object]) -> str:
    """Call `stop` once a checkpoint of `step` or later is whole in `where`; gives what was printed."""
    deadline = time.monotonic() + DEADLINE_S
    while not any(step_of(c) >= step and (c / COMPLETE).exists() for c in checkpoints(where)):
        assert process.poll() is None, f"it ended before it could be stopped: {process.communicate()[0][-4000:]}"
        assert time.monotonic() < deadline, "no checkpoint came"
        time.sleep(0.005)
    stop()
    return process.communicate(timeout=DEADLINE_S)[0]


def ranks_of(launcher: subprocess.Popen[str]) -> list[int]:
    """The process ids of the ranks that torchrun started."""
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    return [int(child) for child in children if HERE.name in Path(f"/proc/{child}/cmdline").read_text()]


def kill_all(launcher: subprocess.Popen[str]) -> None:
    """Torchrun and its ranks at once, as when the machine goes."""
    for process in (launcher.pid, *ranks_of(launcher)):
        os.kill(process, signal.SIGKILL)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    room, ports = stages.load(sys.argv[1]), Path(sys.argv[2])
    settings = json.dumps({**world.CONFIGS[room.name], **json.loads(sys.argv[3])})
    execute(room, settings, {p: ports / p for p in room.inputs}, {p: ports / p for p in room.outputs})
