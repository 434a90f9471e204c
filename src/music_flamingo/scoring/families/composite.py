"""Composite questions: what is asked follows by logic from the answers to two or three questions of single families.

A composite question names parts (`drums`, `sustained notes`) that may hold or not; its wording can be read back, so
that whoever wrote it, its answer is checked against facts and a chain of thought against its own checks. Every question
is drawn with near misses: often a single part is false.
"""

import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from music_flamingo.records import Facts, Truth
from music_flamingo.records.example import QuestionType, Skill
from music_flamingo.scoring.families.base import Family

Heard = Mapping[str, str]
"""Family -> the answer to its own question, as facts, truth or the steps of a chain have it."""
RIGHT, WRONG = "right", "wrong"
TRIES = 8
"""Draws before a track is left with fewer questions of a family: nearly all of its own were asked."""


@dataclass(frozen=True)
class NamedPart:
    """One thing that a composite question names: an answer of a single family."""

    family: str
    value: str

    def holds(self, heard: Heard) -> bool | None:
        """Whether it is so; None where its family is unanswered."""
        return None if self.family not in heard else heard[self.family] == self.value


@dataclass(frozen=True)
class CompositeQuestion:
    """A composite question in words, with its answer and its parts in the order of the words."""

    text: str
    answer: str
    parts: tuple[NamedPart, ...]


@dataclass(frozen=True)
class Composite:
    """One kind of composite question: wording, logic, and how many of its parts are made false."""

    name: str
    title: str
    """On pages."""
    skill: Skill
    type: QuestionType
    wording: str
    """With `{parts}` where they stand."""
    joint: str
    """Between two parts."""
    sizes: tuple[int, ...]
    """Numbers of parts, each as often as it stands here."""
    options: tuple[str, ...]
    answer: Callable[[int, int], str]
    """(parts that hold, all parts) -> the answer."""
    num_false: Callable[[random.Random, int], int]
    """Draw how many of so many parts are false: both answers about equally often, and near misses among them."""
    difficulty: int

    @property
    def question(self) -> str:
        """The wording for pages, with dots for its parts."""
        return self.wording.format(parts="...")

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        before, after = self.wording.split("{parts}")
        return re.compile(re.escape(before) + "(.+)" + re.escape(after))

    def worded(self, parts: Sequence[NamedPart], families: Mapping[str, Family]) -> str:
        """Give the question about these parts in words."""
        phrases = [families[part.family].claims[part.value].phrase for part in parts]
        return self.wording.format(parts=self.joint.join(phrases))

    def read(self, question: str, families: Mapping[str, Family]) -> tuple[NamedPart, ...] | None:
        """Read the parts of a question back from its words; None where it is worded otherwise."""
        found = self._pattern.fullmatch(question)
        if found is None:
            return None
        phrases = found.group(1).split(self.joint)
        known = by_phrase(families)
        parts = tuple(known[phrase] for phrase in phrases if phrase in known)
        whole = len(parts) == len(phrases) and len({part.family for part in parts}) == len(parts)
        return parts if whole and len(parts) in self.sizes else None

    def follows(self, parts: Sequence[NamedPart], heard: Heard) -> str | None:
        """Give the answer that follows from what is heard; None where a part's family is unanswered."""
        held = [part.holds(heard) for part in parts]
        return None if None in held else self.answer(sum(map(bool, held)), len(parts))

    def draw(self, heard: Heard, families: Mapping[str, Family], rng: random.Random) -> CompositeQuestion | None:
        """Draw a question about a piece of which `heard` is true; None where too little is known of it."""
        names = drawn_families(heard, families, rng)
        size = rng.choice(self.sizes)
        if len(names) < size:
            return None
        names = names[:size]
        false = set(rng.sample(names, self.num_false(rng, size)))
        parts = tuple(
            NamedPart(name, rng.choice([v for v in families[name].options if v != heard[name]]))
            if name in false
            else NamedPart(name, heard[name])
            for name in names
        )
        return CompositeQuestion(self.worded(parts, families), self.answer(size - len(false), size), parts)

    def draw_many(
        self,
        heard: Heard,
        families: Mapping[str, Family],
        count: int,
        rng: random.Random,
        wanted: Callable[[tuple[NamedPart, ...]], bool] = lambda parts: True,
    ) -> list[CompositeQuestion]:
        """Draw up to `count` questions of wanted parts that differ in more than the order of these."""
        found: dict[frozenset[NamedPart], CompositeQuestion] = {}
        for _ in range(count * TRIES):
            question = self.draw(heard, families, rng)
            if question is None or len(found) == count:
                break
            if wanted(question.parts):
                found.setdefault(frozenset(question.parts), question)
        return list(found.values())


def drawn_families(heard: Heard, families: Mapping[str, Family], rng: random.Random) -> list[str]:
    """Families that are answered and have phrases, in a drawn order; of those that tell each other the first drawn."""
    able = [name for name in families if name in heard and all(c.phrase for c in families[name].claims.values())]
    kept: list[str] = []
    for name in rng.sample(able, len(able)):
        if not any(name in families[other].tells or other in families[name].tells for other in kept):
            kept.append(name)
    return kept


def by_phrase(families: Mapping[str, Family]) -> dict[str, NamedPart]:
    """Phrase -> the part that it names."""
    return {
        claim.phrase: NamedPart(family.name, value)
        for family in families.values()
        for value, claim in family.claims.items()
        if claim.phrase
    }


def heard_in_facts(facts: Facts, families: Iterable[Family]) -> dict[str, str]:
    """Family -> its answer by the facts, where they answer it."""
    return {f.name: answer for f in families if (answer := f.from_facts(facts)) is not None}


def heard_in_truth(truth: Truth, families: Iterable[Family]) -> dict[str, str]:
    """Family -> its answer by the score, where it has one."""
    return {f.name: answer for f in families if (answer := f.from_truth(truth)) is not None}
