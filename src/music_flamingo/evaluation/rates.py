"""Rates of a benchmark with 95 % intervals over recordings, songs or captions, and paired differences.

Shares of right answers have an interval of their own (evaluation/proportions). Other rates
and differences have a percentile bootstrap over recordings, or Student's t where there are few of them.

A rate is a sum of values over a sum of weights (right answers over questions, edits over words, points over judged
answers). Questions about one recording are drawn together. Drawing N recordings with replacement is the same as
drawing how often each distinct (value, weight) pair of a recording comes: one multinomial a resample, whatever N is.

R resamples, P distinct pairs.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from music_flamingo.evaluation.intervals import CONFIDENCE, Interval, percentiles
from music_flamingo.evaluation.proportions import grouped_share

Rate = Callable[[np.ndarray], np.ndarray]
"""Sums of each resample (R, K) to its rate (R,)."""
FEW_CLUSTERS = 30
"""Below this a bootstrap of recordings covers too little (five songs of Opencpop: 49 % by clip)."""
CHUNK = 4_000_000
"""Numbers drawn at once: 32 MB."""
MAX_KEPT = 1_000_000
"""Numbers of one drawing that are kept for the next measure: 4 MB."""


class WeightedItem(NamedTuple):
    """One item's value and weight, and the recording it belongs to."""

    cluster: str
    value: float
    weight: float


def rate_interval(parts: Sequence[WeightedItem], resamples: int, seed: int) -> Interval | None:
    """The rate with its interval; None where no item has a weight."""
    values, weights = [p.value for p in parts], [p.weight for p in parts]
    if not sum(weights):
        return None
    sums = _clustered(parts, np.column_stack([values, weights]))
    if set(weights) == {1} and set(values) <= {0, 1}:
        return grouped_share(sums[:, 0], sums[:, 1])
    value = sum(values) / sum(weights)
    if len(sums) < FEW_CLUSTERS:
        return _by_groups(value, sums)
    pairs_PK, counts_P = _distinct(sums)
    rates_R = _resampled(pairs_PK, counts_P, resamples, seed, lambda sums_RK: sums_RK[:, 0] / sums_RK[:, 1])
    return percentiles(value, rates_R)


def _by_groups(value: float, sums: np.ndarray) -> Interval:
    """Of one rate: within 0 and 1 where no recording's value exceeds its weight."""
    counted = sums[sums[:, 1] > 0]
    found = _by_residuals(value, (counted[:, 0] - value * counted[:, 1]) / counted[:, 1].sum())
    most = 1.0 if (counted[:, 0] <= counted[:, 1]).all() else np.inf
    return Interval(value, max(found.low, 0.0), min(found.high, most))


def _by_residuals(value: float, residuals: np.ndarray) -> Interval:
    """Student's t on what each recording adds to the value: with a handful of songs a bootstrap is far too narrow."""
    from scipy import stats

    num = len(residuals)
    if num < 2:
        return Interval(value, value, value)
    error = np.sqrt(num / (num - 1) * (residuals**2).sum())
    half = float(stats.t.ppf(1 - (1 - CONFIDENCE) / 2, num - 1) * error)
    return Interval(value, value - half, value + half)


def paired_interval(
    ours: Sequence[WeightedItem], theirs: Sequence[WeightedItem], resamples: int, seed: int
) -> Interval | None:
    """Our rate less theirs on the same items in the same order, the same recordings drawn for both."""
    if [p.cluster for p in ours] != [p.cluster for p in theirs]:
        raise ValueError("a paired difference needs the same items in the same order")
    if not sum(p.weight for p in ours) or not sum(p.weight for p in theirs):
        return None
    rows = [(a.value, a.weight, b.value, b.weight) for a, b in zip(ours, theirs, strict=True)]
    sums = _clustered(ours, rows)
    if len(sums) < FEW_CLUSTERS:
        return _paired_by_groups(sums)
    pairs_PK, counts_P = _distinct(sums)

    def difference(sums_RK: np.ndarray) -> np.ndarray:
        return np.asarray(sums_RK[:, 0] / sums_RK[:, 1] - sums_RK[:, 2] / sums_RK[:, 3])

    whole_1K = (pairs_PK * counts_P[:, None]).sum(0, keepdims=True)
    return percentiles(float(difference(whole_1K)[0]), _resampled(pairs_PK, counts_P, resamples, seed, difference))


def _paired_by_groups(sums: np.ndarray) -> Interval:
    rates, parts = [], []
    for values, weights in ((sums[:, 0], sums[:, 1]), (sums[:, 2], sums[:, 3])):
        rates.append(float(values.sum() / weights.sum()))
        parts.append((values - rates[-1] * weights) / weights.sum())
    return _by_residuals(rates[0] - rates[1], parts[0] - parts[1])


def _clustered(parts: Sequence[WeightedItem], rows: Sequence[tuple[float, ...]] | np.ndarray) -> np.ndarray:
    """Sums of each recording: (clusters, K)."""
    index: dict[str, int] = {}
    where = np.array([index.setdefault(p.cluster, len(index)) for p in parts])
    sums = np.zeros((len(index), len(rows[0])))
    np.add.at(sums, where, np.array(rows, dtype=float))
    return sums


def _distinct(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pairs_PK, counts_P = np.unique(sums, axis=0, return_counts=True)
    return pairs_PK, counts_P


def _resampled(pairs_PK: np.ndarray, counts_P: np.ndarray, resamples: int, seed: int, rate: Rate) -> np.ndarray:
    rates = []
    for drawn_RP in _draws(counts_P, resamples, seed):
        with np.errstate(invalid="ignore", divide="ignore"):
            rates.append(rate(drawn_RP @ pairs_PK))
    values_R = np.concatenate(rates)
    return values_R[np.isfinite(values_R)]  # a resample of unjudged items alone has no rate


def _draws(counts_P: np.ndarray, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each pair is drawn, some resamples at a time: (R, P)."""
    if resamples * len(counts_P) <= MAX_KEPT:
        yield _kept_draws(tuple(counts_P.tolist()), resamples, seed)
        return
    rng, total = np.random.default_rng(seed), int(counts_P.sum())
    at_once = max(1, CHUNK // len(counts_P))
    for start in range(0, resamples, at_once):
        yield rng.multinomial(total, counts_P / total, size=min(at_once, resamples - start))


# the measures of a benchmark are taken on the same recordings, most of which have a pair of their own
@lru_cache(maxsize=16)
def _kept_draws(counts: tuple[int, ...], resamples: int, seed: int) -> np.ndarray:
    total = sum(counts)
    drawn_RP = np.random.default_rng(seed).multinomial(total, np.array(counts) / total, size=resamples)
    return drawn_RP.astype(np.int32)
