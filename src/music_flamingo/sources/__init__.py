"""Where recordings come from. A source lists its units in a fixed order and turns a unit into recordings.

A unit is what is prepared at once: a score with all its performances, or one file of a folder.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from music_flamingo.records import Truth


@dataclass(frozen=True)
class Recording:
    """One recording as its source gives it. Words and names are untrusted text."""

    id: str
    work_id: str
    title: str | None
    artist: str | None
    tradition: str | None
    language: str | None
    lyrics: str | None
    uri: str
    original: str
    """A path inside the originals port, or a `file:` uri."""
    path: Path
    """Where the original's bytes lie now."""
    seed: int | None
    truth: Truth | None
    problem: str | None = None
    """A reason to quarantine the recording whatever its sound is like."""


class Source(Protocol):
    """Units are picklable names; `recordings` may write files below `originals` and must give the same bytes always."""

    tool: str
    recordings_per_unit: int

    def tool_version(self) -> str: ...

    def units(self) -> Sequence[str]: ...

    def recordings(self, unit: str, originals: Path) -> Iterator[Recording]: ...
