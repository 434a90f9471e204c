"""Detect questions answerable without audio, by two cues a text-only model would use, kept apart.

- `words`: how often an option is the answer where it is offered, and how the words of the question shift that: naive
  Bayes with smoothing, a family at a time.
- `shape`: how often an option is the answer that is the longest or shortest, stands first or last, or alone repeats
  words of the question. Only of options that were drawn: those that a question names (yes or no) keep their order.

Chance is one in so many options; for `words` also what is known before the question is read, the share of an answer
in its family. So a family that is merely unbalanced stays, and its balance is a matter of the whole set. Counts are
kept a fold at a time, tracks being drawn into folds by hash: no question is judged by counts it is part of.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from music_flamingo.core.hashing import sha256_bytes
from music_flamingo.quality.texts import content_words
from music_flamingo.scoring.normalise import normalise_answer

Counts = Counter[str]
SEPARATOR = "\x1f"


class PriorConfig(BaseModel):
    """Drop what a classifier of words alone answers rightly and surely."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    kind: Literal["prior"]
    folds: int = Field(ge=2)
    smoothing: float = Field(gt=0)
    """Observations at chance that every count begins with: few questions prove nothing."""
    min_probability: float = Field(gt=0, le=1)
    """The answer's, from text alone, at which a question needs no audio ..."""
    min_margin: float = Field(ge=0, le=1)
    """... where it lies this much above chance too."""


@dataclass(frozen=True)
class BlindQuestion:
    """A question with options, as a reader without ears sees it."""

    family: str
    question: str
    options: tuple[str, ...]
    answer: str
    is_drawn: bool
    """Its options were drawn, rather than named by the question."""

    @cached_property
    def words(self) -> list[str]:
        """Content words of the question, sorted."""
        return sorted(content_words(self.question))

    @cached_property
    def names(self) -> list[str]:
        """Normalised name of each option."""
        return [_name(option) for option in self.options]

    @cached_property
    def shapes(self) -> list[str]:
        """Each option's surface form, relative to the question's words."""
        return _shapes(self.options, frozenset(self.words))


@dataclass(frozen=True)
class Guess:
    """What text alone makes of a question, by the cue that is surest of any option: chosen without the answer."""

    answer_probability: float
    chance: float
    is_right: bool
    """The option that the cue favours is the answer."""
    cue: Literal["words", "shape"]


@lru_cache(maxsize=65536)
def _name(option: str) -> str:
    return normalise_answer(option)


@lru_cache(maxsize=4096)
def fold_of(track_id: str, folds: int) -> int:
    """Cross-validation fold of a track, from the SHA-256 of its id."""
    return int(sha256_bytes(track_id.encode())[:8], 16) % folds


def count(asked: Iterable[BlindQuestion]) -> Counts:
    """What the classifier learns from questions: all it needs, so that counts of shards can be added."""
    counts: Counts = Counter()
    for q in asked:
        for name in q.names:
            counts[_k("offered", q.family, name)] += 1
        right = _name(q.answer)
        counts[_k("answer", q.family, right)] += 1
        counts[_k("family", q.family)] += 1
        counts.update(_k("word", q.family, right, w) for w in q.words)
        counts.update(_k("any", q.family, w) for w in q.words)
        if q.is_drawn:
            counts.update(_k("shape", shape) for shape in q.shapes)
            counts[_k("shaped", q.shapes[q.options.index(q.answer)])] += 1
    return counts


def _k(*parts: str) -> str:
    return SEPARATOR.join(parts)


@dataclass(frozen=True)
class TextOnly:
    """The classifier that judges one fold, by the counts of all the others: the whole less its own."""

    whole: Mapping[str, int]
    held_out: Mapping[str, int]
    smoothing: float

    def guess(self, q: BlindQuestion) -> Guess:
        """Needs a question with at least two options, the answer among them."""
        place, uniform = q.options.index(q.answer), 1 / len(q.options)
        before = self._before(q)
        shares, chance, cue = self._by_words(q, before), max(before[place], uniform), "words"
        if q.is_drawn and max(by_shape := self._by_shape(q)) > max(shares):
            shares, chance, cue = by_shape, uniform, "shape"
        best = max(range(len(shares)), key=lambda i: (shares[i], -i))
        return Guess(shares[place], chance, best == place, "shape" if cue == "shape" else "words")

    def _get(self, *parts: str) -> int:
        key = SEPARATOR.join(parts)
        return self.whole.get(key, 0) - self.held_out.get(key, 0)

    def _before(self, q: BlindQuestion) -> list[float]:
        """Each option's share of being the answer where it is offered."""
        a = self.smoothing
        rates = [
            (self._get("answer", q.family, n) + a / len(q.options)) / (self._get("offered", q.family, n) + a)
            for n in q.names
        ]
        return _normalised(rates)

    def _by_words(self, q: BlindQuestion, before: Sequence[float]) -> list[float]:
        """Bayes: a word that every question of the family has says nothing."""
        family, a = self._get("family", q.family), self.smoothing
        logs = []
        for name, prior in zip(q.names, before, strict=True):
            answers = self._get("answer", q.family, name)
            total = math.log(prior)
            for word in q.words:
                usual = (self._get("any", q.family, word) + a) / (family + a)
                total += math.log((self._get("word", q.family, name, word) + a * usual) / (answers + a) / usual)
            logs.append(total)
        most = max(logs)
        return _normalised([math.exp(x - most) for x in logs])

    def _by_shape(self, q: BlindQuestion) -> list[float]:
        a = self.smoothing
        return _normalised(
            [(self._get("shaped", s) + a / len(q.options)) / (self._get("shape", s) + a) for s in q.shapes]
        )


def _normalised(values: Sequence[float]) -> list[float]:
    total = sum(values)
    return [v / total for v in values]


def _shapes(options: Sequence[str], question: frozenset[str]) -> list[str]:
    """Length, place and repetition of the question's words, one text an option."""
    lengths = [len(o) for o in options]
    repeats = [len(content_words(o) & question) for o in options]
    shapes = []
    for i, length in enumerate(lengths):
        size = "longest" if lengths.count(max(lengths)) == 1 and length == max(lengths) else "middle"
        size = "shortest" if lengths.count(min(lengths)) == 1 and length == min(lengths) else size
        place = "first" if i == 0 else "last" if i == len(options) - 1 else "inside"
        alone = "echo" if repeats[i] > max((r for k, r in enumerate(repeats) if k != i), default=0) else "plain"
        shapes.append(f"{len(options)} {size} {place} {alone}")
    return shapes


def needs_no_audio(guess: Guess, config: PriorConfig) -> bool:
    """Whether a guess from text alone is confident, and more so than chance by the configured margin."""
    sure = guess.answer_probability >= config.min_probability
    return sure and guess.answer_probability >= guess.chance + config.min_margin


def right_beyond_chance(num_right: int, tries: int, chance: float) -> float:
    """Probability of so many right answers or more in so many tries, each right by chance: binomial tail."""
    return sum(math.comb(tries, k) * chance**k * (1 - chance) ** (tries - k) for k in range(num_right, tries + 1))
