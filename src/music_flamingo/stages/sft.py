"""sft: supervised fine-tuning on MF-Skills (paper, section on post-training; stage table).

Reads questions, answers and audio of the training split, and speech where the mixture has some; leaves model/
(safetensors and processor), log.jsonl (one line a step) and plan.json (what was taught, what was left out and why).
"""

from typing import TYPE_CHECKING

from music_flamingo.core.ports import Folder, InputFolder, OutputFolder, Table
from music_flamingo.core.ranges import NonNegative
from music_flamingo.core.stage import Metrics, Stage, StageTitle
from music_flamingo.records import Example, Track, Utterance
from music_flamingo.training.backbone.settings import SpeechTask
from music_flamingo.training.settings import SupervisedConfig

if TYPE_CHECKING:
    from music_flamingo.training.supervised import Lessons


class SftConfig(SupervisedConfig):
    """Supervised fine-tuning (paper: batch 128, rate 1.5e-5, cosine, warm-up 0.03, one epoch)."""

    speech_tasks: dict[SpeechTask, NonNegative]
    """What is asked about utterances, where `mixture` gives `speech` a weight -> weight of its loss."""


def prepare(
    config: SftConfig,
    skills: Table[Example],
    tracks: Table[Track],
    speech: Table[Utterance],
    backbone_model: InputFolder,
) -> "Lessons":
    """All lessons of the run; `mf inspect sft` shows them."""
    from music_flamingo.training.data.items import item_of_example
    from music_flamingo.training.data.mixture import MixtureSource
    from music_flamingo.training.data.speech import speech_source
    from music_flamingo.training.supervised import prepare

    items = (item_of_example(e, think=False) for e in skills.ok() if e.split == "train")
    sources = [MixtureSource("skills", items, tracks, config.families), speech_source(speech, config.speech_tasks)]
    return prepare("sft", config, sources, backbone_model, min_answers=2)


def run(
    config: SftConfig,
    skills: Table[Example],
    tracks: Table[Track],
    speech: Table[Utterance],
    backbone_model: InputFolder,
    sft_model: OutputFolder,
) -> Metrics:
    """Fine-tune the backbone on MF-Skills."""
    from music_flamingo.training.supervised import train_supervised

    prepared = prepare(config, skills, tracks, speech, backbone_model)
    return train_supervised("sft", config, prepared, backbone_model.root, sft_model.root, sft_model.work)


STAGE = Stage(
    name="sft",
    title=StageTitle("Training", "Fine-tuning", "Audio, question and answer: the model learns to hear."),
    config=SftConfig,
    inputs={"skills": Example, "tracks": Track, "speech": Utterance, "backbone_model": Folder},
    outputs={"sft_model": Folder},
    run=run,
    many_ranks=True,
)
