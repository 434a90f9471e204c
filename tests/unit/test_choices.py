"""The strict reading of answers, and error rates of transcripts against jiwer."""

import random

import jiwer
import pytest

from music_flamingo.evaluation.benchmarks.base import JudgeTask
from music_flamingo.evaluation.benchmarks.judged import read_points
from music_flamingo.scoring.choices import final_answer, parse_choice
from music_flamingo.scoring.transcripts import character_words, characters, plain_words, published_words, word_errors

OPTIONS = ("Violin", "Piano", "Classical Guitar", "Guitar")


@pytest.mark.parametrize(
    ("output", "place"),
    [
        ("Piano", 1),
        ("piano.", 1),
        ("B", 1),
        ("b", 1),
        ("(B)", 1),
        ("[[B]]", 1),
        ("**B**", 1),
        ("B.", 1),
        ("B) Piano", 1),
        ("(B) Piano", 1),
        ("Option B", 1),
        ("Not the violin, I hear hammers. [[B]]", 1),
        ("[[A]] at first, but then hammers: [[B]]", 1),
        ("(B) since hammers are heard", 1),
        ("(B) Piano, and surely not a harp", 1),
        ("B: it has hammers", 1),
        ("A good Piano", 1),
        ("The answer is B.", 1),
        ("Answer: (B) Piano", 1),
        ("The correct answer is Piano", 1),
        ("I hear chords. The answer is: Piano", 1),
        ("It is a piano, I believe.", 1),
        ("<think>A violin? No.</think><answer>Piano</answer>", 1),
        ("<think>A violin? No.</think>Piano", 1),
        ("A violin? No.</think>\nPiano", 1),
        ("A classical guitar plays.", 2),  # the longest name, not the name within it
        ("Classical Guitar", 2),
        ("(A) Piano", None),  # letter and words disagree
        ("Violin or Piano", None),
        ("All of them: Violin, Piano, Classical Guitar", None),
        ("It is not a piano.", None),
        ("It isn't the piano", None),
        ("E", None),
        ("", None),
        ("   ", None),
        ("<think>Piano", None),
        ("<answer>Piano", None),
        ("<think>Piano</think>", None),
        ("pianos", None),
        ("钢琴", 1),  # the option in another language
        ("Das ist ein Klavier.", 1),
        ("我听不出来。", None),
        ("x" * 20_000 + " piano", None),
    ],
)
def test_one_option_is_read_or_none(output, place):
    assert parse_choice(output, OPTIONS) == place


def test_an_alias_stands_for_its_option():
    assert parse_choice("hip-hop", ("pop", "hiphop"), {"hip hop": "hiphop"}) == 1
    assert parse_choice("This is hip hop music.", ("pop", "hiphop"), {"hip hop": "hiphop"}) == 1
    assert parse_choice("hip-hop", ("pop", "hiphop")) is None


def test_the_first_of_two_equal_options_is_taken():
    assert parse_choice("three", ("two", "three", "three", "one")) == 1
    assert parse_choice("C", ("two", "three", "three", "one")) == 1


def test_thoughts_that_break_off_hold_no_answer():
    assert final_answer("<think>a</think> b") == "b"
    assert final_answer("<think>a<think>b</think> c") is None


def test_word_errors_agree_with_jiwer_on_random_songs():
    rng = random.Random(4)
    words = ["love", "me", "do", "you", "know", "i'll", "always", "be", "true", "so", "please"]
    for _ in range(200):
        truth = " ".join(rng.choices(words, k=rng.randrange(1, 20)))
        said = " ".join(rng.choices(words, k=rng.randrange(0, 20)))
        errors, length = word_errors(truth, said, plain_words)
        assert errors / length == pytest.approx(jiwer.wer(truth, said) if said else 1.0)


def test_an_answer_that_is_not_there_misses_every_word():
    assert word_errors("la la la", "", published_words) == (3, 3)


def test_normalisers_do_what_they_say():
    assert published_words("Don't  STOP, now!") == "dont stop now"
    assert plain_words("Don’t  STOP, now… (hey)") == "don't stop now hey"
    assert character_words("我爱 you，OK?") == "我 爱 you ok"
    assert characters("我爱 Ok，３") == "我 爱 o k 3"


@pytest.mark.parametrize(
    ("reply", "points"),
    [
        ('{"score": 7}', 7.0),
        ('```json\n{"score": 7}\n```', 7.0),
        ("7", 7.0),
        ("7/10", 7.0),
        ("Score: 7.", 7.0),
        ('{"score": 11}', None),
        ('{"score": "7"}', None),
        ('{"score": true}', None),
        ('{"points": 7}', None),
        ("I would say 7 or 8", None),
        ("", None),
        ("-1", None),
    ],
)
def test_a_judges_points_are_read_whole_or_not_at_all(reply, points):
    assert read_points(reply, JudgeTask("t", "judge_gpt_0_10", 0, 10)) == points
