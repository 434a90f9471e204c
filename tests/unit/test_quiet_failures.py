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
]


@pytest.mark.parametrize("setting", OUT_OF_RANGE)
def test_a_number_out_of_its_range_is_refused_with_the_fields_name(setting):
    name, _, _ = setting.partition("=")
    stage = name.split(".")[0]
    with pytest.raises(ConfigError, match=name.rpartition(".")[2] if "families" not in name else "families"):
        parse_config(stages.load(stage), stage_json(load_params(PARAMS, settings=(setting,)), stage))


def scalars(model: type[BaseModel], seen: set[type]) -> typing.Iterator[str]:
    """`Optimiser.learning_rate` for each int or float of a configuration that says no range."""
    if model in seen:
        return
    seen.add(model)
    for name, field in model.model_fields.items():
        if field.annotation in (int, float) and not field.metadata:
            yield f"{model.__name__}.{name}"
        for part in parts(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from scalars(part, seen)


def parts(annotation: object) -> list[object]:
    inner = typing.get_args(annotation)
    return [part for one in inner for part in parts(one)] if inner else [annotation]


UNBOUNDED = {"AliMeetingConfig.channel", "ChimeConfig.max_stretch_s", "SwitchboardConfig.max_stretch_s"}
UNBOUNDED |= {"AliMeetingConfig.max_stretch_s"}
"""Of corpora that are read as their authors made them."""


def test_every_number_of_every_stage_has_a_range():
    seen: set[type] = set()
    assert {name for stage in stages.ORDER for name in scalars(stages.load(stage).config, seen)} <= UNBOUNDED


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
    monkeypatch.setattr(supervised, "load_model", lambda folder: (spoilt(load_model(folder)[0]), None))
    with pytest.raises(DivergedError):
        world.run("sft", tmp_path)
    assert not (tmp_path / "sft_model" / MANIFEST_NAME).exists()


def test_weights_that_are_not_finite_are_no_checkpoint():
    good, bad = torch.ones(2), torch.tensor([1.0, float("inf")])
    require_finite_tensors({"a": good, "b": torch.tensor([1, 2])}, "sft")
    with pytest.raises(DivergedError, match=r"1 of 2 weight tensors .* the first is b"):
        require_finite_tensors({"a": good, "b": bad}, "sft")
