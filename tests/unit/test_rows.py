"""Rows filled with lessons up to a budget of tokens."""

import random
from itertools import combinations, islice

import pytest
from support import tiny_world as world

from music_flamingo.model.context import Hearing
from music_flamingo.training.data.packing import filled, fullest

CAPACITY, LOOK_AHEAD = 24_576, 64


def songs(count: int, seed: int) -> list[int]:
    """Tokens of lessons on songs of 30 s to 15 min, all octaves of length alike, with 20 to 400 words' tokens each."""
    hearing = Hearing(16_000, 160, 30.0, 1200.0, CAPACITY)
    rng = random.Random(seed)
    lengths = [30 * 30 ** rng.random() for _ in range(count)]
    return [hearing.audio_tokens(round(s * 16_000)) + 2 + rng.randint(20, 400) for s in lengths]


def test_no_fuller_row_exists():
    rng = random.Random(0)
    for _ in range(50):
        sizes = [rng.randint(1, 40) for _ in range(9)]
        sums = [
            sizes[0] + sum(rest) for n in range(9) for rest in combinations(sizes[1:], n) if sizes[0] + sum(rest) <= 100
        ]
        taken = fullest(sizes, 100)
        assert taken[0] == 0
        assert sum(sizes[place] for place in taken) == max(sums)


def test_a_lesson_larger_than_a_row_is_no_row():
    with pytest.raises(ValueError, match="101 tokens and a row of 100"):
        fullest([101, 5], 100)


@pytest.mark.parametrize("seed", range(5))
def test_less_than_three_hundredths_of_the_rows_stay_empty(seed):
    sizes = songs(2000, seed)
    rows = list(islice(filled(iter(range(2000)), sizes.__getitem__, CAPACITY, LOOK_AHEAD), 200))
    assert sum(tokens for _, tokens in rows) / (200 * CAPACITY) >= 0.97
    assert all(sum(sizes[n] for n in lessons) == tokens <= CAPACITY for lessons, tokens in rows)


def test_every_lesson_comes_once_and_none_waits_for_longer_than_the_look_ahead():
    sizes = songs(500, 0)
    rows = [lessons for lessons, _ in filled(iter(range(500)), sizes.__getitem__, CAPACITY, LOOK_AHEAD)]
    assert sorted(n for row in rows for n in row) == list(range(500))
    taken = set()
    for row in rows:
        assert row[0] == min(set(range(500)) - taken), "the lesson that has waited longest"
        taken.update(row)


def test_a_run_with_filled_rows_says_how_full_they_are_and_trains_on_every_lesson_of_them(tmp_path):
    world.write_ports(tmp_path, 8)
    world.run("backbone", tmp_path)
    fill = {"max_tokens": 400, "look_ahead": 8}
    plan = world.run("sft", tmp_path, steps=3, batch_size=2, fill=fill)["sft_model"].metrics
    assert plan["steps"] == 3
    assert plan["lessons_per_row"] > 2
    assert 0 <= plan["padding_waste"] < 0.3
    assert plan["sources"]["skills"]["lessons"] >= 6 * plan["lessons_per_row"]
