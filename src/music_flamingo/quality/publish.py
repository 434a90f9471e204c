"""Publish data docs: the page, the expectations as JSON, the review sheet with its clips."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from music_flamingo.audio.clips import cut, window
from music_flamingo.core.ports import OutputFolder, Table, Writer
from music_flamingo.core.record import QUARANTINED, Record
from music_flamingo.core.shards import shard_index, shard_path, write_atomic
from music_flamingo.quality.docs import SHOWN_REJECTS, Rejected, page
from music_flamingo.quality.expectations import ExpectationResult
from music_flamingo.quality.overview import overview
from music_flamingo.quality.review import ReviewConfig, ReviewSample, draw, strata
from music_flamingo.quality.sheet import SheetExample, clip_name, item, write_sheet
from music_flamingo.records import Example, Facts, Track

PAGE_NAME = "index.html"
QUOTED_CHARACTERS = 200

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class ValidationInputs:
    """What validation reads. Shards of equal number belong together."""

    candidates: Table[Example]
    facts: Table[Facts]
    tracks: Table[Track]

    @property
    def indices(self) -> list[int]:
        """Shard numbers of the candidates, in order."""
        return [shard_index(path) for path in self.candidates.shards]


def write_docs(
    folder: OutputFolder,
    rows: pa.Table,
    findings: Sequence[ExpectationResult],
    review: ReviewConfig,
    ports: ValidationInputs,
    skills: Writer[Example],
    rejects: Writer[Example],
) -> None:
    """Write data docs into `folder`: page, expectations as JSON, review sheet with audio clips."""
    sample = draw(rows, review)
    quoted = quote(rows, rejects, ports)
    scores = Counter(int(s) for s in skills.columns("judge_score")["judge_score"].drop_null().to_pylist())
    scores += Counter(int(s) for s in rejects.columns("judge_score")["judge_score"].drop_null().to_pylist())
    text = page(findings, overview(rows), quoted, dict(sorted(scores.items())), len(sample))
    write_atomic(folder.root / PAGE_NAME, text)
    found = [f.model_dump() for f in findings]
    write_atomic(folder.root / "expectations.json", json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    if sample:
        items = list(sheet_items(folder, sample, review, ports, skills, rejects))
        write_sheet(folder.root / "review", items, strata(rows))


def quote(rows: pa.Table, rejects: Writer[Example], ports: ValidationInputs) -> list[Rejected]:
    """The first rejects of each reason."""
    reason = rows["reason"].to_numpy(zero_copy_only=False)
    first: list[int] = []
    for name in sorted(set(pc.unique(rows["reason"]).to_pylist()) - {""}):
        first += np.flatnonzero(reason == name)[:SHOWN_REJECTS].tolist()
    columns = ["id", "status", "question", "answer"]
    quoted = []
    for shard, numbers in _by_shard(sorted(first), ports):
        wanted = pq.read_table(shard_path(ports.candidates.root, shard), columns=["id"])["id"].take(numbers)
        there = pq.read_table(shard_path(rejects.root, shard), columns=columns)
        for row in there.filter(pc.is_in(there["id"], wanted.combine_chunks())).to_pylist():
            name, _, detail = row["status"].removeprefix(QUARANTINED).partition(":")
            texts = {key: row[key][:QUOTED_CHARACTERS] for key in ("question", "answer")}
            quoted.append(Rejected(id=row["id"], reason=name, detail=detail, **texts))
    return quoted


def sheet_items(
    folder: OutputFolder,
    sample: Sequence[ReviewSample],
    review: ReviewConfig,
    ports: ValidationInputs,
    skills: Writer[Example],
    rejects: Writer[Example],
) -> Iterator[SheetExample]:
    """The drawn examples as the sheet shows them, where there is audio; their clips are written on the way."""
    stratum = {drawn.row: drawn.stratum for drawn in sample}
    offsets = dict(zip(ports.indices, _offsets(ports), strict=True))
    for shard, numbers in _by_shard(sorted(stratum), ports):
        ids = pq.read_table(shard_path(ports.candidates.root, shard), columns=["id"])["id"].to_pylist()
        became = {e.id: e for port in (skills, rejects) for e in _some(port, shard, {ids[n] for n in numbers})}
        wanted = {became[ids[n]].track_id for n in numbers}
        tracks = {t.id: t for t in _some(ports.tracks, shard, wanted)}
        facts = {f.id: f for f in _some(ports.facts, shard, wanted)}
        for number in numbers:
            example = became[ids[number]]
            track = tracks.get(example.track_id)
            if track is None or track.audio is None or track.duration_s is None:
                continue
            cited = [(r.start_s, r.end_s) for r in example.references]
            span = window(cited, track.duration_s, review.max_clip_s)
            name = clip_name(track.id, span)
            write_atomic(folder.root / "review" / name, cut(track.audio.bytes, *span, "flac"))
            yield item(example, stratum[offsets[shard] + number], facts.get(track.id), name, span)


def _some(port: Table[R] | Writer[R], shard: int, ids: set[str]) -> list[R]:
    """The records of a shard that have these ids; the others are not read in full."""
    path = shard_path(port.root, shard)
    rows = pq.read_table(path, filters=[("id", "in", sorted(ids))]) if ids else None
    return [port.record.model_validate(row) for row in rows.to_pylist()] if rows is not None else []


def _offsets(ports: ValidationInputs) -> list[int]:
    """Number of the first row of each shard among all."""
    sizes = [pq.read_metadata(path).num_rows for path in ports.candidates.shards]
    return list(accumulate(sizes, initial=0))[:-1]


def _by_shard(numbers: Sequence[int], ports: ValidationInputs) -> Iterator[tuple[int, list[int]]]:
    """(shard, rows within it) of ascending row numbers."""
    offsets, indices = np.array(_offsets(ports)), ports.indices
    places = np.searchsorted(offsets, numbers, side="right") - 1
    for place, group in groupby(zip(places.tolist(), numbers, strict=True), key=lambda pair: pair[0]):
        yield indices[place], [number - int(offsets[place]) for _, number in group]
