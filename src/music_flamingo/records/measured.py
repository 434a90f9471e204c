"""The base of every fact: value, tool and version, confidence, and the estimates of other tools."""

from itertools import pairwise

from pydantic import Field, field_validator, model_validator

from music_flamingo.core.record import RecordPart


def require_increasing(times_s: list[float], name: str) -> None:
    """Raise ValueError unless times (s) strictly increase; `name` stands in the message."""
    for before, after in pairwise(times_s):
        if after <= before:
            raise ValueError(f"{name} must increase: {after} follows {before}")


class Segment(RecordPart):
    """A labelled part of the time."""

    start_s: float
    end_s: float
    label: str

    @model_validator(mode="after")
    def _forward(self) -> "Segment":
        if not 0 <= self.start_s < self.end_s:
            raise ValueError(f"a segment runs forward from 0 s on: {self.start_s} to {self.end_s}")
        return self


def require_share(value: float, name: str) -> float:
    """Return `value` if it lies in 0 to 1; ValueError otherwise, with `name` in the message."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} lies in 0 to 1, not {value}")
    return value


class Opinion(RecordPart):
    """What another tool says of the same fact."""

    tool: str
    tool_version: str
    value: str
    """As it would be read aloud: `A minor`, `120.3 BPM`."""
    agrees: float
    """1 for the same, 0 for something else; in between for a kindred answer or for part of the time."""

    @field_validator("agrees")
    @classmethod
    def _share(cls, value: float) -> float:
        return require_share(value, "agreement")


class Measured(RecordPart):
    """A fact and the tool it came from."""

    tool: str
    tool_version: str
    confidence: float
    """0 to 1: the probability that the value is right where the fact is calibrated (music_flamingo.mir.calibration),
    else on the tool's own scale; lower where `opinions` differ (music_flamingo.mir.opinions)."""
    opinions: list[Opinion] = Field(default_factory=list)
    """Of other tools, or of the parts of a tool that votes."""

    @field_validator("confidence")
    @classmethod
    def _probability(cls, value: float) -> float:
        return require_share(value, "confidence")
