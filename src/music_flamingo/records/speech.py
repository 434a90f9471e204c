"""Utterance: a segment of speech or singing with its words, from a speech corpus or synthesised."""

from itertools import pairwise

from pydantic import field_validator, model_validator

from music_flamingo.core.record import Provenance, Record, RecordPart
from music_flamingo.records.track import Audio, Split

END_TOLERANCE_S = 0.1
"""Corpora round their times; a segment may end this much after its recording does."""


class SpokenSegment(RecordPart):
    """What one speaker says without a pause. Untrusted text."""

    speaker: str
    """The corpus's own name of the speaker, unique within the corpus."""
    start_s: float
    end_s: float
    text: str
    phonemes: str | None = None
    """IPA without stress marks, a space between any two; None where the corpus has none."""

    @field_validator("text")
    @classmethod
    def _words(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("a spoken segment has words")
        return text

    @model_validator(mode="after")
    def _forward(self) -> "SpokenSegment":
        if not 0 <= self.start_s < self.end_s:
            raise ValueError(f"a spoken segment runs forward from 0 s on: {self.start_s} to {self.end_s}")
        return self


class Utterance(Record):
    """Segments stand by their starts and may overlap; times count from the start of `audio`."""

    corpus: str
    """The name of its source in the parameters; ids begin with it."""
    language: str
    """BCP 47: `en`, `zh`. Of a conversation, its main language."""
    licence: str | None
    """As the corpus states it; None is unknown, not free."""
    split: Split
    audio: Audio | None
    """None when the recording could not be decoded."""
    duration_s: float | None
    segments: list[SpokenSegment]
    is_sung: bool
    """Sung words over music: a lyric to be transcribed."""
    request: str | None
    """What the corpus itself asks about the recording (speech instructions); the segments' text is then the answer
    and no transcript."""
    provenance: Provenance

    @model_validator(mode="after")
    def _consistent(self) -> "Utterance":
        for before, after in pairwise(self.segments):
            if after.start_s < before.start_s:
                raise ValueError(f"segments stand by their starts: {after.start_s} follows {before.start_s}")
        if self.is_ok and (self.audio is None or self.duration_s is None or not self.segments):
            raise ValueError("a good utterance has audio, its duration and a segment")
        last_s = max((s.end_s for s in self.segments), default=0.0)
        if self.is_ok and self.duration_s is not None and last_s > self.duration_s + END_TOLERANCE_S:
            raise ValueError(f"a segment ends at {last_s} s, the recording at {self.duration_s} s")
        return self

    @property
    def speakers(self) -> tuple[str, ...]:
        """In the order in which they are first heard."""
        return tuple(dict.fromkeys(segment.speaker for segment in self.segments))
