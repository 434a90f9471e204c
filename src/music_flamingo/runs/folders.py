"""Folders of runs: each is called by a readable name and a short digest of what it runs, and says so in run.json.

Two folders of songs called `music` are two runs; so are a folder called `smoke` and the profile, and every `--set`.
The digest leaves out what the songs are: songs that come or go belong to the same run.
"""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from music_flamingo.core.hashing import sha256_json
from music_flamingo.core.manifest import MANIFEST_NAME
from music_flamingo.core.shards import write_atomic
from music_flamingo.sources.about import slug

DESCRIPTION = "run.json"
SITE = Path("data/site/index.html")
MAX_NAME_CHARS = 40
"""Of 4 bytes at the most: a file system takes names of 255 bytes."""
DIGEST_CHARS = 8


@dataclass(frozen=True)
class RunDescription:
    """What a run was asked to do: paths are absolute, a profile of the project is its bare name."""

    profiles: tuple[str, ...]
    """In the order in which they are laid over each other."""
    source: str | None
    settings: tuple[str, ...]

    @property
    def folder_name(self) -> str:
        """`music-1f0c22ab`. A profile of the project alone needs no digest: no other run is called so."""
        if self.source is None and not self.settings:
            if not self.profiles:
                return "default"
            if len(self.profiles) == 1 and Path(self.profiles[0]).name == self.profiles[0]:
                return self.profiles[0]
        named = [Path(part).stem for part in self.profiles] + ([Path(self.source).name] if self.source else [])
        readable = "-".join(s for part in named if (s := slug(part)[:MAX_NAME_CHARS].strip("-.")))
        return f"{readable or ('songs' if self.source else 'custom')}-{self.digest}"

    @property
    def digest(self) -> str:
        """Short digest of profiles, source and settings."""
        profiles = list(self.profiles) if len(self.profiles) > 1 else next(iter(self.profiles), None)
        return sha256_json([profiles, self.source, sorted(self.settings)])[:DIGEST_CHARS]

    def in_words(self) -> str:
        """`profile smoke, songs of /music, sft.steps=20`."""
        words = [
            *(f"profile {name}" for name in self.profiles),
            *([f"songs of {self.source!r}"] if self.source else []),
            *self.settings,
        ]
        return ", ".join(words) or "the default"


def describe_run(folder: Path, description: RunDescription) -> RunDescription | None:
    """Write run.json; gives what the folder ran before, where that was something else."""
    before = read_description(folder)
    if before != description:
        write_atomic(folder / DESCRIPTION, json.dumps(asdict(description), indent=1, ensure_ascii=False) + "\n")
    return before if before != description else None


def read_description(folder: Path) -> RunDescription | None:
    """None where there is no run.json, or one that nobody here wrote."""
    try:
        found: dict[str, Any] = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        return RunDescription(tuple(found["profiles"]), found["source"], tuple(found["settings"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


@dataclass(frozen=True)
class RunState:
    """A run's folder: its description, number of ports, last change, and report."""

    folder: Path
    description: RunDescription | None
    num_ports: int
    """Ports that are finished."""
    changed: float
    """Time of the last change, in seconds since 1970."""
    report: Path | None

    def line(self, width: int) -> str:
        """`music-1f0c22ab  2026-11-30 05:12  12 ports, report  songs of '/music'`."""
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.changed))
        state = f"{self.num_ports} ports" + (", report" if self.report else "")
        words = self.description.in_words() if self.description else "(no run.json)"
        return f"{self.folder.name:{width}}  {when}  {state:18}  {words}"


def list_runs(runs: Path) -> list[RunState]:
    """Every run below `runs`, the latest first."""
    folders = [f for f in sorted(runs.iterdir()) if (f / "params.yaml").is_file()] if runs.is_dir() else []
    return sorted((_state(folder) for folder in folders), key=lambda s: (-s.changed, s.folder.name))


def _state(folder: Path) -> RunState:
    finished = list((folder / "data").glob(f"*/{MANIFEST_NAME}"))
    changed = max(p.stat().st_mtime for p in (*finished, folder / "params.yaml"))
    report = folder / SITE
    return RunState(folder, read_description(folder), len(finished), changed, report if report.is_file() else None)
