"""Bootstrap intervals of rates: against a plain resampling of items, and where recordings have several questions."""

import numpy as np
import pytest

from music_flamingo.evaluation.rates import WeightedItem, paired_interval, rate_interval


def marks(values, clusters=None, weights=None):
    clusters = clusters or [str(i) for i in range(len(values))]
    weights = weights or [1.0] * len(values)
    return [WeightedItem(c, float(v), float(w)) for c, v, w in zip(clusters, values, weights, strict=True)]


def test_the_interval_is_that_of_resampling_item_by_item():
    rng = np.random.default_rng(1)
    values = rng.random(300) < 0.7
    found = rate_interval(marks(values), 4000, 0)
    plain = [rng.choice(values, len(values)).mean() for _ in range(4000)]
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(plain, [2.5, 97.5])), abs=0.01)


def test_questions_about_one_recording_widen_the_interval():
    values = [1] * 50 + [0] * 50
    alone = rate_interval(marks(values), 2000, 0)
    together = rate_interval(marks(values, [str(i // 10) for i in range(100)]), 2000, 0)
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_a_rate_of_errors_weighs_by_the_references_length():
    assert rate_interval(marks([3, 0], weights=[3, 9]), 100, 0).value == 0.25


def test_what_has_no_weight_is_left_out():
    assert rate_interval(marks([4, 0], weights=[1, 0]), 100, 0).value == 4.0
    assert rate_interval(marks([0], weights=[0]), 100, 0) is None


def test_a_paired_difference_is_sharper_than_two_intervals():
    rng = np.random.default_rng(2)
    hard = rng.random(400) < 0.5
    ours, theirs = marks(hard), marks(hard & (rng.random(400) < 0.9))
    paired = paired_interval(ours, theirs, 2000, 0)
    assert paired.low > 0
    assert paired.high - paired.low < 0.6 * (rate_interval(ours, 2000, 0).high - rate_interval(ours, 2000, 0).low)
    with pytest.raises(ValueError, match="same items"):
        paired_interval(ours, theirs[1:], 10, 0)


def test_equal_seeds_give_equal_intervals():
    values = marks([1, 0, 1, 1])
    assert rate_interval(values, 100, 5) == rate_interval(values, 100, 5)
