"""Parameters of the backbone's training on speech. No torch here: reading parameters stays quick."""

from typing import Annotated, Literal, get_args

from pydantic import Field

from music_flamingo.core.ranges import Count, CountOrNone, NonNegative
from music_flamingo.model.lora import FullTuning, LoraSettings
from music_flamingo.records.track import Split
from music_flamingo.training.optimiser import Optimiser, TrainingSettings
from music_flamingo.training.settings import Turns

SpeechTask = Literal["asr", "multi_speaker_asr", "phonemes", "lyrics", "instructions"]
"""What is asked about an utterance; docs/reference/speech.md says which utterances each task takes."""

TASKS: tuple[SpeechTask, ...] = get_args(SpeechTask)


class Phase(TrainingSettings):
    """One of AF3's stages: what learns, from what, how long."""

    name: str
    tuning: Annotated[FullTuning | LoraSettings, Field(discriminator="kind")]
    """Which parts learn (AF3: projector; encoder and projector; all; adapters; all)."""
    tasks: dict[SpeechTask, NonNegative]
    """What is asked -> weight of its loss."""
    corpora: dict[str, NonNegative]
    """Source under `speech.sources` -> its share of the lessons, to scale; sources not named give none."""
    steps: CountOrNone
    batch_size: Count
    """Utterances a step."""
    optimiser: Optimiser


class Exam(TrainingSettings):
    """Held-out utterances that are transcribed before the first phase and after each."""

    split: Split
    per_task: Count
    """Utterances, the first of each task by id, languages in turn."""
    batch_size: Count


class SpeechTraining(TrainingSettings):
    """AF3's schedule: phases in order. Without phases the model stays as it is."""

    phases: list[Phase]
    turns: Turns
    """How the tasks of one utterance stand in a lesson: see `Teaching.turns`."""
    exam: Exam
    checkpoint_every: Count
    """Steps; an interrupted run goes on from there, and to the same bits."""
