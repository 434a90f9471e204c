"""Composite questions: logic, near misses, wording that is read back, checks of chains, and validation."""

import random
from collections import Counter
from itertools import product
from pathlib import Path

import pytest

from music_flamingo.core.params import load_params
from music_flamingo.quality.agreement import answer_agrees, rests_on
from music_flamingo.quality.checks import Limits, Song, reason_against
from music_flamingo.quality.steps import OptionProbabilities, StepLimits
from music_flamingo.reasoning.selection import Wanted
from music_flamingo.reasoning.writing import Manner, Topic, evidence_for, write_chain
from music_flamingo.records import Example, Withheld, trusted
from music_flamingo.scoring.families import (
    COMPOSITES,
    FAMILIES,
    HeldOutCombinations,
    NamedPart,
    check_sentence,
    evidence_of,
    parts_asked,
    read_chain,
)
from music_flamingo.stages.synthesize import SynthesizeConfig, write_track
from music_flamingo.teachers import ScriptedConfig, open_teacher
from tests.support import songs

ROOT = Path(__file__).resolve().parents[2]
HEARD = {"drums": "yes", "texture": "chords", "lead_envelope": "decaying", "tempo_class": "medium"}
LIMITS = StepLimits(right_above=0.3, answer_right_above=0.05, restate_above=0.8, max_wrong_fraction=0.3, max_words=250)
TEACHER = open_teacher(ScriptedConfig(kind="scripted"))


def examples(facts=None) -> list[Example]:
    config = SynthesizeConfig.model_validate(songs.params("synthesize"))
    return write_track(config, TEACHER, songs.make_track(), facts or songs.make_facts(), [])


COMPOSITE = [e for e in examples() if e.family in COMPOSITES]
CLOSED = [e for e in examples() if e.family in FAMILIES]


@pytest.mark.parametrize("composite", COMPOSITES.values(), ids=list(COMPOSITES))
def test_a_drawn_question_reads_back_as_its_parts_and_its_answer_follows(composite):
    rng = random.Random(1)
    for _ in range(200):
        question = composite.draw(HEARD, FAMILIES, rng)
        assert composite.read(question.text, FAMILIES) == question.parts
        assert composite.follows(question.parts, HEARD) == question.answer
        assert question.answer in composite.options
        assert not {"drums", "tempo_class"} <= {p.family for p in question.parts}, "a tempo tells that drums play"


@pytest.mark.parametrize("name", ["all_heard", "either_or", "exactly_two"])
def test_yes_and_no_are_about_equally_often_right_and_near_misses_are_common(name):
    rng = random.Random(2)
    drawn = [COMPOSITES[name].draw(HEARD, FAMILIES, rng) for _ in range(400)]
    assert 0.42 < sum(q.answer == "yes" for q in drawn) / 400 < 0.58
    false = Counter(sum(not p.holds(HEARD) for p in q.parts) for q in drawn)
    assert false[1] >= 150, "one false part"


def test_counts_from_none_to_all_come_equally_often():
    rng = random.Random(3)
    counted = Counter(COMPOSITES["count_heard"].draw(HEARD, FAMILIES, rng).answer for _ in range(400))
    assert set(counted) == {"0", "1", "2", "3"} and min(counted.values()) > 70


def test_words_of_a_composite_question_give_its_answer_away_no_more_than_chance():
    rng = random.Random(4)
    said: Counter[tuple[str, str]] = Counter()
    for _ in range(3000):
        heard = {n: rng.choice(FAMILIES[n].options) for n in ("drums", "texture", "lead_envelope", "tempo_class")}
        question = COMPOSITES["either_or"].draw(heard, FAMILIES, rng)
        said.update((f"{p.family}={p.value}", question.answer) for p in question.parts)
    for name in {name for name, _ in said}:
        yes, no = said[name, "yes"], said[name, "no"]
        assert 0.42 < yes / (yes + no) < 0.58, name


def test_other_words_are_no_composite_question():
    for question in ("Is all of this heard: drums, trumpets, yes or no?", "Are drums heard, yes or no?", ""):
        assert parts_asked("all_heard", question) is None
    assert parts_asked("all_heard", "Is all of this heard: drums, drums, yes or no?") is None
    assert parts_asked("drums", FAMILIES["drums"].question) is None


def test_a_composite_question_rests_on_the_facts_of_its_parts():
    question = "Is all of this heard: a slow beat, chords, yes or no?"
    assert rests_on("all_heard", question) == ("tempo", "sound")
    assert evidence_of("all_heard", question) == ("tempo_class", "texture")


def validated(example, facts=None):
    limits = Limits.model_validate(songs.params("validate")["limits"])
    return reason_against(example, Song(facts or songs.make_facts(), 16.0, limits))


def test_validation_keeps_them_and_rejects_an_answer_that_does_not_follow():
    assert {validated(e) for e in COMPOSITE} == {None}
    example = next(e for e in COMPOSITE if e.family == "all_heard")
    turned = example.model_copy(update={"answer": "no" if example.answer == "yes" else "yes"})
    assert validated(turned) == "contradicts_facts"
    reworded = example.model_copy(update={"question": "Is all of this heard: drums, a gong, yes or no?"})
    assert not answer_agrees(reworded, songs.make_facts())


def test_what_is_not_trusted_of_one_part_leaves_no_question_about_it():
    withheld = [Withheld(fact="tempo", reason="unsure")]
    left = [e for e in examples(trusted(songs.make_facts(withheld=withheld))) if e.family in COMPOSITES]
    assert left and not [e for e in left if "tempo_class" in evidence_of(e.family, e.question)]


def test_no_question_is_asked_about_combinations_that_are_held_out():
    given = songs.params("synthesize")
    rule = {
        **given["composites"],
        "held_out": {"share": 0.4, "grpo_share": 0.0, "seed": 1},
        "per_track": dict.fromkeys(COMPOSITES, 40),
    }
    config = SynthesizeConfig.model_validate({**given, "composites": rule})
    held_out = config.composites.held_out
    asked, left = set(), set()
    for texture, envelope in (("chords", "decaying"), ("melody", "decaying"), ("chords", "sustained")):
        facts = songs.make_facts()
        sound = facts.sound.model_copy(update={"texture": texture, "lead_envelope": envelope})
        written = write_track(config, TEACHER, songs.make_track(), facts.model_copy(update={"sound": sound}), [])
        parts = [parts_asked(e.family, e.question) for e in written if e.family in COMPOSITES]
        asked |= {frozenset(p) for p in parts}
        left |= {frozenset(p) for p in parts if held_out.holds_out(p)}
    assert len(asked) > 20 and not left


def test_a_share_of_the_combinations_of_each_set_of_families_is_held_out_in_any_order():
    rule = HeldOutCombinations(share=0.4, grpo_share=0.2, seed=1)
    options = [[NamedPart(name, v) for v in FAMILIES[name].options] for name in ("texture", "lead_envelope", "drums")]
    for some in (options, options[:2]):
        combinations = list(product(*some))
        held = [c for c in combinations if rule.holds_out(c)]
        assert len(held) == round(0.4 * len(combinations))
        assert all(rule.holds_out(c[::-1]) for c in held)
        left = [c for c in combinations if rule.leaves_to_grpo(c[::-1])]
        assert len(left) == round(0.2 * len(combinations)) and not set(left) & set(held)
    assert HeldOutCombinations(share=0.0, grpo_share=0.0, seed=1).holds_out(options[0][:1]) is False


def test_the_default_asks_in_its_exam_about_what_its_training_leaves_out():
    params = load_params(ROOT / "params.yaml")
    rule = params["synthesize"]["composites"]["held_out"]
    assert rule == params["reason"]["held_out"] == params["evaluate"]["thinking"]["held_out"] is not None


def test_no_chain_is_written_about_combinations_that_are_left_to_grpo():
    rule = HeldOutCombinations(share=0.0, grpo_share=0.2, seed=1)
    wanted, any_of_them = (Wanted(None, frozenset(), held_out) for held_out in (rule, None))
    left = [e for e in COMPOSITE if rule.leaves_to_grpo(parts_asked(e.family, e.question))]
    assert 0 < len(left) < len(COMPOSITE)
    assert [e for e in COMPOSITE if not wanted.takes(e.family, e.question)] == left
    assert all(any_of_them.takes(e.family, e.question) for e in left)
    assert wanted.takes("drums", "Are there drums?")


def test_the_same_parts_in_another_order_are_a_duplicate():
    one = next(e for e in COMPOSITE if e.family == "either_or")
    parts = parts_asked(one.family, one.question)
    turned = one.model_copy(update={"id": "turned", "question": COMPOSITES["either_or"].worded(parts[::-1], FAMILIES)})
    song = Song(songs.make_facts(), 16.0, Limits.model_validate(songs.params("validate")["limits"]))
    assert reason_against(one, song) is None
    assert reason_against(turned, song) == f"near_duplicate_of:{one.id}"


# --- chains -----------------------------------------------------------------------------------------------------------


def hearing(**wrong) -> dict[str, OptionProbabilities]:
    return {
        e.family: OptionProbabilities({o: wrong.get(e.family, 0.9 if o == e.answer else 0.1) for o in e.options})
        for e in CLOSED
    }


def chain(example, checks=(), style="short", **wrong):
    topic = Topic(example, songs.make_facts(), CLOSED, hearing(**wrong), "teacher_choice")
    return write_chain(Manner(style, LIMITS, 1, checks), TEACHER, topic, None)


@pytest.mark.parametrize("style", ["short", "full"])
def test_a_chain_checks_each_part_and_its_answer_follows(style):
    for example in COMPOSITE:
        made = chain(example, style=style)
        assert made.is_ok, made.status
        parts = parts_asked(example.family, example.question)
        assert [s.family for s in made.steps] == [p.family for p in parts]
        assert {s.verdict for s in made.steps} == {"right"}
        reading = read_chain(example.family, example.question, made.thinking, made.answer)
        assert reading.is_whole and reading.is_faithful
        assert not read_chain(example.family, example.question, made.thinking, "2 or so").is_faithful


def test_a_check_says_what_is_heard_and_whether_it_is_right():
    part = NamedPart("lead_envelope", "sustained")
    assert check_sentence(part, "decaying", "short") == "Notes are decaying: wrong."
    assert check_sentence(part, "sustained", "short") == "Notes are sustained: right."
    assert check_sentence(part, "decaying", "full").endswith("dies away: sustained notes, wrong.")


def test_chains_vary_in_thoroughness_as_configured():
    three = [
        e.model_copy(update={"id": f"{e.id}/{k}"}) for k in range(60) for e in COMPOSITE if e.family == "count_heard"
    ]
    kept = Counter(len(evidence_for(e, Manner("short", LIMITS, 1, (1, 1, 1)))) for e in three)
    assert set(kept) == {1, 2, 3} and min(kept.values()) > 0.2 * len(three)
    assert {len(evidence_for(e, Manner("short", LIMITS, 1))) for e in three} == {3}
    two = [e.model_copy(update={"id": f"{e.id}/{k}"}) for k in range(60) for e in COMPOSITE if e.family == "either_or"]
    cut = sum(len(evidence_for(e, Manner("short", LIMITS, 1, (1, 1, 1)))) == 1 for e in two) / len(two)
    assert 0.25 < cut < 0.42, "of three numbers of checks one is too few for two parts"
    short = next(c for e in three if len((c := chain(e, (1, 1, 1))).steps) == 1)
    assert not read_chain(short.family, short.question, short.thinking, short.answer).is_whole


def test_a_check_that_the_model_does_not_hear_discards_the_chain():
    example = next(e for e in COMPOSITE if "texture" in evidence_of(e.family, e.question) and len(e.options) == 4)
    made = chain(example, texture=0.0)
    assert made.status in ("quarantined:check_not_heard", "quarantined:too_many_wrong_steps")


@pytest.mark.parametrize(
    "thinking",
    [
        "Notes are decaying: right. Chords sound: right.",  # a verdict that does not fit
        "Notes are decaying: wrong.",  # a part left out
        "Notes are decaying: wrong. Notes are sustained: right. Chords sound: right.",  # said both ways
        "",
    ],
)
def test_a_chain_with_a_part_missing_or_a_false_verdict_is_not_whole(thinking):
    question = "Is either sustained notes or chords heard, but not both, yes or no?"
    reading = read_chain("either_or", question, thinking, "yes")
    assert not reading.is_whole and not reading.is_faithful
