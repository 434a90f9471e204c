"""Facts of a part of a recording, the voice among them, and the gate on claims that tools dispute."""

import pytest
from support import songs

from music_flamingo.mir.trust import TrustRules, withheld
from music_flamingo.mir.voices import heard_voice, with_voice
from music_flamingo.records import (
    Content,
    Facts,
    Instrument,
    Instruments,
    Segment,
    Sound,
    SoundPart,
    Vocals,
    during,
    trusted,
)
from music_flamingo.stages.captions import CaptionsConfig, CaptionWindow, request

STAMP = {"tool": "ear", "tool_version": "1", "confidence": 0.9}
RULES = TrustRules.model_validate(songs.params("facts")["trust"])


def heard(*segments: tuple[float, float, str]) -> list[Segment]:
    return [Segment(start_s=a, end_s=b, label=label) for a, b, label in segments]


def content(**changes: object) -> Content:
    plain = {"kind": "music", "music_share": 1.0, "singing_share": 0.5, "speech_share": 0.0, "num_partials": 12.0}
    plain |= {"partials_share": 0.3, "heard": heard((0, 60, "music"), (30, 60, "singing"))}
    return Content.model_validate({**plain, **STAMP, **changes})


def song() -> Facts:
    """A minute: piano at first, then a woman who sings, with drums."""
    parts = [
        SoundPart(start_s=0.0, end_s=30.0, drums=-3.0, chords=2.0, decaying=0.2),
        SoundPart(start_s=30.0, end_s=60.0, drums=4.0, chords=2.0, decaying=-2.0),
    ]
    labels = [
        Instrument(name="piano", probability=0.9, heard=heard((0, 27, "sounds"))),
        Instrument(name="drums", probability=0.8, heard=heard((27, 60, "sounds"))),
    ]
    return songs.make_facts(
        duration_s=60.0,
        sound=Sound(has_drums=True, texture="chords", lead_envelope="sustained", parts=parts, **STAMP),
        content=content(),
        instruments=Instruments(labels=labels, **STAMP),
        voice=Vocals(present=True, heard=heard((30, 60, "singing")), register_heard="female", **STAMP),
    )


def test_a_window_has_the_players_and_the_sound_of_its_own_time() -> None:
    first, second = during(song(), 0.0, 28.0), during(song(), 32.0, 60.0)
    assert first.sound is not None and second.sound is not None
    assert (first.sound.has_drums, first.sound.lead_envelope) == (False, None)
    assert (second.sound.has_drums, second.sound.lead_envelope) == (True, "sustained")
    assert first.instruments is not None and second.instruments is not None
    assert [i.name for i in first.instruments.labels] == ["piano", "drums"]
    assert [i.name for i in second.instruments.labels] == ["drums"]
    assert first.voice is not None and not first.voice.present
    assert second.voice is not None and second.voice.register_heard == "female"
    assert first.tempo is first.key is first.sections is first.dynamics is None


def test_the_whole_is_the_whole_and_an_untrusted_claim_is_untrusted_in_every_part() -> None:
    assert during(song(), 0.0, 60.0) == song()
    facts = song()
    assert facts.sound is not None
    dumb = facts.model_copy(update={"sound": facts.sound.model_copy(update={"texture": None})})
    part = during(dumb, 0.0, 28.0)
    assert part.sound is not None and part.sound.texture is None


def test_captions_of_30_s_come_from_those_30_s() -> None:
    config = CaptionsConfig.model_validate(songs.params("captions"))
    windows = [CaptionWindow(songs.make_track(), song(), k, 30.0 * k, 30.0 * k + 30) for k in (0, 1)]
    payloads = [request(config, window, None).payload for window in windows]
    assert [p.has_drums for p in payloads] == [False, True]
    assert [p.singer for p in payloads] == [None, "female"] and [p.has_voice for p in payloads] == [False, True]


@pytest.mark.parametrize(
    ("changes", "present", "least"),
    [
        ({"singing_share": 0.0}, False, 0.95),
        ({"singing_share": 0.9}, True, 0.85),
        ({"singing_share": 0.0, "kind": "speech", "speech_share": 0.9}, True, 0.85),
        ({"singing_share": 0.0, "speech_share": 0.3}, False, 0.95),
    ],
    ids=["nobody", "sung", "spoken", "noise of the detector in music"],
)
def test_a_voice_is_as_likely_as_its_share_of_the_time(changes: dict, present: bool, least: float) -> None:
    voice = heard_voice(content(**changes), None)
    assert voice is not None and voice.present is present and voice.confidence > least


def test_a_tagger_adds_to_what_is_known_of_a_voice_and_the_voice_is_an_instrument() -> None:
    tagged = Vocals(present=True, heard=[], register_heard="male", **STAMP)
    alone, both = (heard_voice(content(singing_share=0.36), other) for other in (None, tagged))
    assert alone is not None and both is not None and not alone.present and both.present
    assert both.register_heard == "male"
    labels = with_voice(Instruments(labels=[Instrument(name="piano", probability=0.99)], **STAMP), both).labels
    assert [i.name for i in labels] == ["piano", "voice"]
    assert heard_voice(None, tagged) is tagged and heard_voice(None, None) is None


@pytest.mark.parametrize(
    ("has_drums", "names", "disputed"), [(True, [], True), (False, ["drums"], True), (True, ["drums"], False)]
)
def test_drums_that_one_tool_alone_hears_are_not_said(has_drums: bool, names: list[str], disputed: bool) -> None:
    labels = [Instrument(name=name, probability=0.9) for name in names]
    facts = songs.make_facts(
        sound=songs.make_facts().sound.model_copy(update={"has_drums": has_drums}),
        instruments=Instruments(labels=labels, **STAMP | {"tool": "musicnn"}),
    )
    entries = withheld(facts, RULES)
    assert ("sound.has_drums" in [e.fact for e in entries if e.reason == "disputed"]) is disputed
    seen = trusted(facts.model_copy(update={"withheld": entries}))
    assert seen.sound is not None and (seen.sound.has_drums is None) is disputed


def test_a_meter_of_its_own_low_confidence_is_withheld_and_the_beats_are_not() -> None:
    beats = songs.make_facts().beats.model_copy(update={"meter_confidence": 0.4})
    facts = songs.make_facts(beats=beats)
    seen = trusted(facts.model_copy(update={"withheld": withheld(facts, RULES)}))
    assert seen.beats is not None and seen.beats.beats_per_bar is None and seen.beats.downbeats_s == []


@pytest.mark.parametrize(
    ("present", "confidence", "unsung"), [(False, 0.95, True), (True, 0.95, False), (False, 0.1, False)]
)
def test_words_of_a_recording_in_which_nobody_is_heard_are_not_said(
    present: bool, confidence: float, unsung: bool
) -> None:
    voice = Vocals(present=present, heard=[], **STAMP | {"confidence": confidence})
    facts = songs.make_facts(lyrics=songs.with_lyrics(), voice=voice)
    assert ("lyrics" in [e.fact for e in withheld(facts, RULES) if e.reason == "unsung"]) is unsung
