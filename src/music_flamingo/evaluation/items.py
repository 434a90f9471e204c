"""Questions about held-out pieces, answered from the scores' truth and not from MIR output, where there is a truth.

Every family has a closed set of answers. Up to `per_family` tracks are asked about, as evenly over its answers and
its works as the pieces allow; what imbalance is left is undone by weighting (intervals.py), so that guessing, or
saying the same word every time, scores 1 / number of answers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeVar

import numpy as np

from music_flamingo.core.hashing import sha256_json
from music_flamingo.records import Facts, Truth
from music_flamingo.scoring.families import FAMILIES, Family

SEPARATOR = ": "
"""Between a caption's category and its value in a reference: `meter: duple meter`."""
MIN_ANSWERS = 2
"""A family whose held-out pieces all have one answer asks nothing of the ear."""


@dataclass(frozen=True)
class ExamItem:
    """One question about one track."""

    track_id: str
    work_id: str
    family: str
    question: str
    options: tuple[str, ...]
    reference: str
    values: tuple[str, ...] = ()
    """For a caption: the words that name what `reference` stands for, any of them."""
    number: int = 0
    """Of several questions of a family about one track: 1, 2 ..."""

    @property
    def category(self) -> str:
        """Of a caption: which of its categories is judged. Empty for a question."""
        return self.reference.partition(SEPARATOR)[0] if self.values else ""

    @property
    def id(self) -> str:
        """Id of the item: family, category, track and number."""
        number = str(self.number) if self.number else ""
        return "/".join(part for part in (self.family, self.category, self.track_id, number) if part)


Reference = Truth | Facts
"""What an exam is graded by: a score's truth, or (a source without truth) trusted facts that nobody was trained on."""
R = TypeVar("R", Truth, Facts, Reference)


def answer_of(family: Family, known: Reference) -> str | None:
    """The answer that a score's truth, or a track's trusted facts, give to a family's question."""
    return family.from_truth(known) if isinstance(known, Truth) else family.from_facts(known)


def choose_items(known: Iterable[Reference], families: Sequence[str], per_family: int, seed: int) -> list[ExamItem]:
    """Questions of the named families, in order of family and track. A family with one answer only gives none."""
    ordered = sorted(known, key=lambda t: t.id)
    return [item for name in families for item in _family_items(FAMILIES[name], ordered, per_family, seed)]


def _family_items(family: Family, known: Sequence[Reference], per_family: int, seed: int) -> list[ExamItem]:
    by_answer: dict[str, list[Reference]] = {}
    for truth in known:
        answer = answer_of(family, truth)
        if answer is not None:
            by_answer.setdefault(answer, []).append(truth)
    if len(by_answer) < MIN_ANSWERS:
        return []
    most = -(-per_family // len(family.options))
    chosen = [
        ExamItem(truth.id, truth.work_id, family.name, family.question, family.options, answer)
        for answer in sorted(by_answer)
        for truth in spread_over_works(by_answer[answer], seed, family.name, answer)[:most]
    ]
    return sorted(chosen, key=lambda item: item.track_id)


def spread_over_works(truths: Sequence[R], seed: int, *names: str) -> list[R]:
    """In an order, drawn by seed and names, in which every work comes once before any comes twice."""
    by_work: dict[str, list[R]] = {}
    for index in rng_of(seed, *names).permutation(len(truths)):
        by_work.setdefault(truths[index].work_id, []).append(truths[index])
    return [truth for turn in zip_longest(*by_work.values()) for truth in turn if truth is not None]


def rng_of(seed: int, *names: str) -> np.random.Generator:
    """A generator of its own for each use, so that adding a family changes no other family's questions."""
    return np.random.default_rng(int(sha256_json([seed, *names])[:16], 16))
