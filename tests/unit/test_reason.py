"""reason: hard questions get chains, every step is checked by the model, what is wrong is mended or discarded."""

import json
import random
from collections import Counter

import numpy as np
import pytest
from support import songs
from support.untaught import write_model

from music_flamingo.audio.flac import encode_flac
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.ports import Table
from music_flamingo.core.shards import shard_path
from music_flamingo.quality.difficulty import Candidate, DifficultyRule, choose
from music_flamingo.quality.steps import OptionProbabilities, StepLimits, judge, reason_against_text, reason_to_discard
from music_flamingo.reasoning.writing import Manner, Topic, write_chain
from music_flamingo.records import Audio, Chain, Example, Facts, Step, Track
from music_flamingo.scoring.families import FAMILIES, evidence_of
from music_flamingo.stages.reason import STAGE
from music_flamingo.stages.synthesize import SynthesizeConfig, write_track
from music_flamingo.teachers import ScriptedConfig, open_teacher
from music_flamingo.teachers.payloads import PlainStep, RewriteReply, StepsReply
from music_flamingo.teachers.scripted import ScriptedTeacher

LIMITS = StepLimits(right_above=0.3, answer_right_above=0.05, restate_above=0.8, max_wrong_fraction=0.3, max_words=250)
TRACK_FACTS = songs.make_facts()


def examples_of(track, facts) -> list[Example]:
    synthesize = SynthesizeConfig.model_validate_json(json.dumps(songs.params("synthesize")))
    return write_track(synthesize, open_teacher(synthesize.teacher), track, facts, [])


AUDIBLE = {e.family: e for e in examples_of(songs.make_track(), TRACK_FACTS) if e.family in FAMILIES}


def heard(**right) -> dict[str, OptionProbabilities]:
    """The model's probability of the right answer by family, .9 where nothing is said; the rest goes to one option."""
    return {
        e.family: OptionProbabilities(
            {o: right.get(e.family, 0.9) if o == e.answer else 1 - right.get(e.family, 0.9) for o in e.options[:2]}
            | {e.answer: right.get(e.family, 0.9)}
        )
        for e in AUDIBLE.values()
    }


def topic(example, facts=TRACK_FACTS, names=(), **right) -> Topic:
    return Topic(example, facts, list(AUDIBLE.values()), heard(**right), "teacher_choice", names)


def manner(style="short") -> Manner:
    return Manner(style, LIMITS, 1)


def written(family="tempo_class", facts=TRACK_FACTS, **right) -> Chain:
    teacher = open_teacher(ScriptedConfig(kind="scripted"))
    return write_chain(manner(), teacher, topic(AUDIBLE[family], facts, **right), None)


# --- steps ------------------------------------------------------------------------------------------------------------


def step(family, claim, text="Drums play.") -> Step:
    return Step(text=text, family=family, claim=claim, verdict="unchecked", confidence=0.0, rewritten_from=None)


def test_a_step_is_right_when_the_model_hears_its_claim():
    hearing = {"drums": OptionProbabilities({"yes": 0.3, "no": 0.7})}
    judged = judge([step("drums", "yes"), step("drums", "no"), step("", "")], "meter", hearing, LIMITS)
    assert [(s.verdict, s.confidence) for s in judged] == [("right", 0.3), ("right", 0.7), ("unchecked", 0.0)]
    hearing = {"drums": OptionProbabilities({"yes": 0.299, "no": 0.701})}
    assert judge([step("drums", "yes")], "meter", hearing, LIMITS)[0].verdict == "wrong"


def test_the_answer_itself_is_held_to_the_lenient_threshold():
    hearing = {"drums": OptionProbabilities({"yes": 0.06, "no": 0.94})}
    assert judge([step("drums", "yes")], "drums", hearing, LIMITS)[0].verdict == "right"
    hearing = {"drums": OptionProbabilities({"yes": 0.04, "no": 0.96})}
    assert judge([step("drums", "yes")], "drums", hearing, LIMITS)[0].verdict == "wrong"


def test_a_claim_that_is_no_option_is_wrong():
    hearing = {"drums": OptionProbabilities({"yes": 0.5, "no": 0.5})}
    assert judge([step("drums", "perhaps")], "meter", hearing, LIMITS)[0].verdict == "wrong"


@pytest.mark.parametrize(
    ("wrong", "steps", "reason"), [(0, 4, None), (1, 4, None), (3, 10, None), (1, 3, "too_many_wrong_steps")]
)
def test_more_than_thirty_percent_wrong_steps_are_too_many(wrong, steps, reason):
    judged = [step("drums", "no").model_copy(update={"verdict": "wrong"})] * wrong
    judged += [step("drums", "yes").model_copy(update={"verdict": "right"})] * (steps - wrong)
    assert reason_to_discard(judged, "meter", LIMITS) == reason


def test_a_chain_of_250_words_is_too_long_and_one_of_249_is_not():
    assert reason_against_text([step("", "", "word " * 250)], LIMITS) == "too_long"
    assert reason_against_text([step("", "", "word " * 249)], LIMITS) is None


@pytest.mark.security
def test_a_chain_with_markup_of_a_conversation_or_without_words_is_discarded():
    assert reason_against_text([step("", "", "Drums play.</think><answer>yes</answer>")], LIMITS) == "control_tokens"
    assert reason_against_text([], LIMITS) == "no_steps"


@pytest.mark.parametrize(
    "text",
    [
        "The facts say that the key is C.",
        "According to the annotations the meter is duple.",
        "As the metadata shows, drums play.",
        "The song title names a dance.",
        "In this dataset such pieces are fast.",
        "The file 03_take.wav is loud.",
        "The confidence of the key is high.",
        "This is Take Five, so five beats follow.",
        'It sounds like "waltz".',
        "Dave Brubeck plays.",
    ],
)
def test_a_chain_that_mentions_metadata_is_refused(text):
    names = ("Take Five", "Dave Brubeck", "Waltz")
    assert reason_against_text([step("", "", text)], LIMITS, names) == "mentions_metadata"


@pytest.mark.parametrize(
    "text",
    [
        "A waltz has three beats to the bar.",
        "The beats take five seconds.",
        "In fact the third is minor.",
        "The given pulse is slow.",
        "The key has four flats.",
        "The drums tag the phrase ends.",
    ],
)
def test_a_chain_that_speaks_of_the_music_is_not_taken_for_metadata(text):
    assert reason_against_text([step("", "", text)], LIMITS, ("Take Five", "Dave Brubeck", "Waltz", "Air")) is None


# --- chains -----------------------------------------------------------------------------------------------------------


def test_a_chain_whose_steps_are_heard_is_kept_as_it_was_written():
    chain = written()
    assert chain.is_ok and chain.thinking == "Drums play. Chords sound. Notes are decaying. The beat is medium."
    assert [s.verdict for s in chain.steps] == ["right"] * 4 and chain.teacher.kind == "scripted"


def test_one_wrong_step_of_four_is_withdrawn_where_the_tool_is_sure():
    chain = written(texture=0.1)
    assert chain.is_ok and "Texture is unclear." in chain.thinking
    mended = chain.steps[1]
    assert (mended.rewritten_from, mended.claim, mended.verdict) == ("Chords sound.", "", "unchecked")


def test_one_wrong_step_of_four_is_restated_where_the_model_is_surer_than_the_tool_and_checked_again():
    sound = TRACK_FACTS.sound.model_copy(update={"confidence": 0.6})
    chain = written(facts=songs.make_facts(sound=sound), texture=0.1)
    mended = chain.steps[1]
    assert (mended.text, mended.rewritten_from) == ("One melody sounds.", "Chords sound.")
    assert (mended.verdict, mended.confidence) == ("right", 0.9)


def test_two_wrong_steps_of_four_discard_the_chain():
    chain = written(texture=0.1, drums=0.1)
    assert chain.status == "quarantined:too_many_wrong_steps"
    assert [s.verdict for s in chain.steps] == ["wrong", "wrong", "right", "right"]


def test_an_answer_that_the_model_rules_out_discards_the_chain():
    assert written(tempo_class=0.06).is_ok, "a missed question has a doubtful answer"
    assert written(tempo_class=0.01).status == "quarantined:answer_contradicted"


def test_chains_name_neither_title_nor_track():
    assert "Song" not in written().thinking and "w1" not in written().thinking


# --- steps in free words ----------------------------------------------------------------------------------------------


class Spoken(ScriptedTeacher):
    """A teacher whose steps name no claim, as a language model's may; it mends a step to `mended`, or withdraws it."""

    def __init__(self, mended: str | None = None) -> None:
        self.mended = mended

    def ask(self, request):
        reply = super().ask(request)
        if request.prompt_id == "step_split":
            return StepsReply(steps=[PlainStep(text=s.text, family="", claim="") for s in reply.steps])
        if request.prompt_id == "rewrite" and self.mended:
            assert request.payload.heard == "no" and request.payload.facts is not None
            return RewriteReply(text=self.mended, family="", claim="", withdrawn=False)
        return reply


def spoken(mended=None, **yes) -> tuple[Chain, list[str]]:
    """The chain, and what the model was asked; it says yes to a text with the given probability, else with .9."""
    asked: list[str] = []

    def affirm(track_id, texts):
        asked.extend(texts)
        return {text: yes.get(text.split()[0].lower(), 0.9) for text in texts}

    return write_chain(manner(), Spoken(mended), topic(AUDIBLE["tempo_class"]), affirm), asked


def test_steps_in_free_words_are_put_to_the_model_and_kept_when_it_says_yes():
    chain, asked = spoken()
    assert asked == ["Drums play.", "Chords sound.", "Notes are decaying.", "The beat is medium."]
    assert chain.is_ok and {s.checked_by for s in chain.steps} == {"yes_no"}
    assert [s.confidence for s in chain.steps] == [0.9] * 4


def test_without_yes_and_no_steps_in_free_words_stay_unchecked():
    chain = write_chain(manner(), Spoken(), topic(AUDIBLE["tempo_class"]), None)
    assert chain.is_ok and {s.verdict for s in chain.steps} == {"unchecked"}


def test_a_step_in_free_words_that_is_denied_is_mended_and_asked_again():
    chain, asked = spoken(mended="Several notes sound.", chords=0.1)
    assert chain.is_ok and chain.steps[1].rewritten_from == "Chords sound."
    assert asked.count("Several notes sound.") == 1 and chain.steps[1].verdict == "right"
    chain, _ = spoken(mended="Several notes sound.", chords=0.1, several=0.1)
    assert chain.status == "quarantined:wrong_after_rewrite"


def test_a_withdrawn_step_in_free_words_is_not_asked_again():
    chain, asked = spoken(chords=0.1)
    assert chain.is_ok and chain.steps[1].verdict == "unchecked" and chain.steps[1].text not in asked


def test_two_denied_steps_of_four_discard_the_chain_and_a_denied_conclusion_contradicts_the_answer():
    assert spoken(chords=0.1, drums=0.1)[0].status == "quarantined:too_many_wrong_steps"
    assert spoken(the=0.06)[0].is_ok, "the last step states the answer, which is doubtful by definition"
    assert spoken(the=0.01)[0].status == "quarantined:answer_contradicted"


def test_a_mended_step_may_not_bring_markup_or_metadata():
    assert spoken(mended="The facts say so.", chords=0.1)[0].status == "quarantined:mentions_metadata"


# --- choice -----------------------------------------------------------------------------------------------------------


def candidates(missed=10, heard=30):
    return [
        Candidate(f"{family}/{answer}/{k}", family, answer, True, 0.1 if k < missed else 0.9, k % 5 + 1)
        for family, answers in (("drums", ("yes", "no")), ("tempo_class", ("slow", "medium", "fast")))
        for answer in answers
        for k in range(missed + heard)
    ]


def test_families_and_their_answers_share_the_number_equally():
    chosen = choose(candidates(), DifficultyRule(60, 0.5, 0.4), random.Random(1))
    counted = Counter(tuple(i.split("/")[:2]) for i in chosen)
    assert {c for (family, _), c in counted.items() if family == "drums"} == {15}
    assert {c for (family, _), c in counted.items() if family == "tempo_class"} == {10}


def test_missed_questions_come_up_to_their_share_and_the_hardest_of_the_rest_follow():
    chosen = choose(candidates(), DifficultyRule(60, 0.5, 0.4), random.Random(1))
    drums = {i: d for i, d in chosen.items() if i.startswith("drums/yes")}
    assert Counter(drums.values()) == {"model_missed": 6, "teacher_choice": 9}
    ratings = {c.example_id: c.rating for c in candidates()}
    assert min(ratings[i] for i, d in drums.items() if d == "teacher_choice") >= 4


def test_among_the_missed_the_model_is_least_sure_of_come_first():
    cell = [Candidate(f"drums/yes/{k}", "drums", "yes", True, 0.1 * k, 1) for k in range(10)]
    chosen = choose(cell, DifficultyRule(2, 0.5, 1.0), random.Random(1))
    assert sorted(chosen) == ["drums/yes/3", "drums/yes/4"]


def test_more_missed_questions_fill_a_cell_that_has_nothing_else():
    chosen = choose(candidates(missed=10, heard=2), DifficultyRule(60, 0.5, 0.4), random.Random(1))
    assert Counter(d for i, d in chosen.items() if i.startswith("drums/yes")) == {
        "model_missed": 10,
        "teacher_choice": 2,
    }


# --- stage ------------------------------------------------------------------------------------------------------------


def sound_of(seed: int) -> Audio:
    rng = np.random.default_rng(seed)
    return Audio(bytes=encode_flac(rng.normal(0, 0.1, 3 * 16000).astype(np.float32)), path=f"{seed}.flac")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Eight training tracks and a test track in two shards, and a tiny model that has learned nothing."""
    root = tmp_path_factory.mktemp("data")
    shards: list[tuple[list[Track], list[Facts], list[Example]]] = []
    for shard in range(2):
        tracks = [songs.make_track(f"w{shard}{k}/0", f"w{shard}{k}", audio=sound_of(k)) for k in range(4)]
        tracks.append(songs.make_track(f"t{shard}/0", f"t{shard}", "test", audio=sound_of(9)))
        sounds = [TRACK_FACTS.sound.model_copy(update={"has_drums": k % 2 == 0}) for k in range(5)]
        facts = [songs.make_facts(t.id, t.work_id, sound=s) for t, s in zip(tracks, sounds, strict=True)]
        shards.append((tracks, facts, [e for t, f in zip(tracks, facts, strict=True) for e in examples_of(t, f)]))
    for port, record, column in (("tracks", Track, 0), ("facts", Facts, 1), ("skills", Example, 2)):
        songs.write_port(root / port, record, [shard[column] for shard in shards])
    write_model(root / "sft_model", [e.question + " " + e.rationale for *_, examples in shards for e in examples])
    return root


def settings(**changes):
    return songs.params("reason") | {"families": list(FAMILIES), "num_examples": 24, "max_tracks": 6} | changes


def chains(data, port) -> list[Chain]:
    return list(Table(data / port, Chain, read_manifest(data / port)))


def test_the_stage_asks_training_tracks_alone_and_files_every_chain(data):
    manifests = songs.run_stage(STAGE, settings(), data)
    kept, discarded = chains(data, "think"), chains(data, "think_rejects")
    assert kept and {c.split for c in kept + discarded} == {"train"}
    assert len({c.track_id for c in kept + discarded}) <= 6
    metrics = manifests["think"].metrics
    assert metrics["num_kept"] == len(kept) and sum(metrics["reasons"].values()) == len(discarded)
    assert sum(metrics["by_difficulty"].values()) == len(kept)
    assert {c.family for c in kept} <= set(FAMILIES)
    assert all(0 < s.confidence <= 1 for c in kept for s in c.steps if s.verdict != "unchecked")


def test_an_interrupted_run_repeats_no_finished_listening_and_gives_the_same_digests(data):
    first = {port: m.digest for port, m in songs.run_stage(STAGE, settings(), data).items()}
    key = read_manifest(data / "think").key
    work = data / "think" / "_work"
    for port in STAGE.outputs:
        (data / port / "_manifest.json").unlink()
        (data / port / "_progress.json").write_text(json.dumps({"key": key}))
    shard_path(data / "think_rejects", 1).unlink()
    assert not work.exists(), "scratch is not part of the result"
    assert {port: m.digest for port, m in songs.run_stage(STAGE, settings(), data).items()} == first


def test_a_caption_gets_a_chain_of_what_it_names(data):
    songs.run_stage(STAGE, settings(families=["short_caption"], num_examples=4, max_new_tokens=8), data)
    filed = chains(data, "think") + chains(data, "think_rejects")
    assert filed and all(c.difficulty == "model_missed" and not c.options for c in filed)
    claimed = {s.family for c in filed for s in c.steps if s.family}
    assert claimed <= set(evidence_of("short_caption")) and len(claimed) >= 3


def test_questions_without_options_are_asked_in_the_models_own_words(data):
    manifests = songs.run_stage(STAGE, settings(families=["cadence", "mode"], num_examples=8, style="full"), data)
    assert manifests["think"].metrics["num_asked"] > 0
    open_families = settings(families=["num_chords", "mode"], num_examples=8, style="full", max_new_tokens=4)
    songs.run_stage(STAGE, open_families, data)
    counted = [c for c in chains(data, "think") if c.family == "num_chords"]
    assert counted and all(c.difficulty == "model_missed" for c in counted), "an untrained model names no count"
    assert all(c.thinking for c in counted)


def test_trivial_families_get_no_chain_and_are_counted(data):
    families = ["mode", "key", "bpm"]
    metrics = songs.run_stage(STAGE, settings(families=families, num_examples=8), data)["think"].metrics
    assert metrics["num_trivial"] > 0
    assert {c.family for c in chains(data, "think") + chains(data, "think_rejects")} == {"mode"}


def test_every_chosen_question_is_counted_on_one_path(data):
    metrics = songs.run_stage(STAGE, settings(), data)["think"].metrics
    assert metrics["drafted"] == sum(metrics["chosen"].values())
    ended = metrics["right_at_first"] + metrics["rewritten_and_right"] + sum(metrics["reasons"].values())
    assert metrics["drafted"] == ended


def test_without_a_list_of_families_skills_share_the_number(data):
    changes = {"families": None, "num_examples": 24, "style": "full", "max_new_tokens": 4}
    songs.run_stage(STAGE, settings(**changes), data)
    families = {c.family for c in chains(data, "think") + chains(data, "think_rejects")}
    assert len(families) > len(FAMILIES) // 2
    assert not families & {"key", "bpm"}


def test_the_stage_asks_the_model_yes_or_no_where_that_is_configured(data):
    changes = {"families": ["cadence", "mode"], "num_examples": 8, "style": "full", "check": "yes_no"}
    metrics = songs.run_stage(STAGE, settings(**changes), data)["think"].metrics
    assert metrics["check"] == "yes_no" and metrics["steps_checked_by"].get("yes_no", 0) > 0
