"""Caption: a teacher's first description of one window of a track."""

from pydantic import model_validator

from music_flamingo.core.record import Record, RecordPart

TEACHER_FAILED = "teacher_"
"""Every reason of a record whose teacher's call failed begins so: `quarantined:teacher_timeout`."""

PUBLISHED_KIND = "published"
"""`kind` of the stamp of a text that others published: `model` is its file, `revision` its place there."""


class TeacherStamp(RecordPart):
    """Who wrote a text, and from which prompt."""

    kind: str
    """`scripted`, `openai_compatible` or `published`."""
    model: str
    revision: str
    prompt_id: str
    prompt_sha256: str


class Caption(Record):
    """A text about a track from `start_s` to `end_s`, and the teacher that wrote it."""

    track_id: str
    start_s: float
    end_s: float
    text: str
    teacher: TeacherStamp

    @model_validator(mode="after")
    def _forward(self) -> "Caption":
        if not 0 <= self.start_s < self.end_s:
            raise ValueError(f"a caption covers time from start to end: {self.start_s} to {self.end_s}")
        return self
