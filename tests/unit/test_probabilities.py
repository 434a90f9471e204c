"""Confidences of keys and textures as probabilities: what weighs, what does not, and the facts of other tools."""

import numpy as np
import pytest

from music_flamingo.mir.probabilities import (
    chord_evidence,
    is_unanimous,
    key_features,
    load_probabilities,
    probable_key,
    weighed,
)
from music_flamingo.mir.sound import WORTH_WITH_DRUMS
from music_flamingo.records import Chords, Facts, Key, Opinion, Segment, Sound, SoundPart, during
from tests.support import songs

MODEL = load_probabilities()
VOTERS = MODEL.key_tool.removeprefix("vote:").split("+")


def key_of(confidence: float, tool: str = MODEL.key_tool, agrees: float = 1.0) -> Key:
    votes = [Opinion(tool=name, tool_version="1", value="C major", agrees=1.0) for name in VOTERS[:2]]
    votes.append(Opinion(tool=VOTERS[2], tool_version="1", value="G major", agrees=agrees))
    return Key(tool=tool, tool_version="1", confidence=confidence, tonic="C", mode="major", opinions=votes)


def sound_of(*log_odds: float) -> Sound:
    parts = [
        SoundPart(start_s=12.0 * n, end_s=12.0 * (n + 1), drums=5.0, chords=odds, decaying=1.0)
        for n, odds in enumerate(log_odds)
    ]
    return Sound(
        tool="sound_features", tool_version="1", confidence=0.9, has_drums=True, texture="melody", lead_envelope=None,
        texture_confidence=0.3, parts=parts,
    )  # fmt: skip


def chords_of(certainty: float, tool: str = MODEL.chords_tool) -> Chords:
    segments = [Segment(start_s=0.0, end_s=24.0, label="C:maj")]
    return Chords(tool=tool, tool_version="1", confidence=certainty, segments=segments)


def test_a_stronger_vote_is_a_likelier_key():
    sure = [probable_key(key_of(strength), None).confidence for strength in (0.0, 0.2, 0.5, 0.8, 1.0)]
    assert sure == sorted(sure) and 0 < sure[0] < 0.5 < sure[-1] < 1


def test_one_vote_for_another_key_is_no_unanimous_vote():
    assert is_unanimous(key_of(0.6)) and not is_unanimous(key_of(0.6, agrees=0.5))


def test_a_key_of_another_tool_keeps_its_confidence():
    other = key_of(0.6, tool="librosa")
    assert probable_key(other, None) == other
    assert probable_key(None, None) is None


def test_a_key_that_opens_on_its_relatives_tonic_is_less_likely():
    opening = chords_of(0.3)
    opening = opening.model_copy(update={"segments": [Segment(start_s=0.0, end_s=24.0, label="A:min")]})
    for tool in (MODEL.key_tool, "librosa"):
        plain, doubted = (probable_key(key_of(0.8, tool), heard).confidence for heard in (chords_of(0.3), opening))
        assert doubted < 0.75 < plain


def test_sure_chords_over_drums_are_no_single_line():
    assert weighed(sound_of(-1.5, -1.5), chords_of(0.4)).texture == "chords"
    assert weighed(sound_of(-4.0, -5.0), chords_of(0.02)).texture == "melody"


def test_one_line_that_the_analysis_hears_as_chords_is_not_sure():
    assert weighed(sound_of(1.7, 1.7), chords_of(0.04)).texture_confidence == 0.7
    assert weighed(sound_of(-1.7, -1.7), chords_of(0.04)).texture_confidence > 0.9


def test_the_texture_says_what_is_likelier():
    for odds in np.linspace(-9, 9, 7):
        for certainty in (0.0, 0.05, 0.15, 0.4):
            assert 0.5 <= weighed(sound_of(float(odds)), chords_of(certainty)).texture_confidence <= 1


def test_parts_are_weighed_as_the_whole_is():
    sound = weighed(sound_of(-6.0, 4.0), chords_of(0.1))
    whole = np.log(sound.texture_confidence / (1 - sound.texture_confidence)) * (1 if sound.texture == "chords" else -1)
    assert WORTH_WITH_DRUMS["chords"] * np.mean([part.chords for part in sound.parts]) == pytest.approx(whole, abs=0.01)


def test_a_part_does_not_contradict_a_sure_whole_for_want_of_the_chords():
    facts: Facts = songs.make_facts().model_copy(
        update={"sound": weighed(sound_of(-2.2, -2.2), chords_of(0.4)), "duration_s": 24.0}
    )
    assert during(facts, 0.0, 12.0).sound.texture in ("chords", None)


def test_a_texture_without_chordino_or_without_parts_stays():
    sound = sound_of(-1.0)
    assert weighed(sound, chords_of(0.4, tool="librosa")) == sound
    assert weighed(sound, None) == sound
    whole = sound.model_copy(update={"parts": []})
    assert weighed(whole, chords_of(0.4)) == whole


def test_evidence_grows_with_what_it_is_of():
    weak, strong, surest, certain = (key_features(key_of(x))[0] for x in (0.2, 0.8, 0.99, 1.0))
    assert weak < 0 < strong < surest == certain
    assert chord_evidence(0.0) == 0 < chord_evidence(0.05) < chord_evidence(0.4)
