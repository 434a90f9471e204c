"""Per-shard validation passes: rules, then whole-set checks, then split into kept and rejected.

Between the two passes lie small files in a scratch folder, so that an interrupted run goes on: of each shard its
reasons and signatures (`checked`), the counts of its words (`words`), what teachers said of it (`reader`, `judge`).
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from music_flamingo.core.memory import no_search_for_cycles
from music_flamingo.core.ports import Table, Writer
from music_flamingo.core.record import OK, QUARANTINED
from music_flamingo.core.shards import atomic_path, shard_path, write_atomic
from music_flamingo.quality.checks import Limits, Song, reason_against
from music_flamingo.quality.metadata import names_of
from music_flamingo.quality.near_texts import TextLimits, count_words, near_duplicates, signatures
from music_flamingo.quality.rows import SCHEMA as NARROW
from music_flamingo.quality.rows import narrow
from music_flamingo.quality.text_only import (
    BlindQuestion as Question,
)
from music_flamingo.quality.text_only import (
    Counts,
    Guess,
    PriorConfig,
    TextOnly,
    count,
    fold_of,
    needs_no_audio,
)
from music_flamingo.records import Example, Facts, Track, trusted
from music_flamingo.records.caption import TEACHER_FAILED
from music_flamingo.scoring.options import are_drawn

Repeats = Mapping[int, str]
"""Row of a shard -> id of the earlier example whose text it repeats."""

CHECKED = pa.schema([pa.field("reason", pa.string()), pa.field("signature", pa.binary())])
ASKED = pa.schema([pa.field("reason", pa.string()), pa.field("judge_score", pa.float64())])


class TeacherVerdict(NamedTuple):
    """What stands of an example after a teacher was asked: the reason against it or an empty text, and its score."""

    reason: str
    judge_score: float | None


@dataclass(frozen=True)
class ScratchFiles:
    """The files between the passes."""

    root: Path

    def path(self, kind: str, index: int) -> Path:
        """Path of one intermediate file: JSON for words, Parquet otherwise."""
        return self.root / f"{kind}-{index:05d}.{'json' if kind == 'words' else 'parquet'}"

    def has(self, kind: str, index: int) -> bool:
        """Whether this intermediate file was written already."""
        return self.path(kind, index).exists()

    def write(self, kind: str, index: int, table: pa.Table) -> None:
        """Write one intermediate table atomically."""
        with atomic_path(self.path(kind, index)) as temporary:
            pq.write_table(table, temporary)

    def read(self, kind: str, index: int) -> pa.Table:
        """Read one intermediate table."""
        return pq.read_table(self.path(kind, index))

    def read_all(self, kind: str, indices: Sequence[int]) -> pa.Table:
        """Read and concatenate the tables of several shards; an empty table where there are none."""
        return pa.concat_tables([self.read(kind, i) for i in indices]) if indices else NARROW.empty_table()

    def write_asked(self, kind: str, index: int, said: Sequence[TeacherVerdict]) -> None:
        """Write the teacher's verdicts of a shard: a reject reason and a judge's score per example."""
        columns = [
            pa.array([a.reason for a in said], pa.string()),
            pa.array([a.judge_score for a in said], pa.float64()),
        ]
        self.write(kind, index, pa.table(columns, schema=ASKED))

    def is_settled(self, kind: str, index: int) -> bool:
        """A teacher's answers are there and no call of them failed: an interrupted run asks once more what had."""
        if not self.has(kind, index):
            return False
        return not pc.any(pc.starts_with(self.read(kind, index)["reason"], TEACHER_FAILED)).as_py()


@dataclass(frozen=True)
class Check:
    """First pass: each example against the facts of its track and what else is said of it."""

    limits: Limits
    over_tracks: TextLimits | None
    prior: PriorConfig | None
    candidates: Table[Example]
    facts: Table[Facts]
    tracks: Table[Track]
    scratch: ScratchFiles

    def __call__(self, index: int) -> int:
        """Check shard `index`; gives the number of its examples."""
        with no_search_for_cycles():
            return self._check(index)

    def _check(self, index: int) -> int:
        examples = self.candidates.read_shard(index)
        songs = self._songs(index)
        reasons = [_reason(e, songs.get(e.track_id)) for e in examples]
        if self.prior is not None:
            kept = [e for e, reason in zip(examples, reasons, strict=True) if not reason]
            write_atomic(self.scratch.path("words", index), json.dumps(_count(kept, self.prior.folds)))
        table = pa.table([pa.array(reasons, pa.string()), self._signatures(examples, reasons)], schema=CHECKED)
        self.scratch.write("checked", index, table)
        return len(examples)

    def _songs(self, index: int) -> dict[str, Song]:
        path = shard_path(self.tracks.root, index)
        columns = pq.read_table(path, columns=["id", "duration_s", "title", "artist", "uri"]).to_pydict()
        named = map(names_of, columns["title"], columns["artist"], columns["uri"])
        names = dict(zip(columns["id"], named, strict=True))
        durations_s = dict(zip(columns["id"], columns["duration_s"], strict=True))
        known = [f for f in self.facts.read_shard(index) if durations_s.get(f.id) is not None]
        return {f.id: Song(trusted(f), durations_s[f.id], self.limits, names[f.id]) for f in known}

    def _signatures(self, examples: Sequence[Example], reasons: Sequence[str]) -> pa.Array:
        found: list[bytes | None] = [None] * len(examples)
        if self.over_tracks is not None and examples:
            words = count_words(pa.array([e.answer for e in examples], pa.string()))
            long = [i for i, n in enumerate(words) if n >= self.over_tracks.min_words and not reasons[i]]
            minima = signatures([examples[i].answer for i in long], self.over_tracks.words_per_gram)
            for i, row in zip(long, minima, strict=True):
                found[i] = row.tobytes()
        return pa.array(found, pa.binary())


def _reason(example: Example, song: Song | None) -> str:
    if not example.is_ok:
        return example.status.removeprefix(QUARANTINED)  # its teacher's call failed, and it says so
    return (reason_against(example, song) or "") if song else "track_unknown"


def as_asked(family: str, question: str, options: Sequence[str], answer: str) -> Question | None:
    """The question as text alone shows it; None where nothing can be chosen."""
    if len(options) < 2 or answer not in options:
        return None
    return Question(family, question, tuple(options), answer, are_drawn(question, options))


def _count(kept: Sequence[Example], folds: int) -> dict[int, Counts]:
    by_fold: dict[int, list[Question]] = {}
    for example in kept:
        asked = as_asked(example.family, example.question, example.options, example.answer)
        if asked is not None:
            by_fold.setdefault(fold_of(example.track_id, folds), []).append(asked)
    return {fold: count(asked) for fold, asked in sorted(by_fold.items())}


def find_repeats(
    scratch: ScratchFiles, candidates: Table[Example], indices: Sequence[int], similarity: float
) -> dict[int, dict[int, str]]:
    """Shard -> row -> id of the earlier long text that it repeats, over all shards."""
    minima, places = [], []
    for index in indices:
        column = scratch.read("checked", index)["signature"]
        rows = np.flatnonzero(column.is_valid().to_numpy())
        packed = b"".join(column.drop_null().to_pylist())
        minima.append(np.frombuffer(packed, np.uint16).reshape(len(rows), -1) if len(rows) else None)
        places += [(index, int(row)) for row in rows]
    known = [m for m in minima if m is not None]
    if not known:
        return {}
    found = near_duplicates(np.concatenate(known), similarity)
    names = _ids(candidates, {places[k] for k in found.values()})
    repeats: dict[int, dict[int, str]] = {}
    for later, earlier in found.items():
        shard, row = places[later]
        repeats.setdefault(shard, {})[row] = names[places[earlier]]
    return repeats


def _ids(candidates: Table[Example], places: set[tuple[int, int]]) -> dict[tuple[int, int], str]:
    names: dict[tuple[int, int], str] = {}
    for shard, within in groupby(sorted(places), key=lambda place: place[0]):
        ids = pq.read_table(shard_path(candidates.root, shard), columns=["id"])["id"]
        names |= {place: ids[place[1]].as_py() for place in within}
    return names


def merge_words(scratch: ScratchFiles, indices: Sequence[int]) -> Path:
    """One file of all shards' counts. What was seen once proves nothing and is left out: it keeps the file small."""
    whole: Counter[str] = Counter()
    by_fold: dict[str, Counter[str]] = {}
    for index in indices:
        for fold, counts in json.loads(scratch.path("words", index).read_bytes()).items():
            by_fold.setdefault(fold, Counter()).update(counts)
            whole.update(counts)
    often = {key for key, n in whole.items() if n > 1}
    kept = {fold: {k: n for k, n in sorted(c.items()) if k in often} for fold, c in sorted(by_fold.items())}
    path = scratch.root / "words.json"
    write_atomic(path, json.dumps(kept))
    return path


@lru_cache(maxsize=1)
def load_text_only(path: Path, modified_ns: int, folds: int, smoothing: float) -> list[TextOnly]:
    """The classifier that judges each fold, from the file of `merge_words`; once a process."""
    by_fold = {int(fold): counts for fold, counts in json.loads(path.read_bytes()).items()}
    whole: Counter[str] = Counter()
    for counts in by_fold.values():
        whole.update(counts)
    return [TextOnly(whole, by_fold.get(fold, {}), smoothing) for fold in range(folds)]


@dataclass(frozen=True)
class Decide:
    """What becomes of each example of a shard, before any teacher is asked."""

    prior: PriorConfig | None
    words: Path | None
    """The file of `merge_words`."""
    scratch: ScratchFiles
    candidates: Table[Example]

    def __call__(self, index: int, repeats: Repeats) -> tuple[list[str], list[Guess | None]]:
        """(reason or empty, what text alone makes of it) of each example."""
        reasons = self.scratch.read("checked", index)["reason"].to_pylist()
        for row, earlier in repeats.items():
            reasons[row] = f"near_duplicate_of:{earlier}"
        guesses: list[Guess | None] = [None] * len(reasons)
        if self.prior is None or self.words is None:
            return reasons, guesses
        models = load_text_only(self.words, self.words.stat().st_mtime_ns, self.prior.folds, self.prior.smoothing)
        columns = ["track_id", "family", "question", "options", "answer"]
        rows = pq.read_table(shard_path(self.candidates.root, index), columns=columns).to_pylist()
        for i, row in enumerate(rows):
            asked = as_asked(row["family"], row["question"], row["options"], row["answer"])
            if reasons[i] or asked is None:
                continue
            guess = models[fold_of(row["track_id"], self.prior.folds)].guess(asked)
            guesses[i] = guess
            if needs_no_audio(guess, self.prior):
                reasons[i] = f"answered_without_audio:{guess.cue}"
        return reasons, guesses


@dataclass(frozen=True)
class Sort:
    """Second pass: the kept to `skills`, the others to `rejects` by reason, a narrow row of each to scratch."""

    decide: Decide
    skills: Writer[Example]
    rejects: Writer[Example]
    asked: str | None
    """The last round of questions to a teacher; what stands after it lies in scratch."""

    def __call__(self, job: tuple[int, Repeats]) -> int:
        index, repeats = job
        reasons, guesses = self.decide(index, repeats)
        rows = pq.read_table(shard_path(self.decide.candidates.root, index))
        scores = pa.nulls(len(rows), pa.float64())
        if self.asked is not None:
            asked = self.decide.scratch.read(self.asked, index)
            reasons, scores = asked["reason"].to_pylist(), asked["judge_score"]
        status = pa.array([QUARANTINED + r if r else OK for r in reasons], pa.string())
        rows = _with(_with(rows, "status", status), "judge_score", scores)
        kept = pc.equal(status, OK)
        self.decide.scratch.write("rows", index, narrow(rows, reasons, guesses))
        self.rejects.write_table(index, rows.filter(pc.invert(kept)))
        self.skills.write_table(index, rows.filter(kept))
        return len(reasons)


def _with(rows: pa.Table, name: str, column: pa.Array | pa.ChunkedArray) -> pa.Table:
    rest = rows.drop_columns([name]) if name in rows.column_names else rows
    return rest.append_column(name, column)
