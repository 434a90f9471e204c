"""Chains whose steps name the seconds they rest on: written, held against the facts there, rewarded where they hold."""

import json

import pytest
from support import songs

from music_flamingo.quality.steps import StepLimits
from music_flamingo.quality.timed_steps import reason_against_seconds
from music_flamingo.reasoning.writing import Manner, Topic, write_chain
from music_flamingo.records import Example, Sound, SoundPart, Step
from music_flamingo.records.chain import HeardClaim
from music_flamingo.rewards.judge import Rules, Task, parts_of
from music_flamingo.rewards.timed import timed_reward
from music_flamingo.scoring.families import FAMILIES, read_chain
from music_flamingo.scoring.timed import heard_claims, span_of, spoken_span, timed_sentences, without_span
from music_flamingo.stages.synthesize import SynthesizeConfig, write_track
from music_flamingo.teachers import open_teacher

DRUMS, NONE = (FAMILIES["drums"].claims[answer].short for answer in ("yes", "no"))


def drums(*odds: float) -> Sound:
    """Four seconds a part: drums where the log odds are positive."""
    parts = [
        SoundPart(start_s=4.0 * k, end_s=4.0 * k + 4.0, drums=value, chords=3.0, decaying=3.0)
        for k, value in enumerate(odds)
    ]
    known = {"has_drums": True, "texture": "chords", "lead_envelope": "decaying", "confidence": 0.9}
    return Sound(**known, parts=parts, **songs.TOOL)


FACTS = songs.make_facts(sound=drums(-3.0, 3.0, 3.0, 0.0))


def steps(*texts: str) -> list[Step]:
    return [Step(text=t, family="", claim="", verdict="unchecked", confidence=0.0, rewritten_from=None) for t in texts]


def test_what_is_heard_when_joins_neighbours_that_agree():
    heard = [h for h in heard_claims(FACTS) if h.family == "drums"]
    assert [(h.claim, h.start_s, h.end_s) for h in heard] == [("no", 0.0, 4.0), ("yes", 4.0, 12.0)]


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("[0:02-0:07] Drums play.", (2.0, 7.0)),
        ("(1:02.5 – 1:07): Drums play.", (62.5, 67.0)),
        ("[2.5 s to 4 seconds] Drums play.", (2.5, 4.0)),
        ("Drums play at [0:02-0:07].", None),
        ("[sic] Drums play.", None),
        ("[1-2] Drums play.", None),
    ],
)
def test_seconds_are_read_at_the_beginning_of_a_sentence(text, span):
    assert span_of(text) == span
    assert without_span(text) == (text if span is None else "Drums play.")
    assert span_of(spoken_span(2.2, 6.8) + " x") == (2.0, 7.0)


def test_the_scripted_teacher_says_when_its_claims_are_heard():
    config = SynthesizeConfig.model_validate_json(json.dumps(songs.params("synthesize")))
    teacher, limits = open_teacher(config.teacher), songs.params("reason")["limits"]
    examples = write_track(config, teacher, songs.make_track(), FACTS, [])
    audible = [e for e in examples if e.family in FAMILIES]
    for seconds in (True, False):
        manner = Manner("short", StepLimits.model_validate(limits), 1, (), seconds)
        [asked] = [e for e in audible if e.family == "tempo_class"]
        chain = write_chain(manner, teacher, Topic(asked, FACTS, audible, {}, "teacher_choice"), None)
        assert chain.is_ok and bool(chain.heard) == seconds
        assert ("[0:04-0:12] " + DRUMS in chain.thinking) == seconds
        assert {s.family for s in chain.steps} >= {"drums", "tempo_class"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"[0:04-0:12] {DRUMS}", None),
        (f"[0:00-0:04] {NONE}", None),
        (f"[0:00-0:04] {DRUMS}", "not_at_these_seconds"),
        ("[0:00-0:04] A drum kit plays.", "not_at_these_seconds"),
        ("[0:12-0:16] A drum kit plays.", None),  # nothing is sure there
        (f"[0:12-0:20] {DRUMS}", "seconds_outside"),
        (f"[0:07-0:04] {DRUMS}", "seconds_outside"),
        (DRUMS, None),
    ],
)
def test_a_step_is_held_against_what_is_measured_at_its_seconds(text, reason):
    found = reason_against_seconds(steps(text), FACTS)
    assert found is None if reason is None else found and found.startswith(reason)


def said(*sentences: str) -> str:
    return f"<think>{' '.join(sentences)}</think><answer>x</answer>"


@pytest.mark.parametrize(
    ("output", "reward"),
    [
        (said(f"[0:04-0:12] {DRUMS}"), 1.0),
        (said(f"[0:00-0:04] {DRUMS}"), 0.0),
        (said(f"[0:04-0:12] {DRUMS}", f"[0:00-0:04] {DRUMS}"), 0.0),  # every span of a claim must hold
        (said(f"[0:04-0:12] {DRUMS}", f"[0:00-0:04] {NONE}"), 1.0),
        (said(f"[0:04-0:12] {DRUMS}", f"[0:04-0:08] {NONE}"), 0.5),
        (said(f"[0:12-0:16] {DRUMS}"), 0.0),  # nothing is measured there
        (said(DRUMS), 0.0),
        (said("[0:04-0:12] Something else."), 0.0),
        ("", 0.0),
    ],
)
def test_seconds_that_hold_earn_and_others_do_not(output, reward):
    assert timed_reward(output, heard_claims(FACTS)) == reward


def test_seconds_earn_nothing_by_default_and_where_nothing_was_measured():
    assert timed_reward(said(f"[0:04-0:12] {DRUMS}"), []) is None
    heard = (HeardClaim(family="drums", claim="yes", start_s=4.0, end_s=12.0),)
    task = Task("drums", False, "choice", "yes", ("yes", "no"), (), heard=heard)
    by_default = songs.params("grpo")["reward_weights"]
    for weights, timed in ((by_default, None), ({"question": by_default["question"] | {"timed": 0.5}}, 1.0)):
        rules = Rules(weights, "matched_categories", 250)
        assert parts_of(said(f"[0:04-0:12] {DRUMS}"), task, rules)["timed"] == timed


def test_seconds_stand_in_the_way_of_no_other_reading():
    assert timed_sentences(f"[0:04-0:12] {DRUMS} [0:00-0:04] {NONE} So it is.") == [
        ((4.0, 12.0), DRUMS),
        ((0.0, 4.0), NONE),
    ]
    question = composite()
    plain = read_chain(question.family, question.question, question.rationale, question.answer)
    assert plain is not None
    timed = " ".join(f"[0:00-0:04] {s.strip()}." for s in question.rationale.split(".") if s.strip())
    assert read_chain(question.family, question.question, timed, question.answer) == plain


def composite() -> Example:
    config = SynthesizeConfig.model_validate_json(json.dumps(songs.params("synthesize")))
    examples = write_track(config, open_teacher(config.teacher), songs.make_track(), FACTS, [])
    return next(e for e in examples if e.family == "all_heard")
