"""Payloads and replies of judges: ratings of a text, and answers guessed without audio."""

from typing import Literal

from pydantic import Field

from music_flamingo.core.record import RecordPart
from music_flamingo.teachers.payloads.facts import Closed, TrackPayload


class JudgePayload(TrackPayload):
    """A text to be rated by whoever hears the recording; title and lyrics are left out: they would give it away."""

    kind: Literal["question", "caption"]
    family: str
    question: str
    options: list[str]
    answer: str
    """Of a caption its text."""
    measured: list[Closed]
    """What tools read from the sound. A judge that hears overrules it; a scripted one has nothing else to go by."""


class JudgeReply(RecordPart):
    correctness: int = Field(ge=1, le=5)
    """5: all agrees with what is heard. 3: cannot be told. 1: what decides the answer is wrong."""
    reason: str = Field(min_length=1)


class GuessPayload(TrackPayload):
    """A question to be answered without audio. The track goes unnamed: a model may know the piece by its id."""

    track_id: str = ""
    question: str
    options: list[str]


class GuessReply(RecordPart):
    answer: str
    """One of the options; another text is no reply, and is asked for again."""
