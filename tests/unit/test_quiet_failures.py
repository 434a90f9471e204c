"""Training that goes wrong says so: numbers out of range are refused, and nothing that is not finite is kept."""

import typing

import pytest
import torch
from pydantic import BaseModel
from support import tiny_world as world

from music_flamingo import stages
from music_flamingo.core.errors import ConfigError
from music_flamingo.core.manifest import MANIFEST_NAME
from music_flamingo.core.params import load_params, stage_json
from music_flamingo.core.stage import parse_config
from music_flamingo.model.files import load_model
from music_flamingo.runs.workspace import repository
from music_flamingo.training import supervised
from music_flamingo.training.finite import DivergedError, require_finite_tensors
from music_flamingo.training.optimiser import Optimiser
from music_flamingo.training.sft_trainer import train

PARAMS = repository() / "params.yaml"

OUT_OF_RANGE = [
    "sft.optimiser.learning_rate=1e30",
    "sft.optimiser.learning_rate=.nan",
    "sft.optimiser.learning_rate=-1.0",
    "sft.optimiser.max_grad_norm=.inf",
    "sft.steps=0",
    "sft.batch_size=0",
    "sft.checkpoint_every=0",
    "sft.branch_weight=-1.0",
    "sft.seed=18446744073709551616",
    "sft.seed=-1",
    "sft.families={drums: -1.0}",
    "grpo.temperature=0.0",
    "grpo.num_generations=1",
    "grpo.max_completion_tokens=0",
    "grpo.optimiser.learning_rate=0.0",
    "grpo.beta=-0.1",
    "backbone.threads=0",
    "evaluate.resamples=0",
    "ingest.workers=0",
    "facts.opinions.doubt=1.5",
    "facts.trust.least_confidence={tempo: 7.0}",
    "facts.beats.beats_per_bar=[0]",
    "facts.beats.min_bpm=-50.0",
    "facts.sections.min_section_s=0.0",
    "facts.limits.max_channels=0",
    "ingest.source.num_works=0",
    "ingest.source.performances=0",
    "ingest.source.tempo_bpm={slow: [76.0, 52.0]}",
    "ingest.source.transpose=[-500, 6]",
    "ingest.source.lead_in_s=[-1.0, 0.6]",
    "ingest.source.level_dbfs=[-27.0, .inf]",
    "ingest.shard_size=0",
    "ingest.split.train=1.5",
    "ingest.duplicates.max_bit_error=2.0",
    "ingest.balance.max_weight=0.0",
    "captions.window_s=0.0",
    "captions.seed=20000000000000000000",
    "synthesize.min_questions=-1",
    "synthesize.composites.per_track={either_or: -1}",
    "validate.limits.near_duplicate=0.0",
    "validate.review.max_clip_s=.nan",
    "speech.sources.spoken.words_per_minute=[200, 150]",
    "speech.sources.spoken.pitch=[30, 700]",
    "speech.sources.spoken.overlap=[0.2, 6.0]",
    "backbone.speech.checkpoint_every=0",
    "backbone.speech.exam.per_task=0",
    "sft.windows.per_track=0",
    "sft.windows.max_s=0.0",
    "sft.mixture.temperature=0.0",
    "sft.speech_tasks={asr: -1.0}",
    "sft.optimiser.beta2=1.0",
    "sft.optimiser.weight_decay=-0.1",
    "sft.optimiser.accumulation=0",
    "sft.max_turns=0",
    "reason.checks=[-1.0, 1.0]",
    "reason.checks=[0.0, 0.0]",
    "reason.num_examples=0",
    "reason.missed_below=1.5",
    "reason.limits.max_words=-1",
    "warmup.controls={direct: 0, longer: 1}",
    "grpo.prompts_per_step=0",
    "grpo.temperature=.nan",
    "grpo.candidates=0.5",
    "grpo.epsilon=0.0",
    "grpo.rollouts_every=-1",
    "grpo.exploration.redraws=-1",
    "grpo.checkpoint_every=0",
    "grpo.reward_weights.question.accuracy=-1.0",
    "evaluate.per_family=0",
    "evaluate.max_new_tokens=0",
    "release.gate.min_margin=-2.0",
    "release.max_new_tokens=0",
    "report.px_per_s=0.0",
    "report.num_listening_pages=-1",
]


@pytest.mark.parametrize("setting", OUT_OF_RANGE)
def test_a_number_out_of_its_range_is_refused_with_the_fields_name(setting):
    name, _, _ = setting.partition("=")
    stage = name.split(".")[0]
    with pytest.raises(ConfigError, match=name.rpartition(".")[2] if "families" not in name else "families"):
        parse_config(stages.load(stage), stage_json(load_params(PARAMS, settings=(setting,)), stage))


def without_range(annotation: object, is_ranged: bool = False) -> bool:
    """Whether an int or float in it, however deep in tuples and mappings, has no range of its own."""
    if annotation in (int, float):
        return not is_ranged
    inner = typing.get_args(annotation)
    if typing.get_origin(annotation) is typing.Annotated:
        return without_range(inner[0], is_ranged=True)
    return any(without_range(part) for part in inner)


def numbers(model: type[BaseModel], seen: set[type]) -> typing.Iterator[str]:
    """`Optimiser.learning_rate` for each number of a configuration that says no range."""
    if model in seen:
        return
    seen.add(model)
    for name, field in model.model_fields.items():
        if without_range(field.annotation, bool(field.metadata)):
            yield f"{model.__name__}.{name}"
        for part in parts(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from numbers(part, seen)


def parts(annotation: object) -> list[object]:
    inner = typing.get_args(annotation)
    return [part for one in inner for part in parts(one)] if inner else [annotation]


def test_every_number_of_every_stage_has_a_range():
    seen: set[type] = set()
    assert not {name for stage in stages.ORDER for name in numbers(stages.load(stage).config, seen)}


def learn(tmp_path, load):
    from music_flamingo.training.data.audio import SoundBank, num_samples_of
    from music_flamingo.training.data.collator import Branches, LessonCollator
    from music_flamingo.training.data.samples import WindowRule

    tracks = world.tracks(8)
    rule = WindowRule("random", 32_000, per_track=2)
    planned = world.plan_lessons(
        world.taught(tracks).items, num_samples_of(tracks), world.hearing(), rule, num_lessons=8, max_turns=1, seed=0
    )
    processor = world.processor()
    items = [item for lesson in planned for item in lesson.items]
    collator = LessonCollator(
        processor, planned, SoundBank(processor, tracks), Branches(processor, items, 5.0), False, "conversation"
    )
    optimiser = Optimiser.model_validate(world.OPTIMISER)
    return train(
        load,
        processor,
        planned,
        collator,
        optimiser,
        batch_size=4,
        checkpoint_every=1,
        seed=0,
        work=tmp_path,
        label="sft",
    )


def spoilt(model):
    with torch.no_grad():
        next(iter(model.parameters())).fill_(float("nan"))
    return model


def test_training_ends_at_the_step_whose_loss_is_not_finite_and_names_the_remedy(tmp_path):
    with pytest.raises(
        DivergedError, match=r"sft: at step 1 of 2 training diverged \(loss nan.*sft\.optimiser\.learning_rate"
    ):
        learn(tmp_path, lambda: spoilt(world.model()))
    assert not list(tmp_path.glob("checkpoint-*/complete.json"))


def test_a_stage_that_diverges_seals_nothing(tmp_path, monkeypatch):
    world.write_ports(tmp_path)
    world.run("backbone", tmp_path)
    monkeypatch.setattr(supervised, "starting_model", lambda folder, *_: spoilt(load_model(folder)[0]))
    with pytest.raises(DivergedError):
        world.run("sft", tmp_path)
    assert not (tmp_path / "sft_model" / MANIFEST_NAME).exists()


def test_weights_that_are_not_finite_are_no_checkpoint():
    good, bad = torch.ones(2), torch.tensor([1.0, float("inf")])
    require_finite_tensors({"a": good, "b": torch.tensor([1, 2])}, "sft")
    with pytest.raises(DivergedError, match=r"1 of 2 weight tensors .* the first is b"):
        require_finite_tensors({"a": good, "b": bad}, "sft")
