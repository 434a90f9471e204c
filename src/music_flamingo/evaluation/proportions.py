"""Intervals of proportions whose answers come in groups: questions about one recording, song or caption hang together.

Independent answers have Wilson's interval (1927). Groups have a beta-binomial model: a group's own share of right
answers is drawn from a beta distribution of mean p and correlation r within a group, so that n answers tell less than n
independent ones, by as much as the groups show. The interval is what 95 % of the posterior of p hold, with p uniform;
r is 0 with a probability of SHARE_INDEPENDENT, else exponential with mean MEAN_CORRELATION. Both are fixed so that
simulated intervals hold the truth 93 to 97 % of the time (benchmarks/interval_coverage.py), also near 0 and 100 % and
with 17 groups of 20, where no estimate of the variance is of use.

P values of p, R of r, G groups, I answers of a group.
"""

from functools import lru_cache
from statistics import NormalDist

import numpy as np

from music_flamingo.evaluation.intervals import CONFIDENCE, Interval

SHARE_INDEPENDENT = 0.3
MEAN_CORRELATION = 0.2
_CORRELATIONS = np.array([0, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.36, 0.43, 0.5, 0.6, 0.7,
                          0.8, 0.9])  # fmt: skip
_COARSE, _FINE = 96, 256
_NEGLIGIBLE = 1e-7
_RIGHT_ANGLE = np.pi / 2


def grouped_share(right_G: np.ndarray, asked_G: np.ndarray) -> Interval:
    """The share of right answers with its 95 % interval. `right_G`, `asked_G`: counts of each of the G groups."""
    asked, right = float(asked_G.sum()), float(right_G.sum())
    if asked_G.max() <= 1:
        return _wilson(right / asked, asked)
    counts = _Counts(right_G.astype(int), asked_G.astype(int))
    low, high = counts.quantiles(1 - (1 - CONFIDENCE) / 2)
    share = right / asked
    return Interval(share, 0.0 if right == 0 else min(low, share), 1.0 if right == asked else max(high, share))


class _Counts:
    """How many groups have more than i right answers, wrong ones, and questions: all that the likelihood needs."""

    def __init__(self, right_G: np.ndarray, asked_G: np.ndarray) -> None:
        self._share = float(right_G.sum() / asked_G.sum())
        # one standard error of the angle, if the answers of a group were all alike
        self._widest = 0.5 * float((asked_G.astype(float) ** 2).sum() ** 0.5 / asked_G.sum())
        steps_I = np.arange(asked_G.max())[:, None]
        self._right_I, self._wrong_I, self._asked_I = (
            (counts_G > steps_I).sum(1).astype(float) for counts_G in (right_G, asked_G - right_G, asked_G)
        )

    def quantiles(self, upper: float) -> tuple[float, float]:
        """The share below which 1 - `upper`, and that below which `upper`, of the posterior lie."""
        middle, reach = np.arcsin(self._share**0.5), 9 * self._widest
        edges = np.linspace(max(middle - reach, 0.0), min(middle + reach, _RIGHT_ANGLE), _COARSE + 1)
        mass_P = self._posterior(edges)
        held = np.flatnonzero(mass_P > _NEGLIGIBLE * mass_P.max())
        edges = np.linspace(edges[held[0]], edges[held[-1] + 1], _FINE + 1)
        cumulated = np.concatenate([[0.0], np.cumsum(self._posterior(edges))])
        angles = np.interp([1 - upper, upper], cumulated / cumulated[-1], edges)
        low, high = np.sin(angles) ** 2
        return float(low), float(high)

    def _posterior(self, edges: np.ndarray) -> np.ndarray:
        """Mass of the posterior between the angles' edges (P,), up to a factor."""
        angles = (edges[:-1] + edges[1:]) / 2
        share_P = np.sin(angles) ** 2
        log_RP = np.zeros((len(_CORRELATIONS), len(share_P)))
        apart_R1 = 1 - _CORRELATIONS[:, None]
        for step, (right, wrong, asked) in enumerate(zip(self._right_I, self._wrong_I, self._asked_I, strict=True)):
            alike_R1 = step * _CORRELATIONS[:, None]
            log_RP += right * np.log(apart_R1 * share_P + alike_R1) if right else 0.0
            log_RP += wrong * np.log(apart_R1 * (1 - share_P) + alike_R1) if wrong else 0.0
            log_RP -= asked * np.log(apart_R1 + alike_R1)
        # a uniform share is sin x cos x of its angle
        return np.asarray(_prior() @ np.exp(log_RP - log_RP.max()) * np.sin(angles) * np.cos(angles))


@lru_cache(maxsize=1)
def _prior() -> np.ndarray:
    """Probability of each correlation."""
    density = np.gradient(_CORRELATIONS) * np.exp(-_CORRELATIONS / MEAN_CORRELATION)
    prior_R: np.ndarray = (1 - SHARE_INDEPENDENT) * density / density.sum()
    prior_R[0] += SHARE_INDEPENDENT
    return prior_R


@lru_cache(maxsize=1)
def _quantile() -> float:
    # as scipy's norm.ppf has it, whose import takes longer than to score a benchmark
    return round(NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / 2), 15)


def _wilson(share: float, n: float) -> Interval:
    z = _quantile()
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (share * (1 - share) / n + z**2 / (4 * n**2)) ** 0.5
    return Interval(share, min(max(middle - half, 0.0), share), max(min(middle + half, 1.0), share))
