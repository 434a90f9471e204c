"""Interface to the trainers: two protocols, implemented by TRL. Another trainer is one file that implements them.

A backend is handed what to learn, in order, and gives the trained model whole with the log of its steps. It goes on
from the last whole checkpoint in `work`; of several ranks all call it and the first one alone is given the model.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from music_flamingo.model.lora import FullTuning, LoraSettings
    from music_flamingo.training.data.audio import SoundBank
    from music_flamingo.training.data.collator import LessonCollator
    from music_flamingo.training.data.schedule import Lesson
    from music_flamingo.training.grpo.tasks import GrpoPrompt
    from music_flamingo.training.log import Line
    from music_flamingo.training.optimiser import Optimiser
from music_flamingo.training.settings import GrpoConfig, Hardware, Tracking


class SupervisedBackend(Protocol):
    """Trains on lessons with known answers: the backbone's phases, SFT and the warm-up."""

    def __call__(
        self,
        load: Callable[[], Any],
        processor: Any,
        lessons: "Sequence[Lesson] | Sequence[tuple[Lesson, ...]]",
        collator: "LessonCollator",
        optimiser: "Optimiser",
        *,
        batch_size: int,
        checkpoint_every: int,
        seed: int,
        work: Path,
        label: str,
        tuning: "FullTuning | LoraSettings" = ...,
        hardware: "Hardware" = ...,
        tracking: "Tracking" = ...,
    ) -> "tuple[Any, list[Line]]": ...


class GrpoBackend(Protocol):
    """Samples a group of completions for each prompt and trains on their rewards."""

    def __call__(
        self,
        load: Callable[[], Any],
        processor: Any,
        prompts: "Sequence[GrpoPrompt]",
        bank: "SoundBank",
        config: "GrpoConfig",
        *,
        work: Path,
        label: str,
    ) -> "tuple[Any, list[Line]]": ...


def supervised_backend() -> SupervisedBackend:
    """Give TRL's SFTTrainer with audio."""
    from music_flamingo.training.sft_trainer import train

    return train


def grpo_backend() -> GrpoBackend:
    """Give TRL's GRPOTrainer with audio."""
    from music_flamingo.training.grpo.trainer import train

    return train
