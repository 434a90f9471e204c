"""Payloads and replies of questions: written, with stated claims, with distractors, rated by difficulty."""

from typing import Any

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from music_flamingo.core.record import RecordPart
from music_flamingo.records import Reference
from music_flamingo.records.example import QuestionType
from music_flamingo.scoring.claims.stated import StatedKind, differences
from music_flamingo.scoring.families import OTHER, question_families
from music_flamingo.teachers.payloads.facts import SongFacts, TrackPayload


class WrittenQuestion(RecordPart):
    """A question as a teacher writes it."""

    family: str
    type: QuestionType
    question: str = Field(min_length=1)
    options: list[str]
    """Options that belong to the question (yes, no); empty where there are none or distractors are still to come."""
    answer: str = Field(min_length=1)
    rationale: str = Field(min_length=1)
    references: list[Reference]
    wants_distractors: bool
    """True for a multiple-choice question whose wrong options are written separately."""

    @field_validator("family")
    @classmethod
    def _of_the_project(cls, name: str) -> str:
        # a name that a teacher makes up would be a family of one question
        return name if name in question_families() else OTHER

    @model_validator(mode="after")
    def _answerable(self) -> "WrittenQuestion":
        if self.options and (self.answer not in self.options or len(set(self.options)) != len(self.options)):
            raise ValueError(f"the answer {self.answer!r} is not one of distinct options {self.options}")
        return self


class QuestionsReply(RecordPart):
    """The questions of one skill. A bad one is left out and counted; the reply fails where none is good."""

    questions: list[WrittenQuestion]
    num_malformed: SkipJsonSchema[int] = Field(default=0, exclude=True)
    """Questions left out, because they did not fit: an answer that is none of the options, a field without words."""

    @model_validator(mode="before")
    @classmethod
    def _each_for_itself(cls, value: Any) -> Any:
        if not isinstance(value, dict) or not isinstance(value.get("questions"), list):
            return value
        good, errors = [], []
        for item in value["questions"]:
            try:
                good.append(cls._one(item))
            except ValidationError as error:
                errors.append(str(error))
        if errors and not good:
            raise ValueError(f"none of {len(errors)} questions fits: {errors[0][:300]}")
        return {**value, "questions": good, "num_malformed": value.get("num_malformed", 0) + len(errors)}

    @classmethod
    def _one(cls, item: Any) -> WrittenQuestion:
        return WrittenQuestion.model_validate(item)


class StatedClaim(RecordPart):
    """One thing that question, answer or rationale say about the music, in the words in which they say it."""

    kind: StatedKind
    value: str = Field(min_length=1)


class StatedQuestion(WrittenQuestion):
    """A question with all that it claims: nothing that its text does not say, and all that it says."""

    claims: list[StatedClaim]

    @model_validator(mode="after")
    def _says_what_it_states(self) -> "StatedQuestion":
        found = differences(self.question, self.answer, self.rationale, [(c.kind, c.value) for c in self.claims])
        if found:
            raise ValueError("; ".join(found))
        return self


class StatedQuestionsReply(QuestionsReply):
    """The questions of one skill, each with what it claims."""

    questions: list[StatedQuestion]  # type: ignore[assignment]

    @classmethod
    def _one(cls, item: Any) -> WrittenQuestion:
        return StatedQuestion.model_validate(item)


class DistractorsPayload(TrackPayload):
    facts: SongFacts
    family: str
    question: str
    answer: str
    least: int
    most: int


class DistractorsReply(RecordPart):
    distractors: list[str]


class DifficultyPayload(TrackPayload):
    facts: SongFacts
    family: str
    question: str
    answer: str


class DifficultyReply(RecordPart):
    difficulty: int = Field(ge=1, le=5)
    """5 for what needs listening through the whole song and theory to answer."""
    reason: str
