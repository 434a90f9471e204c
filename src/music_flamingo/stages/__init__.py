"""The stages in the order of one song's way. A stage's module is imported only when it is used."""

from importlib import import_module

from music_flamingo.core.errors import UserError
from music_flamingo.core.stage import Stage

ORDER = (
    "ingest",
    "facts",
    "captions",
    "synthesize",
    "validate",
    "speech",
    "backbone",
    "sft",
    "reason",
    "warmup",
    "grpo",
    "evaluate",
    "release",
    "report",
)

BRANCHED = ("facts", "captions", "synthesize")
"""Stages that give a shard for each shard: Kubeflow pipelines run them on ranges, side by side."""


def load(name: str) -> Stage:
    """The stage of that name. Raises UserError naming the stages there are."""
    if name not in ORDER:
        raise UserError(f"there is no stage `{name}`. Stages: {', '.join(ORDER)}.")
    stage = import_module(f"music_flamingo.stages.{name}").STAGE
    assert isinstance(stage, Stage)
    return stage
