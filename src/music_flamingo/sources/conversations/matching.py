"""Match published entries to tracks: by a rule on their `sound` or `id`, or by a table from these to recordings."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, field_validator

from music_flamingo.core.record import OK, QUARANTINED
from music_flamingo.core.shards import shard_index
from music_flamingo.core.stage import NOT_IDENTITY
from music_flamingo.sources.conversations.entries import RecordingReference
from music_flamingo.sources.rows import read_rows
from music_flamingo.sources.table import local_path

MISSING, AMBIGUOUS, NOT_NAMED = "recording_missing", "recording_ambiguous", "recording_not_named"
SEVERAL, OTHER_LENGTH = "several_recordings", "duration_differs"
GROUPS = frozenset({"recording", "start_s", "end_s"})


class RecordingRule(BaseModel):
    """A pattern whose group `recording` is looked for among the tracks."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    kind: Literal["rule"]
    field: Literal["sound", "id"]
    """What of the entry is read."""
    pattern: str
    """Matches the whole field. Its groups `start_s` and `end_s`, if there are any, are the seconds of the recording
    that the entry is about."""
    of: Literal["stem", "id"]
    """What of a track is compared: the stem of its file's name, or its id."""

    @field_validator("pattern")
    @classmethod
    def _names_the_recording(cls, pattern: str) -> str:
        found = set(re.compile(pattern).groupindex)
        if "recording" not in found or found - GROUPS:
            raise ValueError(f"needs a group recording, may have start_s and end_s, not {sorted(found)}")
        return pattern


class RecordingTable(BaseModel):
    """A CSV, JSONL or Parquet table with the columns `id` (what the entry says) and `uri` (of the track)."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    kind: Literal["table"]
    field: Literal["sound", "id"]
    path: str = Field(json_schema_extra=NOT_IDENTITY)
    """Paths in it are relative to its folder."""


RecordingsByName = Annotated[RecordingRule | RecordingTable, Field(discriminator="kind")]


class LocatedEntry(NamedTuple):
    """Where an entry belongs: its track's shard and row there, or the reason why it has no track."""

    shard: int
    row: int
    reason: str | None
    span_s: tuple[float, float] | None
    """The part of the recording that the entry is about; None for all of it."""


class TracksByName:
    """The tracks of all shards by what entries call them. Numbers and names alone: a million takes 300 MB."""

    def __init__(self, shards: Sequence[Path], naming: RecordingRule | RecordingTable, tolerance_s: float) -> None:
        self._naming, self._tolerance_s = naming, tolerance_s
        self._pattern = re.compile(naming.pattern) if isinstance(naming, RecordingRule) else None
        self._uri_of = {} if isinstance(naming, RecordingRule) else _uris(Path(naming.path))
        self._place: dict[str, tuple[int, int] | None] = {}
        self._status: dict[int, list[str]] = {}
        self._duration_s: dict[int, list[float | None]] = {}
        for path in shards:
            self._add(shard_index(path), pq.read_table(path, columns=["id", "uri", "status", "duration_s"]).to_pydict())

    def _add(self, shard: int, columns: Mapping[str, list]) -> None:
        self._status[shard], self._duration_s[shard] = columns["status"], columns["duration_s"]
        for row, (track_id, uri) in enumerate(zip(columns["id"], columns["uri"], strict=True)):
            name = self._name(track_id, uri)
            self._place[name] = None if name in self._place else (shard, row)

    def _name(self, track_id: str, uri: str) -> str:
        if isinstance(self._naming, RecordingTable):
            return uri
        return track_id if self._naming.of == "id" else stem_of(uri)

    def locate(self, said: RecordingReference) -> LocatedEntry:
        """The track of an entry. Several recordings in one entry have no place: the model hears one a question."""
        if said.num_sounds > 1:
            return _nowhere(SEVERAL)
        name, span_s = self._read(said)
        if name is None or name not in self._place:
            return _nowhere(NOT_NAMED if name is None else MISSING)
        if (place := self._place[name]) is None:
            return _nowhere(AMBIGUOUS)
        shard, row = place
        return LocatedEntry(shard, row, self._reason(said, shard, row, span_s), span_s)

    def _read(self, said: RecordingReference) -> tuple[str | None, tuple[float, float] | None]:
        value = said.sound if self._naming.field == "sound" else said.id
        if self._pattern is None:
            return self._uri_of.get(value), None
        match = self._pattern.fullmatch(value)
        if match is None:
            return None, None
        groups = match.groupdict()
        start_s, end_s = groups.get("start_s"), groups.get("end_s")
        return groups["recording"], (float(start_s), float(end_s)) if start_s and end_s else None

    def _reason(self, said: RecordingReference, shard: int, row: int, span_s: tuple[float, float] | None) -> str | None:
        status, duration_s = self._status[shard][row], self._duration_s[shard][row]
        if status != OK:
            return f"recording_quarantined:{status.removeprefix(QUARANTINED)}"
        assert duration_s is not None, "a track that is ok has a duration"
        if span_s is not None:
            return None if 0 <= span_s[0] < span_s[1] <= duration_s + self._tolerance_s else OTHER_LENGTH
        differs = said.duration_s is not None and abs(said.duration_s - duration_s) > self._tolerance_s
        return OTHER_LENGTH if differs else None


def _nowhere(reason: str) -> LocatedEntry:
    return LocatedEntry(-1, -1, reason, None)


def stem_of(uri: str) -> str:
    """The stem of a file's name, from its uri or path: `a%20b` is `a b`."""
    return Path(unquote(urlsplit(uri).path) if "://" in uri else uri).stem


def _uris(table: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for row in read_rows(table, {}):
        name, uri = row.values.get("id"), row.values.get("uri")
        if row.problem is None and name and uri:
            path = local_path(uri, table.resolve().parent)
            found[name] = path.as_uri() if path is not None else uri
    return found
