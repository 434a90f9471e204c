"""Counts for the cards, shard by shard, reading only the columns needed."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from music_flamingo.core.record import OK, QUARANTINED
from music_flamingo.records import MEASURED, Track

PLACES = tuple(name for name in ("region", "tradition", "language") if name in Track.model_fields)
DURATION_EDGES_S = (0, 10, 30, 60, 120, 180, 240, 300, 600, 1200)
WORD = r"\S+"


@dataclass
class ExampleFigures:
    """Of questions and captions; each Counter maps a key to a number of records."""

    rows: int = 0
    skill_type: Counter[tuple[str, str]] = field(default_factory=Counter)
    family_split: Counter[tuple[str, str]] = field(default_factory=Counter)
    teachers: Counter[tuple[str, ...]] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    words: dict[str, Counter[int]] = field(default_factory=dict)
    tracks: int = 0


def examples(shards: Iterable[Path]) -> ExampleFigures:
    """Counts over the shards of `skills` or `rejects`."""
    found = ExampleFigures()
    names = ["track_id", "status", "skill", "type", "family", "split", "question", "answer", "rationale", "teacher"]
    for path in shards:
        rows = pq.read_table(path, columns=names)
        found.rows += len(rows)
        found.tracks += pc.count_distinct(rows["track_id"]).as_py()
        found.skill_type.update(_pairs(rows, "skill", "type"))
        found.family_split.update(_pairs(rows, "family", "split"))
        found.reasons.update(reasons(rows["status"]))
        found.teachers.update(stamps(rows["teacher"]))
        is_caption = pc.equal(rows["skill"], "caption")
        captions, questions = rows.filter(is_caption), rows.filter(pc.invert(is_caption))
        for family in captions["family"].unique().to_pylist():
            of_family = captions.filter(pc.equal(captions["family"], family))
            count_words(found.words, family.replace("_", " "), of_family["answer"])
        for name in ("question", "answer", "rationale"):
            count_words(found.words, name, questions[name])
    return found


def reasons(statuses: pa.ChunkedArray) -> Counter[str]:
    """Quarantined records by reason; what follows a second colon is a detail."""
    found: Counter[str] = Counter()
    for status, number in _values(statuses):
        if status != OK:
            found[status.removeprefix(QUARANTINED).partition(":")[0]] += number
    return found


def count_words(into: dict[str, Counter[int]], name: str, texts: pa.ChunkedArray) -> None:
    """Add how many texts have how many words."""
    if len(texts):
        into.setdefault(name, Counter()).update(dict(_values(pc.count_substring_regex(texts, WORD))))


def _values(column: pa.ChunkedArray) -> list[tuple[Any, int]]:
    return [(v["values"], v["counts"]) for v in pc.value_counts(column).to_pylist()]


def _pairs(rows: pa.Table, first: str, second: str) -> dict[tuple[str, str], int]:
    return {(g[first], g[second]): g["count_all"] for g in grouped(rows.select([first, second]))}


def grouped(rows: pa.Table) -> list[dict[str, Any]]:
    """Each combination of the table's columns with its `count_all`."""
    return list(rows.group_by(rows.column_names).aggregate([([], "count_all")]).to_pylist())


def stamps(teachers: pa.ChunkedArray) -> dict[tuple[str, ...], int]:
    """(kind, model, revision, prompt id, prompt sha256) -> records."""
    names = ("kind", "model", "revision", "prompt_id", "prompt_sha256")
    columns = {name: pc.struct_field(teachers, name) for name in names}
    return {tuple(g[n] for n in names): g["count_all"] for g in grouped(pa.table(columns))}


@dataclass
class TrackFigures:
    """Of the tracks that are ok; `rejected` counts the others."""

    tracks: int = 0
    seconds: float = 0.0
    by_split: Counter[str] = field(default_factory=Counter)
    works: dict[str, set[str]] = field(default_factory=dict)
    places: dict[str, Counter[str]] = field(default_factory=dict)
    place_seconds: Counter[tuple[str, str]] = field(default_factory=Counter)
    durations: Counter[int] = field(default_factory=Counter)
    """Index of the edge below -> tracks."""
    sources: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)


def tracks(shards: Iterable[Path]) -> TrackFigures:
    """Count tracks by status, split, work, duration (s), place and tool."""
    found = TrackFigures()
    made = ["provenance.tool", "provenance.tool_version"]
    for path in shards:
        rows = _columns(path, ["status", "split", "work_id", "duration_s", *PLACES, *made])
        found.rejected.update(reasons(rows["status"]))
        for row in rows.filter(pc.equal(rows["status"], OK)).to_pylist():
            _add_track(found, row)
    return found


def _columns(path: Path, names: list[str]) -> pa.Table:
    """The named columns; `tempo.tool` reads that field of the struct alone, and keeps the struct."""
    with pq.ParquetFile(path) as file:
        return file.read(columns=names)


def _add_track(found: TrackFigures, row: dict[str, Any]) -> None:
    found.tracks += 1
    found.seconds += row["duration_s"]
    found.by_split[row["split"]] += 1
    found.works.setdefault(row["split"], set()).add(row["work_id"])
    found.sources[f"{row['provenance']['tool']} {row['provenance']['tool_version']}"] += 1
    found.durations[sum(row["duration_s"] >= edge for edge in DURATION_EDGES_S) - 1] += 1
    for place in PLACES:
        value = row[place] or "not given"
        found.places.setdefault(place, Counter())[value] += 1
        found.place_seconds[place, value] += row["duration_s"]


def tools(shards: Sequence[Path]) -> Counter[tuple[str, str, str]]:
    """(fact, tool, version) -> tracks."""
    found: Counter[tuple[str, str, str]] = Counter()
    names = MEASURED
    for path in shards:
        rows = _columns(path, [f"{n}.{part}" for n in names for part in ("tool", "tool_version")])
        for name in (n for n in names if n in rows.column_names):
            present = rows[name].drop_null()
            columns = {part: pc.struct_field(present, part) for part in ("tool", "tool_version")}
            for group in grouped(pa.table(columns)):
                found[name, group["tool"], group["tool_version"]] += group["count_all"]
    return found
