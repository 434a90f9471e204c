"""Import annotations made elsewhere: parse them, and match each to its recording.

A reader gives one AnnotatedRecording for each recording, in order. Facts carry their origin as tool and version;
captions carry it as teacher. What has no place in this project's records is counted, never guessed.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from music_flamingo.core.errors import UserError
from music_flamingo.core.lines import lines_of
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.ports import Table
from music_flamingo.core.record import Record
from music_flamingo.core.shards import write_atomic
from music_flamingo.records import MEASURED, Caption, Facts, Track
from music_flamingo.sources.about import name_of
from music_flamingo.sources.audio_folder import METADATA, SUFFIXES
from music_flamingo.sources.walking import walk

FACTS, CAPTIONS = "facts.jsonl", "captions.jsonl"


@dataclass(frozen=True)
class AnnotatedRecording:
    """What is known of one recording, under the names by which it may be found."""

    names: tuple[str, ...]
    """The likeliest first: an id, a digest of the sound, a path below the folder of songs, a file's name."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Fields of Facts."""
    captions: tuple[dict[str, Any], ...] = ()
    """Fields of Caption, without id and track."""
    unread: tuple[str, ...] = ()
    """Why parts of it were not read, one entry a part."""


class RecordingNames:
    """Which track a name stands for: by id, digest, path or file name; of one that two tracks share, for none."""

    def __init__(self, tracks: Iterable[tuple[str, Sequence[str]]]) -> None:
        """`tracks`: (id, names that are the track's own)."""
        found: dict[str, set[str]] = {}
        for track_id, names in tracks:
            for name in (track_id, *names, *(Path(n).name for n in names), *(Path(n).stem for n in names)):
                found.setdefault(name, set()).add(track_id)
        self._ids = {name: next(iter(ids)) for name, ids in found.items() if len(ids) == 1}

    def find(self, names: Sequence[str]) -> str | None:
        """Id of the first name that stands for one track alone; None where none does."""
        return next((self._ids[name] for name in names if name in self._ids), None)


def names_in_folder(root: Path) -> RecordingNames:
    """The recordings below a folder, under the ids that the source `audio_folder` gives them."""
    if not root.is_dir():
        raise UserError(f"{root} is no folder. Give the folder of songs that the annotations are about.")
    files = [e.name for e in walk(root, SUFFIXES, METADATA) if e.problem is None]
    return RecordingNames((name_of(name), (name, name.rpartition(".")[0])) for name in files)


def names_in_run(data: Path) -> RecordingNames:
    """The tracks that `ingest` took in. Raises MissingInputError before it has run."""
    tracks = Table(data / "tracks", Track, read_manifest(data / "tracks"))
    rows = tracks.columns("id", "uri", "audio_sha256").to_pylist()
    return RecordingNames((r["id"], [name for name in (r["uri"], r["audio_sha256"]) if name]) for r in rows)


@dataclass
class ImportSummary:
    """What became of the annotations: counts for the closing lines of `mf import`."""

    num_recordings: int = 0
    num_facts: int = 0
    num_captions: int = 0
    nameless: list[str] = field(default_factory=list)
    """First names of what belongs to no recording."""
    unread: Counter[str] = field(default_factory=Counter)

    def lines(self) -> Iterator[str]:
        """Format the summary for a terminal."""
        yield f"{self.num_recordings} recordings: facts of {self.num_facts}, {self.num_captions} captions"
        if self.nameless:
            few = ", ".join(self.nameless[:3])
            more = " ..." if len(self.nameless) > 3 else ""
            yield f"{len(self.nameless)} annotations belong to no recording here: {few}{more}"
        yield from (f"not read: {what} ({count})" for what, count in sorted(self.unread.items()))


def write_annotated(
    annotated: Iterable[AnnotatedRecording], names: RecordingNames | None, output: Path
) -> ImportSummary:
    """Write facts.jsonl and captions.jsonl into `output`, a record a line; without `names` the first name is the id.

    Raises UserError where two annotations are about one recording.
    """
    summary, facts, captions = ImportSummary(), {}, {}
    for one in annotated:
        summary.unread.update(one.unread)
        track_id = names.find(one.names) if names else one.names[0]
        if track_id is None:
            summary.nameless.append(one.names[0])
            continue
        if track_id in facts:
            raise UserError(f"two annotations are about {track_id}. Leave one of them: {', '.join(one.names[:3])}")
        facts[track_id] = _facts(track_id, one.facts)
        captions[track_id] = [
            Caption(id=f"{track_id}/{place}", track_id=track_id, **values) for place, values in enumerate(one.captions)
        ]
    summary.num_recordings = len(facts)
    known = [f for f in facts.values() if any(getattr(f, name) for name in MEASURED)]
    written = [caption for each in captions.values() for caption in each]
    summary.num_facts, summary.num_captions = len(known), len(written)
    _write(output / FACTS, known)
    _write(output / CAPTIONS, written)
    return summary


def _facts(track_id: str, values: dict[str, Any]) -> Facts:
    blank: dict[str, Any] = {"duration_s": None, **dict.fromkeys(MEASURED)}
    return Facts(**{**blank, **values, "id": track_id, "work_id": track_id, "problems": []})


def _write(path: Path, records: Sequence[Record]) -> None:
    write_atomic(path, "".join(record.model_dump_json(exclude_defaults=True) + "\n" for record in records))


def read_annotated(path: str | None) -> dict[str, Facts]:
    """Facts by track, as `mf import` wrote them; none for None. Raises UserError naming a line that is none."""
    if path is None:
        return {}
    try:
        state = Path(path).stat()
        return _read_facts(path, state.st_mtime_ns, state.st_size)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"facts.annotated: {path} cannot be read: {error}. `mf import` writes it.") from error


@lru_cache(maxsize=1)
def _read_facts(path: str, changed_ns: int, num_bytes: int) -> dict[str, Facts]:
    """Once a process; again when the file changes."""
    lines = lines_of(Path(path).read_text(encoding="utf-8"))
    found = {}
    for number, line in enumerate(lines, start=1):
        try:
            facts = Facts.model_validate_json(line)
        except ValueError as error:
            raise UserError(f"facts.annotated: {path}, line {number}: {error}. `mf import` writes it.") from error
        found[facts.id] = facts
    return found


def with_annotated(measured: Facts, annotated: Facts | None) -> Facts:
    """Facts in which what was annotated elsewhere stands in place of what was measured."""
    if annotated is None:
        return measured
    known = {name: getattr(annotated, name) for name in MEASURED if getattr(annotated, name) is not None}
    return measured.model_copy(update=known)
