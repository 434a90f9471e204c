"""Intervals of proportions whose answers come in groups: Wilson's, on the number of answers that count as independent.

Questions about one recording, song or caption hang together, so n answers tell less than n independent ones. The
design effect (Kish 1965) says by how much: the variance of the proportion with groups as the unit, over that of
independent answers. Wilson's interval (1927) on n over the design effect keeps its coverage near 0 and 100 %, where a
bootstrap of a perfect score has no width at all; Student's t with the effective number of groups stands for the normal
quantile.
Where few groups hold a wrong answer (or few a right one) the correlation within groups cannot be measured: it is drawn
towards PRIOR_CORRELATION. Simulated coverage: benchmarks/interval_coverage.py.
"""

from functools import lru_cache

import numpy as np

from music_flamingo.evaluation.intervals import CONFIDENCE, Interval

PRIOR_CORRELATION = 0.1
"""Of two answers about one recording, where it cannot be measured."""
FEWEST_DEGREES = 2.0


def grouped_wilson(right_G: np.ndarray, asked_G: np.ndarray) -> Interval:
    """The share of right answers with its 95 % interval. `right_G`, `asked_G`: counts of each of the G groups."""
    asked, right = float(asked_G.sum()), float(right_G.sum())
    share, mean_size = right / asked, float((asked_G**2).sum()) / asked
    if mean_size <= 1:
        return _wilson(share, asked, _quantile(None))
    informative = min(int((right_G > 0).sum()), int((right_G < asked_G).sum()))
    trust = informative / (informative + 1)
    correlation = trust * _correlation(right_G, asked_G, mean_size) + (1 - trust) * PRIOR_CORRELATION
    effect = 1 + (mean_size - 1) * min(max(correlation, 0.0), 1.0)
    degrees = max(asked / mean_size - 1, FEWEST_DEGREES)
    return _wilson(share, asked / effect, _quantile(round(degrees, 1)))


def _correlation(right_G: np.ndarray, asked_G: np.ndarray, mean_size: float) -> float:
    """Correlation of two answers of one group, from the design effect."""
    asked, groups = asked_G.sum(), len(asked_G)
    share = right_G.sum() / asked
    independent = share * (1 - share) / asked
    if groups < 2 or independent == 0:
        return 0.0
    grouped = groups / (groups - 1) * ((right_G - share * asked_G) ** 2).sum() / asked**2
    return float((grouped / independent - 1) / (mean_size - 1))


@lru_cache(maxsize=4096)
def _quantile(degrees: float | None) -> float:
    from scipy import stats

    upper = 1 - (1 - CONFIDENCE) / 2
    return float(stats.norm.ppf(upper) if degrees is None else stats.t.ppf(upper, degrees))


def _wilson(share: float, n: float, z: float) -> Interval:
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (share * (1 - share) / n + z**2 / (4 * n**2)) ** 0.5
    return Interval(share, min(max(middle - half, 0.0), share), max(min(middle + half, 1.0), share))
