"""Right answers by kind: the table, each rule with its near misses, and second sources for the maths."""

import itertools

import mir_eval
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from music_flamingo.scoring.answers import kind_of, only_number, parse_time_s, score_answer, word_f1
from music_flamingo.scoring.chords import parse_chord
from music_flamingo.scoring.normalise import PITCH_CLASSES, parse_key
from music_flamingo.scoring.tempo import same_tempo


@pytest.mark.parametrize(
    ("question_type", "family", "options", "reference", "kind"),
    [
        ("multiple_choice", "mode", ["major", "minor"], "minor", "choice"),
        ("time", "first_sound", ["drums", "bass"], "drums", "choice"),
        ("open", "bpm", [], "104 BPM", "tempo"),
        ("open", "pulse", [], "104 beats per minute", "tempo"),
        ("open", "dynamic_range", [], "7 dB", "decibels"),
        ("open", "relative_key", [], "C minor", "key"),
        ("open", "home", [], "Db major", "key"),
        ("open", "entry", [], "0:42", "time"),
        ("open", "lyrics_first_words", [], "Caro Ciel di", "text"),
        ("count", "bar_count", [], "6", "count"),
        ("count", "bar_count", [], "hard to say", "text"),
        ("time", "bar_start", [], "7.2 s", "time"),
        ("time", "what_first", [], "the drums", "text"),
        ("chord", "first_chord", [], "Ebm7", "chord"),
        ("chord", "roman_numeral", [], "bVI", "numeral"),
    ],
)
def test_the_kind_follows_from_family_then_type_then_the_references_form(
    question_type, family, options, reference, kind
):
    assert kind_of(question_type, family, options, reference) == kind


@pytest.mark.parametrize(
    ("kind", "answer", "reference", "score"),
    [
        ("tempo", "104 BPM", "104 BPM", 1.0),
        ("tempo", "about 108", "104 BPM", 1.0),  # 4 %
        ("tempo", "109 BPM", "104 BPM", 0.0),
        ("tempo", "208 BPM", "104 BPM", 0.0),  # the octave rule: the level is asked for
        ("tempo", "104 or 208 BPM", "104 BPM", 0.0),
        ("tempo", "fast", "104 BPM", 0.0),
        ("count", "six bars", "6", 1.0),
        ("count", "6 or 7", "6", 0.0),
        ("count", "6.5", "6", 0.0),
        ("decibels", "8 dB", "7 dB", 1.0),
        ("decibels", "8.5 dB", "7 dB", 0.0),
        ("time", "6.8 s", "6.4 s", 1.0),
        ("time", "0:06.4", "6.4 s", 1.0),
        ("time", "7.0 s", "6.4 s", 0.0),
        ("time", "bar 6", "6.4 s", 0.0),
        ("time", "6.4 s, 7 s or 8 s", "6.4 s", 0.0),
        ("key", "Db minor", "C# minor", 1.0),
        ("key", "C# major", "C# minor", 0.0),
        ("key", "C# minor or E major", "C# minor", 0.0),
        ("chord", "D#m", "Ebm7", 1.0),
        ("chord", "Eb", "Ebm7", 0.0),
        ("chord", "Eb or Ebm", "Ebm", 0.0),
        ("numeral", "vi", "vi", 1.0),
        ("numeral", "VI", "vi", 0.0),
        ("text", "caro ciel, di", "Caro Ciel di", 1.0),
        ("text", "something else", "Caro Ciel di", 0.0),
    ],
)
def test_each_kind_has_its_rule(kind, answer, reference, score):
    assert score_answer(kind, answer, reference) == score


def test_open_words_earn_by_f1_so_that_more_words_cost():
    assert word_f1("caro ciel", "caro ciel di") == pytest.approx(0.8)
    assert word_f1("caro ciel di " + "and so on " * 20, "caro ciel di") < 0.1
    assert word_f1("caro caro caro", "caro ciel di") == pytest.approx(1 / 3)
    assert word_f1("我爱你", "我爱你们") == pytest.approx(6 / 7)


def test_a_choice_may_be_its_letter_and_not_a_letter_with_other_words():
    options = ("slow", "medium", "fast")
    assert score_answer("choice", "(C) fast", "fast", options) == 1.0
    assert score_answer("choice", "C. slow", "fast", options) == 0.0
    assert score_answer("choice", "fast", "presto", options) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1:02:03", 3723), ("1 min 5 s", 65), ("2 minutes", 120), ("at 0:09.5", 9.5), ("7", 7), ("1:05 or 1:06", None)],
)
def test_times_in_their_forms(text, seconds):
    assert parse_time_s(text) == seconds


def test_numbers_in_words_are_numbers():
    assert only_number("seven") == 7
    assert only_number("3 or seven") is None


NOTES = [letter + accidental for letter in "CDEFGAB" for accidental in ("", "#", "b")]
QUALITIES = ("maj", "min", "7", "maj7", "min7", "dim", "aug", "hdim7", "dim7", "sus4", "min6", "maj6", "9", "minmaj7")


def test_chords_agree_as_mir_evals_triads_do():
    labels = [f"{note}:{quality}" for note in NOTES for quality in QUALITIES]
    pairs = [*itertools.product(labels[::7], labels[::5])]
    theirs = mir_eval.chord.triads([a for a, _ in pairs], [b for _, b in pairs])
    for (one, other), right in zip(pairs, theirs, strict=True):
        if right >= 0:
            assert score_answer("chord", one, other) == right, (one, other)


def test_keys_agree_as_mir_evals_do():
    keys = [f"{note} {mode}" for note in NOTES for mode in ("major", "minor")]
    known = [k for k in keys if k.split()[0] not in ("E#", "B#", "Cb", "Fb")]
    for one, other in itertools.product(known, known[::3]):
        assert score_answer("key", one, other) == (mir_eval.key.weighted_score(other, one) == 1.0)


def test_tempi_agree_as_mir_evals_do():
    for estimated in range(90, 120):
        # both of mir_eval's estimates are ours; its tolerance is relative to the reference
        theirs = mir_eval.tempo.detection(np.array([52, 104]), 0.5, np.array([estimated] * 2), tol=0.04)[1]
        assert same_tempo(estimated, 104) == bool(theirs)


@pytest.mark.parametrize("text", ["N", "X", "slow", "A B", "a", "Hm", "C E G"])
def test_what_is_no_chord_is_none(text):
    assert parse_chord(text) is None


@given(st.sampled_from(sorted(PITCH_CLASSES)), st.sampled_from(["", "#", "b"]), st.sampled_from(["", "m"]))
def test_a_triad_and_its_key_have_one_sound(letter, accidental, minor):
    chord, key = f"{letter.upper()}{accidental}{minor}", f"{letter.upper()}{accidental} {'minor' if minor else 'major'}"
    assert parse_chord(chord) == (parse_key(key)[0], "min" if minor else "maj")
