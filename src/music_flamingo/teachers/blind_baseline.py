"""Blind baseline: a teacher answers without audio; questions it gets right need no listening."""

import random
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from music_flamingo.core.ranges import Seed
from music_flamingo.records import Example
from music_flamingo.teachers import Teacher, TeacherConfig, ask, request_seed
from music_flamingo.teachers.payloads import GuessPayload, GuessReply

PROMPT = "answer_without_audio"


class TextOnlyConfig(BaseModel):
    """Drop what a text model answers without the audio, rightly and beyond chance."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    kind: Literal["teacher"]
    teacher: TeacherConfig
    tries: int = Field(ge=1)
    """With the options in another order each time."""
    min_right_fraction: float = Field(gt=0, le=1)
    """Of the tries, from which a question counts as answered ..."""
    max_p: float = Field(gt=0, lt=1)
    """... where so many right ones would come by chance with no more than this probability."""
    seed: Seed


def guess_without_audio(teacher: Teacher, config: TextOnlyConfig, example: Example) -> int:
    """How many of the tries are right. Raises TeacherFailedError when a call gives no usable reply.

    An answer that is none of the options is no reply: whoever reads so cannot be said to have guessed wrongly.
    """
    return sum(_one(teacher, config, example, k) == example.answer for k in range(config.tries))


def _one(teacher: Teacher, config: TextOnlyConfig, example: Example, k: int) -> str:
    order = random.Random(request_seed(config.seed, PROMPT, [example.id, str(k)]))
    options = order.sample(example.options, len(example.options))
    payload = GuessPayload(question=example.question, options=options)
    return ask(teacher, PROMPT, payload, GuessReply, config.seed, example.id, str(k)).answer
