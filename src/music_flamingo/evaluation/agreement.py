"""Inter-rater agreement: Krippendorff's alpha, and the intraclass correlations of Shrout and Fleiss.

U items, R raters; a rating that was not given is NaN.

- alpha, interval metric (Krippendorff 2011, Computing Krippendorff's Alpha-Reliability): 1 less observed over expected
  squared differences; takes missing ratings. 1 is perfect, 0 is chance, below 0 is systematic disagreement.
- ICC(2,1) and ICC(2,k) (Shrout and Fleiss 1979): raters drawn from many, absolute agreement; of one rater, and of the
  mean of all. Over the items that every rater rated.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Agreement:
    """Krippendorff's alpha and intraclass correlations of U items rated by R raters; None where undefined."""

    num_items: int
    """With at least two ratings."""
    num_raters: int
    alpha: float | None
    """None where nothing can be compared or all ratings are equal."""
    icc_single: float | None
    icc_mean: float | None


def agreement(ratings_UR: np.ndarray) -> Agreement:
    """Compute all agreement measures of ratings of shape (U, R); NaN is a missing rating."""
    pairable = (~np.isnan(ratings_UR)).sum(1) >= 2
    single, mean = intraclass(ratings_UR[~np.isnan(ratings_UR).any(axis=1)])
    return Agreement(int(pairable.sum()), ratings_UR.shape[1], krippendorff_alpha(ratings_UR), single, mean)


def krippendorff_alpha(ratings_UR: np.ndarray) -> float | None:
    """Interval alpha; None for fewer than two items with two ratings, or without any spread."""
    rows = [row[~np.isnan(row)] for row in ratings_UR]
    rows = [row for row in rows if len(row) >= 2]
    if len(rows) < 2:
        return None
    values = np.concatenate(rows)
    expected = _squared_differences(values) / (len(values) - 1)
    observed = sum(_squared_differences(row) / (len(row) - 1) for row in rows)
    return None if expected == 0 else float(1 - observed / expected)


def _squared_differences(values: np.ndarray) -> float:
    """Sum over ordered pairs of (a - b) squared."""
    return float(2 * (len(values) * (values**2).sum() - values.sum() ** 2))


def intraclass(ratings_UR: np.ndarray) -> tuple[float | None, float | None]:
    """(ICC(2,1), ICC(2,k)) of a full table; None for fewer than two items or raters, or without any spread."""
    num_items, num_raters = ratings_UR.shape
    if num_items < 2 or num_raters < 2 or np.ptp(ratings_UR) == 0:
        return None, None
    grand = ratings_UR.mean()
    items_U, raters_R = ratings_UR.mean(1), ratings_UR.mean(0)
    between_items = num_raters * ((items_U - grand) ** 2).sum() / (num_items - 1)
    between_raters = num_items * ((raters_R - grand) ** 2).sum() / (num_raters - 1)
    rest_UR = ratings_UR - items_U[:, None] - raters_R[None, :] + grand
    error = (rest_UR**2).sum() / ((num_items - 1) * (num_raters - 1))
    spread = between_items - error
    single = spread / (between_items + (num_raters - 1) * error + num_raters * (between_raters - error) / num_items)
    mean = spread / (between_items + (between_raters - error) / num_items)
    return float(single), float(mean)
