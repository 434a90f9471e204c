"""The published scorers' rules against golden tables, whose expected values came from the published code itself."""

import json
from pathlib import Path

import pytest

from music_flamingo.scoring.official import (
    mmau_pro_judged,
    mmau_pro_nearest,
    mmau_right,
    muchomusic_choice,
    rul_letter,
    rul_right,
)

GOLDEN = Path(__file__).parents[1] / "golden"
CHOICES = json.loads((GOLDEN / "choice_scorers.json").read_text(encoding="utf-8"))
JUDGED = json.loads((GOLDEN / "mmau_pro_judge.json").read_text(encoding="utf-8"))


def test_the_tables_are_large_and_varied():
    assert len(CHOICES) >= 300 and len(JUDGED) >= 300
    for scorer, place in (("mmau", None), ("muchomusic", 1), ("rul", 1)):
        right = sum(row[scorer] if place is None else row[scorer][place] for row in CHOICES)
        assert 0.1 * len(CHOICES) < right < 0.9 * len(CHOICES)


def test_mmau_and_mmar_agree_with_the_published_code():
    for row in CHOICES:
        assert mmau_right(row["output"], row["options"][row["answer"]], row["options"]) == row["mmau"], row


def test_muchomusic_agrees_with_the_published_code():
    for row in CHOICES:
        chosen = muchomusic_choice(row["output"], row["options"])
        assert [-1 if chosen is None else chosen, int(chosen == row["answer"])] == row["muchomusic"], row


def test_rul_muchomusic_agrees_with_the_published_code_with_four_and_with_five_options():
    for row in CHOICES:
        fifth, *five = row["rul_five"]
        for options, expected in ((row["options"], row["rul"]), ([*row["options"], fifth], five)):
            letter = rul_letter(row["output"], options)
            right = rul_right(row["output"], row["options"][row["answer"]], options)
            assert [letter or "", int(right)] == expected, row


def test_mmau_pros_judge_agrees_with_the_published_code():
    for row in JUDGED:
        assert mmau_pro_judged(row["reply"]) == row["expected"], row


@pytest.mark.parametrize(
    ("output", "place"), [("B", 1), ("Answer: B", None), ("The correct answer is: Ska", 3), ("Blues", 1)]
)
def test_muchomusic_takes_any_single_capital_for_a_letter(output, place):
    assert muchomusic_choice(output, ["Pop music", "Reggae", "Latin rock", "Ska"]) == place


def test_mmau_takes_a_letter_for_wrong_and_the_words_in_any_order_for_right():
    options = ["Dense and rich", "Thin"]
    assert not mmau_right("A", "Dense and rich", options)
    assert mmau_right("rich and dense", "Dense and rich", options)


def test_an_unparsed_judge_counts_three_officially():
    assert mmau_pro_judged("no idea")["overall"] == 3.0


def test_the_nearest_option_is_the_first_of_equals():
    assert mmau_pro_nearest([0.1, 0.7, 0.7]) == 1
