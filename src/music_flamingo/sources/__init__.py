"""Sources of recordings: each lists its units in a fixed order and turns a unit into recordings.

A unit is what is prepared at once: a score with all its performances, one file of a folder, one row of a table, one
object of a bucket.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from music_flamingo.records import Truth
from music_flamingo.records.track import Split


@dataclass(frozen=True)
class SourceRecording:
    """One recording as its source gives it. Words and names are untrusted text."""

    id: str
    work_id: str
    title: str | None
    artist: str | None
    tradition: str | None
    language: str | None
    lyrics: str | None
    uri: str
    original: str | None
    """A path inside the originals port, or a `file:` uri; None where there is a problem."""
    path: Path
    """Where the original's bytes lie now."""
    seed: int | None
    truth: Truth | None
    problem: str | None = None
    """A reason to quarantine the recording without opening it: `missing`, `bad_row:songs.csv, line 7: ...`."""
    album: str | None = None
    region: str | None = None
    licence: str | None = None
    given_split: Split | None = None
    is_named_sound: bool = True
    """Whether its place claims that it is sound; what does not and cannot be opened is no recording."""
    with_tags: "Callable[[Mapping[str, str]], SourceRecording] | None" = None
    """The same with what the file's tags say, once it was opened; None where tags have no say."""


class Source(Protocol):
    """Units are texts that say all a worker needs: the source itself travels to it without its listing.

    `recordings` may write files below `originals` and must give the same bytes always.
    """

    tool: str
    is_rendered: bool
    """Whether the project makes the recordings itself: they do not crash by what others put into a file."""

    def tool_version(self) -> str:
        """Versions of the libraries that read the recordings, for provenance."""

    def units(self) -> Sequence[str]:
        """All units of the source, in a fixed order."""

    def num_recordings(self, unit: str) -> int:
        """How many recordings a unit has, without reading it: where an interrupted run goes on follows from it."""

    def recordings(self, unit: str, originals: Path) -> Iterator[SourceRecording]:
        """Read the recordings of one unit; fetched files go below `originals`."""


class OneEach:
    """Others' recordings, one a unit."""

    is_rendered = False

    def num_recordings(self, unit: str) -> int:
        """One."""
        return 1


class Listed(OneEach):
    """A source of units that are listed in advance. The listing stays at home: workers get units, and a copy of the
    source without it."""

    def __init__(self, listing: Callable[[], Sequence[str]]) -> None:
        self._listing: Callable[[], Sequence[str]] | None = listing

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_listing": None}

    def units(self) -> Sequence[str]:
        """The units, listed when first asked for."""
        assert self._listing is not None, "workers are given units"
        return self._listing()
