"""The facts stage with two processes against one, on the same tracks: how much more it gets done in a second of wall.

    python benchmarks/scaling.py                        the last ingest in data/
    python benchmarks/scaling.py --data runs/smoke/data

Needs a machine with two idle cores: the load before each run is printed with the table. Each run starts with cold tools
in fresh processes, as the stage does. Target: at least 1.8 times. Writes a dated table to benchmarks/results.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from published import publish

from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.ports import Table
from music_flamingo.records import Facts

TARGET = 1.8


@dataclass(frozen=True)
class Run:
    workers: int
    wall_s: float
    load_before: float
    digest: str
    audio_minutes: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="holds the ports tracks and originals")
    parser.add_argument("--repeats", type=int, default=2, help="runs of each; the quickest counts")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    runs = [
        one_run(arguments.data.resolve(), workers)
        for _ in range(arguments.repeats)
        for workers in (1, arguments.workers)
    ]
    if len({run.digest for run in runs}) > 1:
        raise SystemExit("the runs gave different facts")
    leave(runs)


def one_run(data: Path, workers: int) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        for port in ("tracks", "originals"):
            (Path(folder) / port).symlink_to(data / port)
        load, started = os.getloadavg()[0], time.monotonic()
        command = [sys.executable, "-m", "music_flamingo.cli", "run", "facts", "--data", folder]
        subprocess.run([*command, "--set", f"facts.workers={workers}"], check=True)
        wall_s = time.monotonic() - started
        manifest = read_manifest(Path(folder) / "facts")
        table = Table(Path(folder) / "facts", Facts, manifest)
        seconds = sum(s or 0.0 for s in table.columns("duration_s")["duration_s"].to_pylist())
        return Run(workers, wall_s, load, manifest.digest, seconds / 60)


def leave(runs: list[Run]) -> None:
    best = {workers: min(r.wall_s for r in runs if r.workers == workers) for workers in {r.workers for r in runs}}
    table = [
        "| processes | wall, s | load before |",
        "|---|---|---|",
        *(f"| {run.workers} | {run.wall_s:.1f} | {run.load_before:.2f} |" for run in runs),
        "",
        f"{best[1] / best[max(best)]:.2f} times the throughput of one (target {TARGET}).",
    ]
    notes = [f"{runs[0].audio_minutes:.1f} minutes of audio; the facts of all runs have one digest"]
    publish("facts-scaling", f"facts with {max(best)} processes", table, notes=notes)


if __name__ == "__main__":
    main()
