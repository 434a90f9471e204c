"""Payloads and replies of captions: of a window, of the whole track, and as categories."""

from typing import Literal

from pydantic import Field

from music_flamingo.core.record import RecordPart
from music_flamingo.records import Category
from music_flamingo.records.heard import SoundClaims
from music_flamingo.teachers.payloads.facts import Closed, SongFacts, TrackPayload

TITLE_CHARACTERS, CAPTION_CHARACTERS = 200, 2000


class WindowPayload(TrackPayload, SoundClaims):
    """For a first description: surface facts alone, so that nothing can be invented from key or tempo."""

    start_s: float
    end_s: float
    dynamics_trend: Literal["steady", "rising", "falling"] | None
    content: Literal["music", "speech", "neither"] | None = None
    """What is heard; None where nobody looked."""
    instruments: list[str] = Field(default_factory=list)
    """What a tagger heard in this window, the surest first."""
    has_voice: bool | None = None
    """Whether somebody sings or speaks in it; None where it is not sure."""
    is_spoken: bool = False
    """The voice speaks, and does not sing."""
    singer: Literal["female", "male"] | None = None
    """A woman or a man who sings, where that is clear."""

    @property
    def names_nothing(self) -> bool:
        """Whether it is music of which only absences are known: no drums, no voice, or nothing at all."""
        is_named = bool(self.instruments or self.has_voice or self.has_drums or self.texture or self.lead_envelope)
        return self.content in (None, "music") and not is_named and self.dynamics_trend in (None, "steady")


class TextReply(RecordPart):
    text: str = Field(min_length=1)


class WindowText(RecordPart):
    start_s: float
    end_s: float
    text: str


class SongPayload(TrackPayload):
    facts: SongFacts
    closed: list[Closed]
    captions: list[WindowText]
    title: str | None
    """Untrusted, and not to be repeated: it only keeps a teacher from confusing two songs."""


class StructuredPayload(SongPayload):
    detail: Literal["short", "full"]
    """`short`: what one sentence has room for; `full`: all that is known."""


class StructuredReply(RecordPart):
    categories: list[Category]
