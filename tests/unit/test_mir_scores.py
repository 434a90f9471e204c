"""Facts graded by a score's truth: hand-worked cases of each measure."""

import pytest

from music_flamingo.evaluation.mir_scores import beat_score, chord_score, key_score, section_score
from music_flamingo.records import Segment


def segments(*rows):
    return [Segment(start_s=a, end_s=b, label=label) for a, b, label in rows]


def test_beats_are_found_within_70_ms():
    truth = [0.5 * k for k in range(40)]
    assert beat_score(truth, truth) == 1.0
    assert beat_score(truth, [t + 0.06 for t in truth]) == 1.0
    assert beat_score(truth, [t + 0.1 for t in truth]) == 0.0
    assert beat_score(truth, truth[::2]) == pytest.approx(2 / 3, abs=0.02)


def test_a_short_performance_is_graded_whole_and_a_missing_fact_scores_nothing():
    assert beat_score([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) == 1.0
    assert beat_score([1.0], []) == 0.0
    assert beat_score([], [1.0]) is None


@pytest.mark.parametrize(
    ("estimated", "score"), [("C major", 1.0), ("G major", 0.5), ("A minor", 0.3), ("C minor", 0.2), ("X", 0.0)]
)
def test_keys_near_the_right_one_earn_a_part(estimated, score):
    assert key_score("C major", estimated) == score


def test_chords_count_by_time_where_the_truth_has_a_triad():
    truth = segments((0, 3, "C:maj"), (3, 4, "A:min"), (4, 9, "X"))
    assert chord_score(truth, segments((0, 9, "C:maj"))) == pytest.approx(0.75)
    assert chord_score(truth, []) == 0.0
    assert chord_score([], segments((0, 9, "C:maj"))) is None
    assert chord_score(segments((0, 9, "X")), segments((0, 9, "C:maj"))) is None


def test_section_boundaries_are_found_within_a_window():
    truth = segments((0, 10, "A"), (10, 20, "B"), (20, 30, "A"))
    found = segments((0, 11, "A"), (11, 21, "B"), (21, 30, "A"))
    assert section_score(truth, found, 3.0) == 1.0
    assert section_score(truth, found, 0.5) == 0.0
