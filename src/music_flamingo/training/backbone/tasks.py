"""Training tasks on an utterance: each gives a request and its target.

Speakers in a target are numbered as they are first heard, and each segment of one speaker's words is a turn under its
number, turns by their start: `[1] two red birds sing [2] zehn alte Hunde laufen`. An overlap is thus written out one
voice after the other (serialised output; Kanda et al. 2020).
"""

from collections.abc import Iterable, Iterator
from itertools import groupby

from music_flamingo.prompts.loader import render
from music_flamingo.records import Utterance
from music_flamingo.training.backbone.settings import SpeechTask
from music_flamingo.training.data.items import TrainingItem


def takes(task: SpeechTask, utterance: Utterance) -> bool:
    """Whether the task can be asked about the utterance."""
    if task == "instructions" or utterance.request is not None:
        return task == "instructions" and utterance.request is not None
    if task == "lyrics" or utterance.is_sung:
        return task == "lyrics" and utterance.is_sung
    if task == "multi_speaker_asr":
        return len(utterance.speakers) > 1
    if task == "phonemes":
        return len(utterance.speakers) == 1 and all(segment.phonemes for segment in utterance.segments)
    return len(utterance.speakers) == 1


def target(task: SpeechTask, utterance: Utterance) -> str:
    """What the model should say."""
    if task == "multi_speaker_asr":
        return speaker_turns(utterance)
    if task == "phonemes":
        return " ".join(segment.phonemes or "" for segment in utterance.segments)
    return " ".join(segment.text for segment in utterance.segments)


def speaker_turns(utterance: Utterance) -> str:
    """`[1] words of the first voice [2] words of the second [1] ...`."""
    number = {speaker: place for place, speaker in enumerate(utterance.speakers, start=1)}
    turns = groupby(utterance.segments, key=lambda segment: segment.speaker)
    return " ".join(f"[{number[speaker]}] {' '.join(s.text for s in said)}" for speaker, said in turns)


def request(task: SpeechTask, utterance: Utterance) -> str:
    """What is asked. A corpus's own request is untrusted text; it is asked as it stands, and answers nothing else."""
    return utterance.request if utterance.request is not None else render(f"speech_{task}")


def speech_item(utterance: Utterance, task: SpeechTask, weight: float) -> TrainingItem:
    """Make the training item of one utterance and task, with its weight in the loss."""
    words = target(task, utterance)
    asked = request(task, utterance)
    return TrainingItem(
        id=f"{utterance.id}/{task}",
        track_id=utterance.id,
        family=task,
        question=asked,
        prompt=asked,
        target=words,
        reference=words,
        options=(),
        structured=(),
        is_caption=False,
        weight=weight,
    )


def speech_words(utterances: Iterable[Utterance], tasks: Iterable[SpeechTask]) -> Iterator[str]:
    """What a tokenizer learns from: requests as the model reads them, and targets."""
    taught = tuple(tasks)
    for utterance in utterances:
        for task in (t for t in taught if takes(t, utterance)):
            yield f"user\n{request(task, utterance)}\nassistant\n"
            words = target(task, utterance)
            yield words
            yield f" {words}"
