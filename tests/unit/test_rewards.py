"""Rewards: what earns, and near misses that must not."""

import json

import pytest

from music_flamingo.records import Category
from music_flamingo.rewards.accuracy import accuracy_reward
from music_flamingo.rewards.format import format_reward
from music_flamingo.rewards.structured import structured_reward
from music_flamingo.rewards.trl import CAPTION, QUESTION, reward_functions

OPTIONS = ("slow", "medium", "fast")
GOOD = "<think>Drums play.</think><answer>fast</answer>"


def test_format_is_earned_by_the_full_form_alone():
    assert format_reward(GOOD) == 1.0
    assert format_reward(GOOD.replace("</think>", "")) == 0.0
    assert format_reward(GOOD + GOOD) == 0.0
    assert format_reward("<think></think><answer>fast</answer>") == 0.0
    assert format_reward("fast") == 0.0


def test_accuracy_reads_the_answer_tags_and_nothing_else():
    assert accuracy_reward(GOOD, "fast", OPTIONS) == 1.0
    assert accuracy_reward("fast", "fast", OPTIONS) == 0.0
    assert accuracy_reward("<think>fast</think><answer>slow</answer>", "fast", OPTIONS) == 0.0


def test_an_unclosed_think_tag_costs_the_format_and_not_the_answer():
    broken = "<think>Drums play.<answer>fast</answer>"
    assert (format_reward(broken), accuracy_reward(broken, "fast", OPTIONS)) == (0.0, 1.0)


def test_echoed_options_are_no_answer():
    assert accuracy_reward("<think>a</think><answer>slow, medium or fast</answer>", "fast", OPTIONS) == 0.0


def test_repeated_answers_are_no_answer():
    assert accuracy_reward("<think>a</think><answer>fast</answer><answer>fast</answer>", "fast", OPTIONS) == 0.0


def test_an_options_letter_counts_as_the_option():
    assert accuracy_reward("<think>a</think><answer>C</answer>", "fast", OPTIONS) == 1.0
    assert accuracy_reward("<think>a</think><answer>C</answer>", "slow", OPTIONS) == 0.0


def test_keys_are_compared_by_sound():
    answer = "<think>a</think><answer>Db minor</answer>"
    assert accuracy_reward(answer, "C# minor") == 1.0
    assert accuracy_reward(answer, "D minor") == 0.0


def test_a_bad_reference_is_skipped_not_scored():
    assert accuracy_reward(GOOD, "") is None
    assert accuracy_reward(GOOD, "presto", OPTIONS) is None
    assert structured_reward(GOOD, []) is None
    assert structured_reward(GOOD, [Category(name="key", values=[""])]) is None


TRUTH = [
    Category(name="bpm", values=["fast"]),
    Category(name="key", values=["C# minor"]),
    Category(name="instruments", values=["with drums", "and drums"]),
    Category(name="theory", values=["one melody"]),
]


def caption(text: str) -> str:
    return f"<think>Listen.</think><answer>{text}</answer>"


def test_structured_counts_matched_categories():
    assert structured_reward(caption("A fast piece with one melody and drums."), TRUTH) == 0.75
    assert structured_reward(caption("A slow piece with no drums."), TRUTH) == 0.0
    assert structured_reward("A fast piece with drums.", TRUTH) == 0.0, "words outside the answer tags earn nothing"


def test_structured_matches_whole_words():
    assert structured_reward(caption("A piece in C minor, fastened."), TRUTH) == 0.0
    assert structured_reward(caption("A piece in C# minor."), TRUTH) == 0.25


def test_structured_is_bounded_and_its_literal_form_is_not():
    repeated = caption("fast " * 50 + "one melody with drums in C# minor")
    assert structured_reward(repeated, TRUTH) == 1.0
    assert structured_reward(repeated, TRUTH, "matched_words") > 10


def test_each_kind_of_sample_earns_its_own_rewards():
    columns = {
        "completions": [
            [{"role": "assistant", "content": GOOD}],
            [{"role": "assistant", "content": caption("A fast piece.")}],
        ],
        "kind": [QUESTION, CAPTION],
        "reference": ["fast", "unused"],
        "options": [list(OPTIONS), []],
        "structured": ["[]", json.dumps([c.model_dump() for c in TRUTH])],
    }
    by_name = {f.__name__: f(**columns) for f in reward_functions("matched_categories")}
    assert by_name == {"format": [1.0, 1.0], "accuracy": [1.0, None], "structured": [None, 0.25]}


@pytest.mark.parametrize("output", ["", "<think>", "</answer>", "\x00", "<answer>" * 500])
def test_bad_output_scores_zero(output):
    assert format_reward(output) == 0.0
    assert accuracy_reward(output, "fast", OPTIONS) == 0.0
    assert structured_reward(output, TRUTH) == 0.0
