"""Example: one question (or request for a caption) about a track, with its answer. MF-Skills is a table of these."""

from typing import Literal

from pydantic import model_validator

from music_flamingo.core.record import Record, RecordPart
from music_flamingo.records.caption import TeacherStamp
from music_flamingo.records.track import Split

Skill = Literal["temporal", "attribute", "harmony", "lyrics_vocal", "comparative", "caption"]
"""The five skills of MF-Skills, and rich captions."""

QuestionType = Literal["open", "multiple_choice", "count", "time", "chord", "technique", "comparison", "caption"]

CATEGORIES = (
    "genre",
    "bpm",
    "key",
    "meter",
    "structure",
    "instruments",
    "vocal_character",
    "lyric_themes",
    "theory",
    "mix_notes",
    "dynamics",
)
"""The structured truth of a caption, in the order of the paper."""


class Reference(RecordPart):
    """What an answer rests on."""

    kind: Literal["seconds", "bars", "chords"]
    start_s: float
    end_s: float
    label: str | None


class Category(RecordPart):
    """One entry of a caption's structured truth: any of `values` counts as a match."""

    name: str
    values: list[str]


class Example(Record):
    """One question or caption request about a track, with answer, options, references and provenance."""

    track_id: str
    work_id: str
    split: Split
    skill: Skill
    type: QuestionType
    family: str
    """What is asked for, e.g. `tempo_class`, `drums`, `cadence`: the unit of curricula and of result tables."""
    question: str
    options: list[str]
    """Empty for questions without options."""
    answer: str
    rationale: str
    references: list[Reference]
    structured: list[Category]
    """For captions: the structured truth that the structured reward matches."""
    teacher: TeacherStamp
    judge_score: float | None = None
    """How correct an audio judge found it, 1 to 5; None where none was asked."""

    @model_validator(mode="after")
    def _answerable(self) -> "Example":
        if self.type == "multiple_choice" and self.answer not in self.options:
            raise ValueError(f"the answer {self.answer!r} is not among the options {self.options}")
        if len(set(self.options)) != len(self.options):
            raise ValueError(f"options repeat: {self.options}")
        return self
