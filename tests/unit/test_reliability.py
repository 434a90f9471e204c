"""What a calibration error is worth at a number of answers."""

import numpy as np
import pytest
from support.benchmark_scripts import load_benchmark

reliability = load_benchmark("reliability")


def answers(sure, count, right):
    return [(sure, number < right) for number in range(count)]


def test_the_calibration_error_weighs_each_fifth_by_its_answers():
    sure, right = np.array([0.9] * 10 + [0.5] * 10), np.array([1.0] * 8 + [0.0] * 2 + [1.0, 0.0] * 5)
    assert reliability.calibration_error(sure, right) == pytest.approx(0.05)
    assert reliability.calibration_error(np.array([1.0]), np.array([1.0])) == 0.0


def test_chance_alone_gives_the_error_of_a_fair_coin():
    assert reliability.chance_error(np.array([0.5])) == (0.5, 0.5)
    mean, highest = reliability.chance_error(np.array([0.5, 0.5]))
    assert mean == pytest.approx(0.25, abs=0.02)
    assert highest == 0.5


def test_a_true_probability_shows_less_error_the_more_answers_there_are():
    few, many = (reliability.chance_error(np.full(count, 0.8))[0] for count in (22, 2200))
    assert few > 0.05 > 0.01 > many


def test_certainty_shows_no_error_by_chance():
    assert reliability.chance_error(np.array([1.0] * 30 + [0.0] * 5)) == (0.0, 0.0)


def test_an_error_that_chance_does_not_explain_is_bold_and_one_that_it_does_is_not():
    fair, wrong = reliability.Count(pairs=answers(0.9, 40, 34)), reliability.Count(pairs=answers(0.9, 40, 20))
    assert reliability.worth(wrong)[:2] == ("20 of 40, 36.0", "**0.40**")
    assert reliability.worth(fair)[1] == "0.05"
    assert reliability.worth(reliability.Count(known=3)) == ("-", "-", "-")


def test_pooled_groups_join_counts_and_answers_of_facts_that_all_of_them_have():
    places = (("key", "all"), ("key", "bands"), ("voice", "all"))
    counts = {place: reliability.Count() for place in places}
    counts["key", "all"].add("a.wav", 1.0, 0.9, 1.0)
    counts["key", "bands"].add("3 polka", 0.0, 0.8, 0.0)
    counts["key", "bands"].add("4 polka", None, 0.4, 0.5)
    joined = reliability.pooled(counts, ("all", "bands"), "both")
    assert set(joined) == {("key", "both")}
    both = joined["key", "both"]
    assert (both.known, both.answered, both.right, both.wrong) == (3, 2, 1.0, ["1 of bands"])
    assert both.pairs == [(0.9, True), (0.8, False), (0.4, True)]
    assert "1 of bands" in reliability.table(joined)[-1]
