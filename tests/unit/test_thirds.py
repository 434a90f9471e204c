"""Thirds of chords, heard again where the key does not know them."""

import numpy as np

from music_flamingo.mir import RATE_HZ, Signal
from music_flamingo.mir.relative_keys import doubted_for_its_relative
from music_flamingo.mir.thirds import with_thirds_of
from music_flamingo.records import Chords, Key, Segment

STAMP = {"tool": "test", "tool_version": "1", "confidence": 0.9}
KEY = Key(**STAMP, tonic="C", mode="major")


def over_a_bass(*notes: int) -> Signal:
    """Soft notes over a bass on A whose fifth partial is strong."""
    times = np.arange(2 * RATE_HZ) / RATE_HZ
    bass = sum(w * np.sin(2 * np.pi * 110 * k * times) for k, w in enumerate((1.0, 0.6, 0.4, 0.3, 0.6), start=1))
    chord = sum(0.3 * np.sin(2 * np.pi * 440 * 2 ** ((note - 69) / 12) * times) for note in notes)
    return Signal((0.1 * (bass + chord)).astype(np.float32))


def corrected(label: str, signal: Signal, key: Key = KEY) -> list[str]:
    chords = Chords(**STAMP, segments=[Segment(start_s=0.0, end_s=2.0, label=label)])
    return [segment.label for segment in with_thirds_of(key, chords, signal).segments]


def test_a_minor_chord_that_a_bass_made_major_is_minor_again() -> None:
    assert corrected("A:maj", over_a_bass(57, 60, 64)) == ["A:min"]
    assert corrected("A:7", over_a_bass(57, 60, 64)) == ["A:min7"]


def test_a_secondary_dominant_that_sounds_stays() -> None:
    assert corrected("A:maj", over_a_bass(57, 61, 64)) == ["A:maj"]


def test_chords_of_the_key_and_chords_without_a_sure_key_stay() -> None:
    heard = over_a_bass(57, 60, 64)
    assert corrected("A:min", heard) == ["A:min"]
    assert corrected("A:maj", heard, KEY.model_copy(update={"confidence": 0.2})) == ["A:maj"]


def test_the_dominant_of_a_minor_key_keeps_its_leading_note() -> None:
    assert corrected("A:maj", over_a_bass(57, 60, 64), Key(**STAMP, tonic="D", mode="minor")) == ["A:maj"]


def test_neighbours_that_became_equal_are_one() -> None:
    segments = [Segment(start_s=0.0, end_s=1.0, label="A:maj"), Segment(start_s=1.0, end_s=2.0, label="A:min")]
    found = with_thirds_of(KEY, Chords(**STAMP, segments=segments), over_a_bass(57, 60, 64))
    assert [(s.start_s, s.end_s, s.label) for s in found.segments] == [(0.0, 2.0, "A:min")]


def opening_on(first: str, second: str) -> Chords:
    labels = [first, "F:maj", second, "G:maj"] * 4
    return Chords(
        **STAMP, segments=[Segment(start_s=2.0 * i, end_s=2.0 * i + 2, label=x) for i, x in enumerate(labels)]
    )


def test_a_key_is_less_sure_where_the_piece_opens_on_its_relative() -> None:
    assert doubted_for_its_relative(KEY, opening_on("A:min", "C:maj")).confidence < 0.45
    assert doubted_for_its_relative(KEY, opening_on("C:maj", "A:min")) == KEY
    minor = Key(**STAMP, tonic="A", mode="minor")
    assert doubted_for_its_relative(minor, opening_on("C:maj", "A:min")).confidence < 0.45
    assert doubted_for_its_relative(KEY, None) == KEY
