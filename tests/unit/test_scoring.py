"""Extraction and comparison of answers: golden cases, and a near miss for each rule."""

import time

import pytest

from music_flamingo.scoring.extract import extract_answer, has_full_form, split_thinking
from music_flamingo.scoring.normalise import match_option, normalise_answer, parse_key, same_answer

TEMPO = ("slow", "medium", "fast")


def test_full_form_gives_thinking_and_answer():
    assert split_thinking("<think>Drums play.</think><answer>fast</answer>") == ("Drums play.", "fast")


def test_white_space_and_line_breaks_around_the_blocks_are_allowed():
    assert has_full_form("\n<think>One\ntwo</think>\n <answer>fast</answer>\n")


@pytest.mark.parametrize(
    "text",
    [
        "<think>Drums play.<answer>fast</answer>",  # unclosed think
        "<think>Drums play.</think><answer>fast",  # unclosed answer
        "<think></think><answer>fast</answer>",  # empty think
        "<think>  </think><answer>fast</answer>",
        "<think>Drums play.</think><answer> </answer>",  # empty answer
        "<think>a</think><think>b</think><answer>fast</answer>",  # repeated think
        "<think>a</think><answer>fast</answer><answer>slow</answer>",  # repeated answer
        "<think>a<think>b</think></think><answer>fast</answer>",  # nested
        "<answer>fast</answer><think>a</think>",  # the other order
        "So: <think>a</think><answer>fast</answer>",  # words before
        "<think>a</think> thus <answer>fast</answer>",  # words between
        "<think>a</think><answer>fast</answer>!",  # words after
        "<Think>a</Think><answer>fast</answer>",  # other tags
        "fast",
        "",
    ],
)
def test_anything_but_the_full_form_is_refused(text):
    assert not has_full_form(text)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("fast", "fast"),
        ("  It is fast. ", "It is fast."),
        ("<answer>fast</answer>", "fast"),
        ("<think>never closed <answer>fast</answer>", "fast"),
        ("<think>a</think>fast", None),
        ("<answer>fast</answer><answer>slow</answer>", None),
        ("<answer>fast</answer> or slow", None),
        ("<answer>fast", None),
        ("<answer></answer>", None),
        ("", None),
    ],
)
def test_an_answer_is_found_where_there_is_exactly_one(text, answer):
    assert extract_answer(text) == answer


def test_case_punctuation_and_number_words_do_not_matter():
    assert normalise_answer(" Three-Four, please! ") == "3 4 please"
    assert same_answer("Fast.", "fast")
    assert same_answer("three", "3")
    assert not same_answer("not fast", "fast")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("C# minor", (1, "minor")),
        ("D♭ minor", (1, "minor")),
        ("d flat Minor", (1, "minor")),
        ("the key of F sharp major", (6, "major")),
        ("Am", (9, "minor")),
        ("B", None),
        ("A minor third", None),
        ("H major", None),
    ],
)
def test_keys_are_read_by_sound(text, key):
    assert parse_key(text) == key


def test_enharmonic_keys_are_the_same_answer_and_parallel_keys_are_not():
    assert same_answer("Db major", "C# major")
    assert same_answer("Cb major", "B major")
    assert not same_answer("C minor", "C major")


@pytest.mark.parametrize(
    ("answer", "option"),
    [
        ("Fast", "fast"),
        ("C", "fast"),
        ("(c)", "fast"),
        ("(B) medium", "medium"),
        ("B: medium", "medium"),
        ("B. fast", None),
        ("slow, medium or fast", None),
        ("very fast", None),
        ("D", None),
        ("", None),
    ],
)
def test_an_option_is_named_by_its_words_or_its_letter(answer, option):
    assert match_option(answer, TEMPO) == option


def test_fifty_thousand_characters_take_no_time():
    started = time.monotonic()
    for text in ("<think>" + "a" * 50_000, "<answer>" * 6_000, "<think>" + " " * 50_000 + "<answer>x"):
        assert extract_answer(text) is None
        assert not has_full_form(text)
    assert time.monotonic() - started < 1
