"""Near duplicates: by words within a track, by MinHash over all; what makes another question stays."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import songs

from music_flamingo.quality.checks import Limits, Song, reason_against
from music_flamingo.quality.near_texts import NUM_MINIMA, near_duplicates, signatures
from music_flamingo.quality.texts import TextsOfTrack, content_words, figures
from music_flamingo.records import Example
from music_flamingo.stages.synthesize import SynthesizeConfig, write_track
from music_flamingo.teachers import open_teacher

WORDS = [f"word{k}" for k in range(400)]


def written() -> dict[str, Example]:
    config = SynthesizeConfig.model_validate(songs.params("synthesize") | {"max_questions": 99})
    examples = write_track(config, open_teacher(config.teacher), songs.make_track(), songs.make_facts(), [])
    return {e.family: e for e in examples}


EXAMPLES = written()
OPEN = EXAMPLES["bar_count"].model_copy(update={"family": "free", "type": "open", "rationale": ""})


def repeats(first: tuple[str, str], second: tuple[str, str]) -> bool:
    """Is the second (question, answer) of a track what the first said?"""
    said = TextsOfTrack(songs.params("validate")["limits"]["near_duplicate"])
    one, two = (
        OPEN.model_copy(update={"id": str(k), "question": question, "answer": answer})
        for k, (question, answer) in enumerate((first, second))
    )
    said.add(one)
    return said.find(two) == "0"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("How many bars are there?", "8"), ("How many bars does this piece have?", "eight"), True),
        (("Which key is this in?", "C# minor"), ("In which key is this piece?", "Db minor"), True),
        (("When does bar 4 begin?", "7.2 s"), ("When does bar 4 begin?", "7.4 s"), False),
        (("Which chord sounds at 4.0 s?", "C"), ("Which chord sounds at 8.0 s?", "C"), False),
        (("Which chord sounds in bar two?", "C"), ("Which chord sounds in bar three?", "C"), False),
        (("Do the strings play in the first half?", "yes"), ("Do the strings play in the second half?", "yes"), False),
        (("Which is the loudest section?", "A"), ("Which is the quietest section?", "A"), False),
        (("Is there a C major chord in it?", "yes"), ("Is there a D major chord in it?", "yes"), False),
        (("Is the bass played by a tuba?", "no"), ("Is the bass played by a cello?", "no"), False),
    ],
)
def test_one_question_in_other_words_is_a_duplicate_and_another_question_is_not(one, other, same):
    assert repeats(one, other) is same


def test_the_later_of_two_equals_is_rejected_and_names_the_earlier():
    song = Song(songs.make_facts(), 16.0, Limits.model_validate(songs.params("validate")["limits"]))
    assert reason_against(EXAMPLES["bar_count"], song) is None
    again = EXAMPLES["bar_count"].model_copy(update={"id": "w1/0/again", "question": "How many bars does it have?"})
    assert reason_against(again, song) == "near_duplicate_of:w1/0/bar_count"
    assert reason_against(EXAMPLES["section_count"], song) is None


def test_a_closed_question_is_asked_of_a_track_once_however_it_is_worded():
    song = Song(songs.make_facts(), 16.0, Limits.model_validate(songs.params("validate")["limits"]))
    assert reason_against(EXAMPLES["drums"], song) is None
    other = EXAMPLES["drums"].model_copy(update={"id": "x", "question": "Does anybody beat a drum, yes or no?"})
    assert reason_against(other, song) == "near_duplicate_of:w1/0/drums"


def test_closed_questions_repeat_over_tracks_by_design():
    limits = Limits.model_validate(songs.params("validate")["limits"])
    assert [reason_against(EXAMPLES["drums"], Song(songs.make_facts(), 16.0, limits)) for _ in range(3)] == [None] * 3


def test_figures_are_what_makes_another_question():
    assert (
        figures("When does bar four begin?") == figures("When does bar 4 begin?") != figures("When does bar 5 begin?")
    )
    assert content_words("How many sections?") == content_words("How many sections are there in this piece?")


def text(rng: random.Random, words: int = 120) -> list[str]:
    return rng.choices(WORDS, k=words)


def grams(words: list[str], size: int) -> set[tuple[str, ...]]:
    return {tuple(words[k : k + size]) for k in range(len(words) - size + 1)}


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(0, 60))
def test_equal_minima_estimate_the_share_of_common_grams(seed, num_changed):
    rng = random.Random(seed)
    one = text(rng)
    other = list(one)
    for place in rng.sample(range(len(other)), num_changed):
        other[place] = rng.choice(WORDS)
    exact = len(grams(one, 3) & grams(other, 3)) / len(grams(one, 3) | grams(other, 3))
    minima = signatures([" ".join(one), " ".join(other)], 3)
    assert (minima[0] == minima[1]).mean() == pytest.approx(exact, abs=0.2)  # 4.5 standard errors of 128 minima


def test_case_punctuation_and_line_breaks_make_no_other_text():
    minima = signatures(["The pulse runs at 7.2 Hz, softly.", "the pulse\nruns at 7.2 hz -- softly"], 3)
    assert (minima[0] == minima[1]).all()
    assert (signatures(["It begins at 7.2 s"], 1) != signatures(["It begins at 72 s"], 1)).any()


def test_every_planted_copy_is_found_and_named_by_the_earliest():
    rng = random.Random(1)
    texts = [" ".join(text(rng)) for _ in range(300)]
    copies = {}
    for k in range(30):
        words = texts[k].split()
        words[7 * k % 100] = "changed"
        copies[300 + k] = k
        texts.append(" ".join(words))
    texts.append(texts[0])
    found = near_duplicates(signatures(texts, 3), 0.8)
    assert found == copies | {330: 0}


def test_a_teacher_that_says_one_thing_always_keeps_one_text():
    minima = signatures(["word " * 50] * 500, 3)
    assert near_duplicates(minima, 0.8) == dict.fromkeys(range(1, 500), 0)


@pytest.mark.parametrize("texts", [[], [""], ["", "one", "one two"]])
def test_texts_shorter_than_a_gram_are_texts_too(texts):
    assert signatures(texts, 3).shape == (len(texts), NUM_MINIMA)


def test_the_order_of_other_texts_changes_no_signature():
    rng = random.Random(2)
    texts = [" ".join(text(rng)) for _ in range(20)]
    together, alone = signatures(texts, 3), [signatures([t], 3)[0] for t in texts]
    np.testing.assert_array_equal(together, np.stack(alone))
