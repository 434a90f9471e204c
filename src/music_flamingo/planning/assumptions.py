"""Assumptions of `mf plan` that no stage takes: the section `plan:` of params.yaml and profiles."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from music_flamingo.core.errors import ConfigError


class PlanningSettings(BaseModel):
    """Base of planning's settings: frozen, unknown fields refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Gpu(PlanningSettings):
    """One kind of GPU: memory (GiB), peak TFLOP/s, utilisation when training and sampling, price per hour."""

    name: str
    memory_gib: float
    peak_tflops: float
    """Dense, at the precision of the products (bfloat16 on GPUs), as its maker states it."""
    used: float = Field(gt=0, le=1)
    """Model FLOPs utilisation: the part of the peak that training reaches, without what is computed twice."""
    used_drawing: float = Field(gt=0, le=1)
    """The same where GRPO draws answers word by word."""
    price_per_hour: float
    currency: str


class Samples(PlanningSettings):
    """A stage's samples, where no data are there to be counted."""

    count: int
    """Questions, chains or utterances of one epoch."""
    per_recording: float
    """Of these, about one recording: a lesson asks no more, whatever `max_turns` allows."""
    audio_s: float
    """Mean length of a recording."""
    read_tokens: int
    """Mean of a question and its marks."""
    taught_tokens: int
    """Mean of what is said: an answer, a chain with its answer."""


class Assumptions(PlanningSettings):
    """What a plan assumes of the hardware (GPUs per stage) and of the data (samples per stage)."""

    gpus: dict[str, int]
    """Stage (backbone, sft, warmup, grpo) -> GPUs."""
    gpu: Gpu
    samples: dict[str, Samples]
    """Stage -> its samples."""


def read_assumptions(params: Mapping[str, Any]) -> Assumptions:
    """Raises ConfigError naming each field that does not fit."""
    try:
        return Assumptions.model_validate(params)
    except ValidationError as error:
        lines = [f"  plan.{'.'.join(map(str, e['loc']))}: {e['msg']} (found {e['input']!r})" for e in error.errors()]
        raise ConfigError("the assumptions of `mf plan` cannot be used:\n" + "\n".join(lines)) from error
