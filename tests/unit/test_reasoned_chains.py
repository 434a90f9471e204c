"""Chains for a reader: the answer follows from several facts, and where there is one fact alone no chain is kept."""

import json

import pytest
from support import songs

from music_flamingo.quality.steps import StepLimits
from music_flamingo.reasoning.writing import Manner, Topic, write_chain
from music_flamingo.records import Chain, Example
from music_flamingo.scoring.families import COMPOSITES, FAMILIES
from music_flamingo.stages.captions import CaptionsConfig, CaptionWindow, describe
from music_flamingo.stages.synthesize import SynthesizeConfig, write_track
from music_flamingo.teachers import ScriptedConfig, open_teacher
from music_flamingo.teachers.scripted.chains import sentences_of

LIMITS = StepLimits(right_above=0.3, answer_right_above=0.05, restate_above=0.8, max_wrong_fraction=0.3, max_words=250)
TEACHER = open_teacher(ScriptedConfig(kind="scripted"))
FACTS = songs.make_facts()


def asked(facts=FACTS) -> dict[str, Example]:
    config = SynthesizeConfig.model_validate_json(json.dumps(songs.params("synthesize")))
    return {e.family: e for e in write_track(config, open_teacher(config.teacher), songs.make_track(), facts, [])}


ASKED = asked()


def chain(family: str, style="full") -> Chain:
    audible = [e for e in ASKED.values() if e.family in FAMILIES]
    return write_chain(
        Manner(style, LIMITS, 1), TEACHER, Topic(ASKED[family], FACTS, audible, {}, "model_missed"), None
    )


@pytest.mark.parametrize("family", sorted(ASKED))
def test_a_chain_for_a_reader_has_several_steps_or_is_not_kept(family):
    written = chain(family)
    if family in COMPOSITES:
        assert written.is_ok
    elif len(written.steps) < 2:
        assert written.status == "quarantined:one_step"
    else:
        assert written.is_ok, written.status


def test_the_answer_follows_from_what_is_counted():
    assert chain("tempo_class").thinking == (
        "A drum kit plays along and marks the beat. It runs at 120 BPM, and between 84 "
        "and 128 is medium. The beats come at a walking pace."
    )
    assert "From one downbeat to the next there are four beats." in chain("meter").thinking


@pytest.mark.parametrize("family", ["drums", "texture", "lead_envelope"])
def test_one_percept_is_no_reason_for_another(family):
    assert chain(family).status == "quarantined:one_step"
    assert chain(family, "short").is_ok, "a small model listens to the others first"


def test_a_sentence_is_not_cut_at_the_point_of_a_number():
    said = "Downbeats fall at 2.4 s and 4.0 s. Four beats lie between."
    assert sentences_of(said) == ["Downbeats fall at 2.4 s and 4.0 s.", "Four beats lie between."]
    assert sentences_of("What?! Yes... no end") == ["What?!", "Yes...", "no end"]


def test_a_window_of_which_only_absences_are_known_gets_no_caption():
    config = CaptionsConfig.model_validate_json(json.dumps(songs.params("captions")))
    bare = {"has_drums": False, "texture": None, "lead_envelope": None}
    facts = songs.make_facts(sound=FACTS.sound.model_copy(update=bare), dynamics=None)
    window = CaptionWindow(songs.make_track(), facts, 0, 0.0, 16.0)
    assert describe(config, TEACHER, window).status == "quarantined:nothing_named"
    lined = songs.make_facts(sound=FACTS.sound.model_copy(update=bare | {"texture": "melody"}), dynamics=None)
    assert describe(config, TEACHER, CaptionWindow(songs.make_track(), lined, 0, 0.0, 16.0)).is_ok
