"""Payloads and replies of chains of thought: written, split into steps, and steps that are written anew."""

from typing import Literal

from pydantic import Field

from music_flamingo.core.record import RecordPart
from music_flamingo.records.chain import HeardClaim
from music_flamingo.teachers.payloads.facts import Closed, SongFacts, TrackPayload

ChainStyle = Literal["short", "full"]


class ChainPayload(TrackPayload):
    """`closed` holds the audible facts that a step may claim; no title and no artist: a chain speaks of the sound."""

    style: ChainStyle
    facts: SongFacts
    closed: list[Closed]
    family: str
    question: str
    options: list[str]
    answer: str
    rationale: str
    evidence: list[str]
    """Families whose facts the chain may go through before it comes to the answer."""


class TimedChainPayload(ChainPayload):
    """`seconds` says when the audible facts are heard: the steps of the chain name the seconds they rest on."""

    seconds: list[HeardClaim]


class SplitPayload(TrackPayload):
    family: str
    thinking: str
    closed: list[Closed]


class PlainStep(RecordPart):
    text: str = Field(min_length=1)
    family: str
    claim: str


class StepsReply(RecordPart):
    steps: list[PlainStep]


class RewritePayload(TrackPayload):
    """A step that the checking model did not hear as it stands."""

    style: ChainStyle
    step: PlainStep
    fact_confidence: float
    """How sure the tool is of the fact behind the claim, on its own scale."""
    heard: str
    """What the checking model takes to be right."""
    heard_probability: float
    restate_above: float
    """The checking model may overrule the tool from this probability on, where the tool is less sure."""
    facts: SongFacts | None = None
    """For a step that names no family: what a coarser claim may rest on."""


class RewriteReply(PlainStep):
    withdrawn: bool
    """True for a step that claims nothing any more: there is nothing left to check."""
