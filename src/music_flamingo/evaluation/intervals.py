"""Balanced accuracy with a 95 % interval: a percentile bootstrap that resamples works, not questions.

Performances of one piece share its melody, and a model that knows one knows them all: the work is the unit of chance
(Efron and Tibshirani 1993, ch. 6 and 8: resample the independent units). Everything is counted in whole numbers and
vectorised: R resamples, W works, S strata. A stratum is one true answer of one family; strata are weighted so that
each answer of a family, and each family of an overall score, counts the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from music_flamingo.records import Prediction

CONFIDENCE = 0.95
RESAMPLES = 2000
"""Where nobody says otherwise."""


@dataclass(frozen=True)
class Mark:
    """One scored answer. `reference` is the true answer: together with the family it names the stratum."""

    work_id: str
    family: str
    reference: str
    correct: bool


def marks_of(predictions: Sequence[Prediction]) -> list[Mark]:
    """Give the marks of graded answers, in their order."""
    return [Mark(p.work_id, p.family, p.reference, p.correct) for p in predictions]


@dataclass(frozen=True)
class Interval:
    """A value and the bounds of its 95 % interval."""

    value: float
    low: float
    high: float


def accuracy_interval(marks: Sequence[Mark], resamples: int, seed: int) -> Interval:
    """Balanced accuracy over all marks. Raises ValueError for no marks."""
    counts = _Counts.of(marks)
    drawn_RW = _draw_works(counts.num_works, resamples, seed)
    return percentiles(float(counts.score(np.ones((1, counts.num_works)))[0]), counts.score(drawn_RW))


def difference_interval(marks: Sequence[Mark], minus: Sequence[Mark], resamples: int, seed: int) -> Interval:
    """Balanced accuracy of `marks` less that of `minus`: the same questions in the same order, resampled together."""
    if [_question(m) for m in marks] != [_question(m) for m in minus]:
        raise ValueError("a paired difference needs the same questions in the same order")
    ours, theirs = _Counts.of(marks), _Counts.of(minus)
    drawn_RW = _draw_works(ours.num_works, resamples, seed)
    one_1W = np.ones((1, ours.num_works))
    value = float((ours.score(one_1W) - theirs.score(one_1W))[0])
    return percentiles(value, ours.score(drawn_RW) - theirs.score(drawn_RW))


def mean_difference_interval(
    pairs: Sequence[tuple[Sequence[Mark], Sequence[Mark]]], resamples: int, seed: int
) -> Interval:
    """Mean over runs (seeds) of the paired differences, the same works resampled in all of them.

    Raises ValueError where a pair, or two runs, do not hold the same questions in the same order.
    """
    asked = [_question(m) for m in pairs[0][0]]
    if any([_question(m) for m in marks] != asked for pair in pairs for marks in pair):
        raise ValueError("a mean over runs needs the same questions in the same order in each of them")
    counts = [(_Counts.of(ours), _Counts.of(theirs)) for ours, theirs in pairs]
    num_works = counts[0][0].num_works
    drawn_RW, one_1W = _draw_works(num_works, resamples, seed), np.ones((1, num_works))
    value = np.mean([a.score(one_1W) - b.score(one_1W) for a, b in counts])
    return percentiles(float(value), np.mean([a.score(drawn_RW) - b.score(drawn_RW) for a, b in counts], axis=0))


@dataclass(frozen=True)
class _Counts:
    correct_WS: np.ndarray
    total_WS: np.ndarray
    weight_S: np.ndarray

    @classmethod
    def of(cls, marks: Sequence[Mark]) -> "_Counts":
        if not marks:
            raise ValueError("no answers to score")
        works = {work: i for i, work in enumerate(sorted({m.work_id for m in marks}))}
        strata = sorted({(m.family, m.reference) for m in marks})
        index = {stratum: i for i, stratum in enumerate(strata)}
        correct_WS, total_WS = np.zeros((len(works), len(strata))), np.zeros((len(works), len(strata)))
        for mark in marks:
            at = works[mark.work_id], index[mark.family, mark.reference]
            total_WS[at] += 1
            correct_WS[at] += mark.correct
        families = [family for family, _ in strata]
        return cls(correct_WS, total_WS, np.array([1 / families.count(family) for family in families]))

    @property
    def num_works(self) -> int:
        return len(self.total_WS)

    def score(self, drawn_RW: np.ndarray) -> np.ndarray:
        """Balanced accuracy of each resample. A stratum that no drawn work has is left out of that resample's mean."""
        correct_RS, total_RS = drawn_RW @ self.correct_WS, drawn_RW @ self.total_WS
        weight_RS = self.weight_S * (total_RS > 0)
        score_R: np.ndarray = (weight_RS * correct_RS / np.maximum(total_RS, 1)).sum(1) / weight_RS.sum(1)
        return score_R


def _draw_works(num_works: int, resamples: int, seed: int) -> np.ndarray:
    """How often each work is drawn in each resample: (R, W)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(num_works, np.full(num_works, 1 / num_works), size=resamples).astype(float)


def percentiles(value: float, values_R: np.ndarray) -> Interval:
    """A value with the interval that holds the middle 95 % of its resamples; of none, the value alone."""
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(values_R, [tail, 100 - tail]) if len(values_R) else (value, value)
    return Interval(value, float(low), float(high))


def _question(mark: Mark) -> tuple[str, str, str]:
    return mark.work_id, mark.family, mark.reference
