"""AdamW and the schedules of its rate. No torch here: reading parameters stays quick."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from music_flamingo.core.ranges import Count, CountOrNone, Fraction, LearningRate, NonNegative, Positive


class TrainingSettings(BaseModel):
    """Base of training's settings: frozen, unknown fields refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Constant(TrainingSettings):
    """Warm-up, then one rate to the end."""

    kind: Literal["constant"]
    warmup_steps: CountOrNone


class Cosine(TrainingSettings):
    """Warm-up, then a half cosine down to zero (the paper's: warm-up 0.03 of the steps)."""

    kind: Literal["cosine"]
    warmup_steps: CountOrNone


class LinearDecay(TrainingSettings):
    """Warm-up, then a straight line down to zero at the end: what GRPO learned best by."""

    kind: Literal["linear"]
    warmup_steps: CountOrNone


class WarmupStableDecay(TrainingSettings):
    """Warm-up, a plateau, then a cosine decay: the plateau is where a model from scratch begins to hear."""

    kind: Literal["warmup_stable_decay"]
    warmup_steps: CountOrNone
    decay_fraction: Fraction
    """The part of all steps in which the rate falls."""
    min_rate_ratio: Fraction
    """The last rate, as a part of the plateau's."""


Schedule = Annotated[Constant | Cosine | LinearDecay | WarmupStableDecay, Field(discriminator="kind")]


class Optimiser(TrainingSettings):
    """AdamW."""

    learning_rate: LearningRate
    schedule: Schedule
    weight_decay: NonNegative
    beta2: Annotated[float, Field(ge=0, lt=1)]
    """0.98: with a few hundred steps in all, 0.999 remembers too long."""
    max_grad_norm: Positive
    accumulation: Count
    """Parts in which each rank computes its share of a step, one after the other: less memory, the same step."""

    def arguments(self, steps: int) -> dict[str, Any]:
        """Keyword arguments of transformers.TrainingArguments."""
        return {
            "max_steps": steps,
            "learning_rate": self.learning_rate,
            "weight_decay": self.weight_decay,
            "adam_beta2": self.beta2,
            "max_grad_norm": self.max_grad_norm,
            "gradient_accumulation_steps": self.accumulation,
            **_schedule_arguments(self.schedule, steps),
        }


NAMED: dict[str, str] = {"constant": "constant_with_warmup", "cosine": "cosine", "linear": "linear"}
"""Kind of schedule -> transformers' name of it."""


def _schedule_arguments(schedule: Schedule, steps: int) -> dict[str, Any]:
    if isinstance(schedule, WarmupStableDecay):
        decay = round(schedule.decay_fraction * steps)
        return {
            "lr_scheduler_type": "warmup_stable_decay",
            "warmup_steps": min(schedule.warmup_steps, steps - decay),
            "lr_scheduler_kwargs": {"num_decay_steps": decay, "min_lr_ratio": schedule.min_rate_ratio},
        }
    return {"lr_scheduler_type": NAMED[schedule.kind], "warmup_steps": min(schedule.warmup_steps, steps)}
