"""A finished run's ports by name, read without loading audio."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import pyarrow.parquet as pq

from music_flamingo.core.manifest import Manifest
from music_flamingo.core.ports import InputFolder, Table
from music_flamingo.core.record import QUARANTINED, Record
from music_flamingo.records import Caption, Chain, Example, Facts, Prediction, Score, Track, Truth

R = TypeVar("R", bound=Record)

TRACK_COLUMNS = (
    "id",
    "status",
    "work_id",
    "split",
    "title",
    "artist",
    "tradition",
    "duration_s",
    "uri",
)
"""What lists and counts need of a track: everything but its audio, fingerprint and words."""


@dataclass(frozen=True)
class AnnotationInputs:
    """What annotation gives, MF-Skills included; `truth` is empty for a folder of songs."""

    tracks: Table[Track]
    facts: Table[Facts]
    captions: Table[Caption]
    candidates: Table[Example]
    skills: Table[Example]
    rejects: Table[Example]
    truth: Table[Truth]


@dataclass(frozen=True)
class ReportInputs(AnnotationInputs):
    """The report's inputs. Every port is there; a table may be empty (a folder of songs has no truth and no scores)."""

    think: Table[Chain]
    think_rejects: Table[Chain]
    backbone_model: InputFolder
    sft_model: InputFolder
    warmup_model: InputFolder
    grpo_model: InputFolder
    predictions: Table[Prediction]
    scores: Table[Score]
    release: InputFolder
    data_docs: InputFolder

    @property
    def manifests(self) -> dict[str, Manifest]:
        """Port name -> its completion manifest, in the order of the pipeline."""
        return {f.name: getattr(self, f.name).manifest for f in fields(self)}


@dataclass(frozen=True)
class TrackRow:
    """A track without its audio."""

    id: str
    status: str
    work_id: str
    split: str
    title: str | None
    artist: str | None
    tradition: str | None
    duration_s: float | None
    uri: str

    @property
    def is_ok(self) -> bool:
        """Whether the track was accepted."""
        return self.status == "ok"

    @property
    def name(self) -> str:
        """The title, or the work where there is none."""
        return self.title or self.work_id

    @property
    def tradition_name(self) -> str:
        """Name of the tradition."""
        return tradition_name(self.tradition)


def tradition_name(tradition: str | None) -> str:
    """`american_fiddle` -> American fiddle."""
    words = (tradition or "tradition not given").replace("_", " ")
    return words[:1].upper() + words[1:]


def track_rows(tracks: Table[Track]) -> list[TrackRow]:
    """Read the tracks' columns without audio."""
    return [TrackRow(**row) for row in tracks.columns(*TRACK_COLUMNS).to_pylist()]


def of_tracks(table: Table[R], column: str, ids: Collection[str]) -> Iterator[R]:
    """Records whose `column` is among `ids`; row groups hold what is read, never the whole table."""
    wanted = sorted(ids)
    for path in table.shards:
        for row in pq.read_table(path, filters=[(column, "in", wanted)]).to_pylist(maps_as_pydicts="strict"):
            yield table.record.model_validate(row)


def counted(table: Table[Any], *columns: str) -> dict[tuple[Any, ...], int]:
    """How many records there are of each combination of `columns`, sorted by it."""
    if not len(table):
        return {}
    groups = table.columns(*columns).group_by(list(columns)).aggregate([([], "count_all")]).to_pylist()
    found = {tuple(g[c] for c in columns): int(g["count_all"]) for g in groups}
    return dict(sorted(found.items(), key=lambda item: tuple(str(v) for v in item[0])))


def first_of_each(table: Table[R], per_reason: int) -> dict[str, list[R]]:
    """The first records of each status, by the status without its prefix."""
    found: dict[str, list[R]] = {}
    for record in table:
        group = found.setdefault(record.status.removeprefix(QUARANTINED), [])
        if len(group) < per_reason:
            group.append(record)
    return found


@dataclass(frozen=True)
class TeacherCredit:
    """A teacher, and how many texts of each port it wrote."""

    kind: str
    model: str
    revision: str
    texts: dict[str, int]
    prompts: tuple[str, ...]


def teachers(run: ReportInputs) -> list[TeacherCredit]:
    """Who wrote the words, by the stamp that every text carries."""
    texts: dict[tuple[str, str, str], Counter[str]] = {}
    prompts: dict[tuple[str, str, str], set[str]] = {}
    for port in (run.captions, run.candidates, run.think, run.think_rejects):
        for stamp in port.columns("teacher")["teacher"].to_pylist():
            who = (stamp["kind"], stamp["model"], stamp["revision"])
            texts.setdefault(who, Counter())[port.manifest.port] += 1
            prompts.setdefault(who, set()).add(stamp["prompt_id"])
    return [TeacherCredit(*who, texts=dict(texts[who]), prompts=tuple(sorted(prompts[who]))) for who in sorted(texts)]
