"""Select the questions that get a chain of thought, from columns, shard by shard, in bounded memory."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from music_flamingo.core.ports import Table
from music_flamingo.core.progress import Progress
from music_flamingo.core.record import Record, read_parquet, write_parquet
from music_flamingo.core.shards import shard_index, shard_path, shard_paths
from music_flamingo.quality.difficulty import Candidate, Difficulty, DifficultyRule, choose
from music_flamingo.quality.steps import OptionProbabilities
from music_flamingo.reasoning.probing import ProbedQuestion
from music_flamingo.records import Example, Facts, trusted
from music_flamingo.scoring.families import COMPOSITES, FAMILIES, HeldOutCombinations, parts_asked
from music_flamingo.teachers import Teacher, TeacherFailedError, over_shards, request_seed
from music_flamingo.teachers.thinking import rate

NOT_ASKED = 1.0
"""In place of a probability of the right answer: composite questions are not put to the model, whose SFT need not know
them; they are chosen by the teacher's rating, and their checks are what the model is asked about."""


@dataclass(frozen=True)
class Wanted:
    """Which examples may be chosen."""

    families: frozenset[str] | None
    """None: all of them."""
    trivial: frozenset[str]
    held_out: HeldOutCombinations | None
    """Combinations of parts that GRPO alone asks about."""

    def takes(self, family: str, question: str) -> bool:
        """Whether this question is eligible."""
        if family in self.trivial or (self.families is not None and family not in self.families):
            return False
        return self.held_out is None or not self.held_out.leaves_to_grpo(parts_asked(family, question) or ())


class Rated(Record):
    """A candidate; scratch between the rating and the choice. `id` is the example's."""

    group: str
    answer: str
    is_closed: bool
    answer_probability: float
    rating: int


def training_tracks(skills: Table[Example], most: int, seed: int) -> frozenset[str]:
    """At most `most` tracks of the training split, drawn by seed."""
    columns = skills.columns("track_id", "split")
    training = pc.unique(columns.filter(pc.equal(columns["split"], "train"))["track_id"]).to_pylist()
    rng = random.Random(request_seed(seed, "tracks", []))
    return frozenset(rng.sample(sorted(training), min(most, len(training))))


def num_trivial(skills: Table[Example], wanted: Wanted) -> int:
    """Training questions of the families that are left out because there is nothing to reason about."""
    named = wanted.trivial if wanted.families is None else wanted.trivial & wanted.families
    columns = skills.columns("family", "split")
    is_trivial = pc.is_in(columns["family"], value_set=pc.cast(sorted(named), "string"))
    return int(pc.sum(pc.and_(is_trivial, pc.equal(columns["split"], "train"))).as_py() or 0)


def heard_in(work: Path, index: int) -> dict[str, OptionProbabilities]:
    """Example id -> what the model made of it, of one shard."""
    asked = read_parquet(shard_path(work, index), ProbedQuestion)
    return {a.id: OptionProbabilities(dict(zip(a.options, a.probabilities, strict=True))) for a in asked}


def rate_all(
    teacher: Teacher, skills: Table[Example], facts: Table[Facts], wanted: Wanted, work: Path, seed: int
) -> None:
    """Have every question that was asked rated by the teacher: a file for each shard in `work/rated`."""
    rated = work / "rated"
    rated.mkdir(exist_ok=True)
    pending = [i for i in map(shard_index, skills.shards) if not _is_rated(shard_path(rated, i))]

    def items(index: int) -> Iterator[tuple[Example, Facts, float]]:
        heard = heard_in(work, index)
        known = {f.id: trusted(f) for f in facts.read_shard(index)}
        examples = [e for e in skills.read_shard(index) if wanted.takes(e.family, e.question)]
        listened_to = {e.track_id for e in examples if e.id in heard}
        for e in examples:
            if e.id in heard:
                yield e, known[e.track_id], heard[e.id].probabilities[e.answer]
            elif e.family in COMPOSITES and e.track_id in listened_to:
                yield e, known[e.track_id], NOT_ASKED

    def one(item: tuple[Example, Facts, float]) -> Rated:
        example, about, probability = item
        return Rated(
            id=example.id,
            group=example.skill if wanted.families is None else example.family,
            answer=example.answer,
            is_closed=(example.family in FAMILIES or example.family in COMPOSITES) and wanted.families is not None,
            answer_probability=probability,
            rating=_rating(teacher, example, about, seed),
        )

    shards = ((index, list(items(index))) for index in pending)
    with Progress("reason: rating", len(pending), "shards") as progress:
        for index, made in over_shards(teacher.concurrency, shards, one):
            write_parquet(shard_path(rated, index), Rated, made)
            progress.advance()


def chosen_of(work: Path, choice: DifficultyRule, seed: int) -> dict[str, Difficulty]:
    """Example id -> why it is chosen, from all that was rated."""
    candidates = [
        Candidate(r["id"], r["group"], r["answer"], r["is_closed"], r["answer_probability"], r["rating"])
        for path in shard_paths(work / "rated")
        for r in pq.read_table(path).to_pylist()
    ]
    return choose(candidates, choice, random.Random(request_seed(seed, "choice", [])))


def _is_rated(path: Path) -> bool:
    """A shard is rated when no call failed in it."""
    if not path.exists():
        return False
    return 0 not in pq.read_table(path, columns=["rating"])["rating"].to_pylist()


def _rating(teacher: Teacher, example: Example, facts: Facts, seed: int) -> int:
    """1 to 5; 0, and so chosen last, where the call fails: the question itself is none the worse."""
    try:
        return rate(teacher, example, facts, seed)
    except TeacherFailedError:
        return 0
