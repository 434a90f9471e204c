"""The backbone's training on speech: tasks and targets, the plan, the exam, phases, exact resumption."""

import json

import numpy as np
import pytest
from pydantic import ValidationError
from support import tiny_world as world

from music_flamingo.audio.flac import encode_flac
from music_flamingo.core.errors import UserError
from music_flamingo.core.record import Provenance
from music_flamingo.model.files import load_model
from music_flamingo.records import Audio, SpokenSegment, Utterance
from music_flamingo.training.backbone import evaluation as backbone_exam
from music_flamingo.training.backbone import run as backbone
from music_flamingo.training.backbone.schedule import NO_SHARE, NO_TASK, TOO_LONG, plan_phase
from music_flamingo.training.backbone.settings import TASKS, Exam, Phase
from music_flamingo.training.backbone.tasks import request, speaker_turns, speech_item, takes, target

OPTIMISER = {**world.OPTIMISER, "learning_rate": 0.005}


def said(speaker: str, start_s: float, text: str, phonemes: str | None = None) -> SpokenSegment:
    return SpokenSegment(speaker=speaker, start_s=start_s, end_s=start_s + 0.5, text=text, phonemes=phonemes)


def utterance(*segments: SpokenSegment, name: str = "c/1", **changes) -> Utterance:
    values = {
        "id": name,
        "corpus": name.split("/")[0],
        "language": "en",
        "licence": None,
        "split": "train",
        "audio": Audio(bytes=encode_flac(np.zeros(32000, np.float32)), path="1.flac"),
        "duration_s": 2.0,
        "segments": list(segments) or [said("a", 0.0, "two birds", "t uː b ɜː d z")],
        "is_sung": False,
        "request": None,
        "provenance": Provenance(made_by="test", tool="test", tool_version="1"),
    }
    return Utterance.model_validate({**values, **changes})


def phase(**changes) -> Phase:
    values = {
        "name": "all",
        "tuning": {"kind": "full", "trains": "all"},
        "tasks": {"asr": 1.0, "phonemes": 0.5},
        "corpora": {"tones": 1.0},
        "steps": 4,
        "batch_size": 4,
        "optimiser": OPTIMISER,
    }
    return Phase.model_validate_json(json.dumps({**values, **changes}))


# --- tasks and targets ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "segments", "tasks"),
    [
        ({}, [], {"asr", "phonemes"}),
        ({}, [said("a", 0.0, "two birds")], {"asr"}),
        ({}, [said("a", 0.0, "two", "t uː"), said("b", 0.2, "birds", "b ɜː d z")], {"multi_speaker_asr"}),
        ({"is_sung": True}, [], {"lyrics"}),
        ({"request": "Who speaks?"}, [], {"instructions"}),
    ],
)
def test_each_utterance_has_the_tasks_that_it_can_answer(changes, segments, tasks):
    assert {task for task in TASKS if takes(task, utterance(*segments, **changes))} == tasks


def test_speakers_are_numbered_as_they_are_heard_and_come_in_turns_by_their_starts():
    talk = utterance(
        said("zoe", 0.0, "two"), said("zoe", 0.5, "birds"), said("al", 0.6, "where"), said("zoe", 1.0, "there")
    )
    assert speaker_turns(talk) == "[1] two birds [2] where [1] there"
    assert target("multi_speaker_asr", talk) == speaker_turns(talk)


def test_targets_are_the_words_or_the_phonemes_of_all_segments():
    two = utterance(said("a", 0.0, "two birds", "t uː b ɜː d z"), said("a", 0.6, "sing", "s ɪ ŋ"))
    assert target("asr", two) == "two birds sing"
    assert target("phonemes", two) == "t uː b ɜː d z s ɪ ŋ"


def test_a_corpus_s_own_request_is_asked_as_it_stands():
    asked = utterance(request="What is said?")
    assert request("instructions", asked) == "What is said?"
    assert request("asr", utterance()) == "Transcribe the speech."
    assert speech_item(asked, "instructions", 1.0).prompt == "What is said?"


# --- the plan ---------------------------------------------------------------------------------------------------


def many(corpus: str, count: int) -> list[Utterance]:
    return [utterance(name=f"{corpus}/{i:02d}") for i in range(count)]


def test_corpora_come_by_their_shares_in_every_stretch_and_each_utterance_before_any_comes_again():
    spoken = [*many("a", 4), *many("b", 8), *many("c", 3)]
    plan = plan_phase(phase(corpora={"a": 1.0, "b": 3.0}, steps=4, batch_size=4), spoken, world.hearing(), seed=1)
    heard = [lesson.window.track_id for lesson in plan.lessons]
    for start in range(0, 16, 4):
        assert sum(name.startswith("a/") for name in heard[start : start + 4]) == 1
    assert sorted(name for name in heard if name.startswith("a/")) == [f"a/{i:02d}" for i in range(4)]
    assert len({name for name in heard if name.startswith("b/")}) == 8
    assert plan.left_out == {NO_SHARE: 3}


def test_a_plan_is_fixed_by_its_seed_and_each_task_comes_first_in_its_turn():
    spoken = many("a", 8)
    plans = [plan_phase(phase(corpora={"a": 1.0}), spoken, world.hearing(), seed).lessons for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]
    assert {lesson.items[0].family for lesson in plans[0]} == {"asr", "phonemes"}
    assert {i.family: i.weight for lesson in plans[0] for i in lesson.items} == {"asr": 1.0, "phonemes": 0.5}


def test_what_the_model_cannot_hear_whole_or_no_task_takes_is_left_out_and_counted():
    spoken = [
        *many("a", 2),
        utterance(name="a/long", duration_s=world.SIZE.max_audio_s + 0.1),
        utterance(name="a/full", duration_s=float(world.SIZE.max_audio_s)),
        utterance(name="a/sung", is_sung=True),
    ]
    plan = plan_phase(phase(corpora={"a": 1.0}), spoken, world.hearing(), seed=1)
    assert plan.left_out == {TOO_LONG: 1, NO_TASK: 1}
    assert {lesson.window.track_id for lesson in plan.lessons} == {"a/00", "a/01", "a/full"}


def test_a_phase_without_anything_to_hear_says_which_corpus_is_empty():
    with pytest.raises(UserError, match=r"phase 'all' of the backbone finds nothing to teach in b"):
        plan_phase(phase(corpora={"a": 1.0, "b": 1.0}), many("a", 2), world.hearing(), seed=1)


def test_a_task_that_is_not_known_is_refused():
    with pytest.raises(ValidationError):
        phase(tasks={"translation": 1.0})


# --- the exam ---------------------------------------------------------------------------------------------------

EXAM = Exam(**world.EXAM)


def rate(
    references: list[str], outputs: list[str], task: str = "asr", language: str = "en"
) -> backbone_exam.TranscriptErrorRate:
    asked = [utterance(said("a", 0.0, r, r), name=f"c/{i}", language=language) for i, r in enumerate(references)]
    return backbone_exam._rate(asked, task, outputs)


def test_error_rates_agree_with_jiwer_on_words_and_phonemes():
    import jiwer

    references = ["two red birds sing", "three dogs run", "seven small horses wait"]
    outputs = ["two red bird sing", "three dogs", "seven very small horses dance"]
    assert rate(references, outputs).heard == pytest.approx(jiwer.wer(references, outputs), abs=1e-4)
    assert rate(references, outputs, "phonemes").heard == pytest.approx(jiwer.wer(references, outputs), abs=1e-4)


def test_the_control_holds_each_reference_against_what_was_heard_elsewhere():
    perfect = rate(["two birds", "red dogs", "two birds"], ["two birds", "red dogs", "two birds"])
    assert (perfect.heard, perfect.other_audio) == (0.0, 1.0)
    # a model that says the same always is no better with the right sound than with another
    deaf = rate(["two birds", "red dogs"], ["two birds", "two birds"])
    assert deaf.heard == deaf.other_audio == 0.5


def test_chinese_is_counted_by_characters():
    assert rate(["两只红鸟"], ["两只绿鸟"], language="zh").heard == 0.25
    assert rate(["两只红鸟"], ["两只绿鸟"], language="en").heard == 1.0


def test_the_exam_asks_held_out_utterances_alone_languages_in_turn():
    spoken = [
        utterance(name=f"c/{language}{i}", language=language, split=split)
        for language in ("en", "de")
        for split in ("train", "dev")
        for i in range(3)
        if split == "dev" or i
    ]
    spoken = [u.model_copy(update={"id": f"{u.id}-{u.split}"}) for u in spoken]
    chosen = backbone_exam.chosen(spoken, "asr", EXAM, world.hearing())
    assert [u.id for u in chosen] == ["c/de0-dev", "c/en0-dev", "c/de1-dev", "c/en1-dev"]


def test_a_task_for_which_nothing_is_held_out_has_no_rate():
    model, processor = world.model(), world.processor()
    rates = backbone_exam.examine(model, processor, world.utterances(), ("asr", "lyrics"), EXAM)
    assert set(rates) == {"asr"}
    assert rates["asr"].num_utterances == 4


# --- phases -----------------------------------------------------------------------------------------------------

PROJECTOR = {"name": "projector", "tuning": {"kind": "full", "trains": "projector"}}
ENCODER = {"name": "encoder", "tuning": {"kind": "full", "trains": "encoder_and_projector"}}
LORA = {
    "name": "adapters",
    "tuning": {
        "kind": "lora",
        "rank": 4,
        "alpha": 4,
        "dropout": 0.0,
        "targets": r".*language_model.*\.[qkvo]_proj",
        "train_projector": False,
        "train_marks": False,
        "keep": "merged",
    },
}


def speech(*phases: dict, checkpoint_every: int = 3) -> dict:
    described = [phase(**p).model_dump(mode="json") for p in phases]
    return {"phases": described, "turns": "conversation", "exam": world.EXAM, "checkpoint_every": checkpoint_every}


def weights(folder) -> dict[str, np.ndarray]:
    model, _ = load_model(folder)
    return {name: p.detach().numpy() for name, p in model.state_dict().items()}


def changed(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> set[str]:
    parts = ("multi_modal_projector", "audio_tower", "language_model", "lm_head")
    names = {name for name in before if not np.array_equal(before[name], after[name])}
    return {part for part in parts if any(part in name for name in names)}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """All of AF3's stages, a few steps each."""
    data = tmp_path_factory.mktemp("five") / "data"
    world.write_ports(data)
    five = speech(PROJECTOR, ENCODER, {"name": "all"}, LORA, {"name": "again"})
    return data, world.run("backbone", data, speech=five)["backbone_model"], five


@pytest.mark.parametrize(
    ("one", "learns"),
    [
        (PROJECTOR, {"multi_modal_projector"}),
        (ENCODER, {"multi_modal_projector", "audio_tower"}),
        ({}, {"multi_modal_projector", "audio_tower", "language_model", "lm_head"}),
        (LORA, {"language_model"}),
    ],
    ids=["projector", "encoder", "all", "lora"],
)
def test_a_phase_changes_the_parts_that_it_names_and_no_others(tmp_path, one, learns):
    world.write_ports(tmp_path / "before")
    world.run("backbone", tmp_path / "before")
    world.write_ports(tmp_path / "after")
    world.run("backbone", tmp_path / "after", speech=speech({**one, "steps": 2}))
    before, after = (weights(tmp_path / when / "backbone_model") for when in ("before", "after"))
    assert before.keys() == after.keys()
    assert changed(before, after) == learns


def test_log_and_plan_tell_of_every_phase_and_of_the_rates_before_and_after(trained):
    data, manifest, _ = trained
    lines = [json.loads(line) for line in (data / "backbone_model/log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(21))
    assert [line["step"] for line in lines if "wer_asr" in line] == [0, 4, 8, 12, 16, 20]
    assert [line["phase"] for line in lines[::4]] == ["before", "projector", "encoder", "all", "adapters", "again"]
    plan = json.loads((data / "backbone_model/plan.json").read_text())
    assert plan["phases"]["4-adapters"]["asked"] == {"asr": 16, "phonemes": 16}
    assert list(plan["exams"]) == ["1-projector", "2-encoder", "3-all", "4-adapters", "5-again", "before"]
    assert manifest.metrics["exams"] == plan["exams"]
    assert not (data / "backbone_model/_work").exists()


def test_the_same_run_gives_the_same_bits(trained, tmp_path):
    _, manifest, five = trained
    world.write_ports(tmp_path)
    assert world.run("backbone", tmp_path, speech=five)["backbone_model"].digest == manifest.digest


class Stopped(Exception):
    pass


@pytest.mark.parametrize("stop_at", [1, 2, 4])
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(trained, tmp_path, monkeypatch, stop_at):
    """Stopped within a phase after a checkpoint, at a phase's end before its mark, and in a later phase."""
    _, manifest, five = trained
    world.write_ports(tmp_path)
    original, calls = backbone.examine, []

    def stopping(*args, **kwargs):
        calls.append(1)
        if len(calls) == stop_at + 1:
            raise Stopped
        return original(*args, **kwargs)

    monkeypatch.setattr(backbone, "examine", stopping)
    with pytest.raises(Stopped):
        world.run("backbone", tmp_path, speech=five)
    done = [path.parent.name for path in (tmp_path / "backbone_model/_work").glob("*/phase.json")]
    assert len(done) == stop_at
    assert world.run("backbone", tmp_path, speech=five)["backbone_model"].digest == manifest.digest


def test_a_few_steps_teach_words_that_are_heard_and_not_guessed(tmp_path):
    world.write_ports(tmp_path, count=16)
    learning = speech({"steps": 60, "batch_size": 8, "tasks": {"asr": 1.0}}, checkpoint_every=100)
    exams = world.run("backbone", tmp_path, speech=learning)["backbone_model"].metrics["exams"]
    assert exams["before"]["asr"]["heard"] >= 1.0
    assert exams["1-all"]["asr"]["heard"] == 0.0
    assert exams["1-all"]["asr"]["other_audio"] == 1.0


def test_without_phases_weights_stay_as_they_are_and_no_log_is_written(tmp_path):
    world.write_ports(tmp_path)
    metrics = world.run("backbone", tmp_path)["backbone_model"].metrics
    assert "exams" not in metrics
    assert not (tmp_path / "backbone_model/log.jsonl").exists()


def test_the_tokenizer_knows_the_phonemes_and_keeps_music_answers_whole(tmp_path):
    world.write_ports(tmp_path)
    world.run("backbone", tmp_path)
    _, processor = load_model(tmp_path / "backbone_model")
    tokenizer = processor.tokenizer
    assert len(tokenizer(" l o w", add_special_tokens=False)["input_ids"]) == 3
    assert all(len(tokenizer(word, add_special_tokens=False)["input_ids"]) == 1 for word in world.OPTIONS)
