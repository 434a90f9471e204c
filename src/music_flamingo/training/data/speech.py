"""Utterances as a second source of samples in fine-tuning.

An utterance is heard whole or not at all. Its questions are those of the backbone (`backbone_items`); every token of a
target weighs the same.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from music_flamingo.core.ports import Table
from music_flamingo.records import Utterance
from music_flamingo.training.backbone.settings import SpeechTask
from music_flamingo.training.backbone.tasks import speech_item, takes
from music_flamingo.training.data.items import TrainingItem
from music_flamingo.training.data.mixture import MixtureSource


def speech_source(speech: Table[Utterance], tasks: Mapping[SpeechTask, float]) -> MixtureSource:
    """The training split's utterances. `tasks`: what is asked -> weight of its loss; families are `speech/<task>`."""
    families = {_family(task): weight for task, weight in tasks.items() if weight > 0}
    return MixtureSource("speech", _items(speech, tasks), speech, families, is_even=True)


def _items(speech: Table[Utterance], tasks: Mapping[SpeechTask, float]) -> Iterator[TrainingItem]:
    for utterance in speech.ok():
        if utterance.split == "train":
            for task, weight in tasks.items():
                if weight > 0 and takes(task, utterance):
                    yield replace(speech_item(utterance, task, weight), family=_family(task), is_about_all=True)


def _family(task: SpeechTask) -> str:
    return f"speech/{task}"
