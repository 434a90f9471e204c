"""Chain: a question of MF-Skills with a chain of thought, checked step by step. MF-Think is a table of these."""

from typing import Literal

from pydantic import Field

from music_flamingo.core.record import Record, RecordPart
from music_flamingo.records.caption import TeacherStamp
from music_flamingo.records.example import Reference
from music_flamingo.records.track import Split


class Step(RecordPart):
    """One sentence of a chain, and what the checking model made of it."""

    text: str
    family: str
    """Which question family the sentence speaks of; empty for a sentence that claims nothing audible."""
    claim: str
    """The value it claims, in the family's terms; empty likewise."""
    verdict: Literal["right", "wrong", "unchecked"]
    confidence: float
    """The checking model's probability of the claim."""
    rewritten_from: str | None
    """The sentence before it was rewritten."""
    checked_by: Literal["claim", "yes_no"] | None = None
    """How it was checked: by its claim's own question, or by asking whether the sentence is true; None: unchecked."""


class HeardClaim(RecordPart):
    """What was measured of an audible family at some seconds."""

    family: str
    claim: str
    start_s: float
    end_s: float


class Chain(Record):
    """`thinking` is the text of the steps joined: what goes between the think tags."""

    example_id: str
    track_id: str
    work_id: str
    split: Split
    family: str
    question: str
    options: list[str]
    answer: str
    steps: list[Step]
    thinking: str
    difficulty: Literal["model_missed", "teacher_choice"]
    """Why the example was chosen: the SFT model got it wrong, or the teacher finds it worth explaining."""
    teacher: TeacherStamp
    references: list[Reference] = Field(default_factory=list)
    """What the question names of the recording, as in MF-Skills."""
    heard: list[HeardClaim] = Field(default_factory=list)
    """What was measured when, for chains whose steps name seconds; empty for others."""
