"""The dated table that each benchmark leaves: what was measured, by which command, at which commit, on what."""

import datetime
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from music_flamingo.core.shards import write_atomic

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PLACES = ("--recordings", "--hard", "--work", "--data", "--release", "--vllm")
"""Options that say where things lie: no part of what was measured."""


def publish(
    name: str, title: str, table: Sequence[str], packages: Sequence[str] = (), notes: Sequence[str] = ()
) -> None:
    """Print the table and write `results/<date>-<name>.md`. `packages`: whose versions count; `notes`: a line each."""
    today = datetime.date.today().isoformat()
    versions = ", ".join([f"Python {platform.python_version()}", *(f"{p} {version(p)}" for p in packages)])
    head = [
        f"# {title}, {today}",
        "",
        f"- command: `{command()}`",
        f"- commit: {commit()}; hardware: {hardware()}",
        f"- versions: {versions}",
        *(f"- {note}" for note in notes),
        "",
    ]
    path = RESULTS / f"{today}-{name}.md"
    write_atomic(path, "\n".join([*head, *table]) + "\n")
    print("\n".join(table))
    print(f"wrote {path.relative_to(ROOT)}")


def command() -> str:
    """As it was called, without the places where its data lie."""
    words, kept = sys.argv[1:], []
    for before, word in zip(["", *words], words, strict=False):
        if word not in PLACES and before not in PLACES:
            kept.append(word)
    return " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *kept])


def commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def hardware() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")
    return f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"
