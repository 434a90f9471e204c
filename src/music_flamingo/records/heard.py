"""Facts about what is heard: what a recording is of, who plays and sings, in which style."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, TypeVar

from pydantic import Field, field_validator, model_validator

from music_flamingo.core.record import RecordPart
from music_flamingo.records.measured import Measured, Segment, require_share

Register = Literal["female", "male"]
AnyTag = TypeVar("AnyTag", bound="HeardTag")


class Content(Measured):
    """What a recording is of: looked for before all other facts, which mean something in music alone."""

    kind: Literal["music", "speech", "neither"]
    music_share: float
    """Of the audible time: music or singing."""
    singing_share: float
    speech_share: float
    num_partials: float
    """Partials that hold their pitch for .3 s, a moment's mean: where there are hardly any, nothing has a pitch ..."""
    partials_share: float
    """... unless they make up much of the sound, as in a pure tone: their share of the power."""
    heard: list[Segment]
    """Labelled `music`, `singing` or `speech`, by their beginnings; they may overlap."""

    @field_validator("music_share", "singing_share", "speech_share", "partials_share")
    @classmethod
    def _share(cls, value: float) -> float:
        return require_share(value, "a share")

    @property
    def singing(self) -> list[Segment]:
        """Give the segments in which somebody sings."""
        return [segment for segment in self.heard if segment.label == "singing"]


class SoundPart(RecordPart):
    """What a part of a recording speaks for: log odds, positive for yes."""

    start_s: float
    end_s: float
    drums: float
    chords: float
    decaying: float


class SoundClaims(RecordPart):
    """What is heard of the players. A claim is None where it was not measured or is not trusted."""

    has_drums: bool | None
    texture: Literal["melody", "chords"] | None
    """One line alone, or several notes together."""
    lead_envelope: Literal["decaying", "sustained"] | None
    """Struck and plucked notes die away; bowed, blown and organ notes are held."""


class Sound(SoundClaims, Measured):
    """What is heard of the players: by signal analysis, so coarse. A claim is None where it is not trusted."""

    drums_confidence: float | None = None
    texture_confidence: float | None = None
    envelope_confidence: float | None = None
    """Probability that the claim is right; None where the tool has none of its own for it."""
    parts: list[SoundPart] = Field(default_factory=list)
    """The same over time; empty where only the whole was described."""


def claims_of(sound: Sound | None) -> dict[str, Any]:
    """Give the fields of SoundClaims as keyword arguments, each None without a sound."""
    return {name: getattr(sound, name, None) for name in SoundClaims.model_fields}


@dataclass(frozen=True)
class SoundClaim:
    """How one field of SoundClaims is decided, doubted and said: one entry for all who treat the claims alike."""

    name: str
    """Field of SoundClaims, and of Truth."""
    odds: Literal["drums", "chords", "decaying"]
    """Field of SoundPart: log odds of the first of `values`."""
    values: tuple[bool, bool] | tuple[str, str]
    confidence: str
    """Field of Sound."""
    needs_pitch: bool = True
    """Withheld where nothing in the recording holds a pitch."""
    not_of_voices: bool = False
    """Withheld where a voice leads."""

    @property
    def fact(self) -> str:
        """The claim as `Withheld.fact` names it: `sound.texture`."""
        return f"sound.{self.name}"

    def answer(self, claims: object | None) -> str | None:
        """Say what a Sound, a Truth or a payload has for the claim: `yes`, `no`, `melody` ...; None where unknown."""
        value = getattr(claims, self.name, None)
        if isinstance(value, bool):
            return "yes" if value else "no"
        return None if value is None else str(value)

    def by(self, log_odds: float, least: float = 0.0) -> bool | str | None:
        """Give the value that log odds speak for; None where they are nearer to 0 than `least`."""
        return self.values[0 if log_odds > 0 else 1] if abs(log_odds) >= least else None


HAS_DRUMS = SoundClaim("has_drums", "drums", (True, False), "drums_confidence", needs_pitch=False)
TEXTURE = SoundClaim("texture", "chords", ("chords", "melody"), "texture_confidence")
LEAD_ENVELOPE = SoundClaim(
    "lead_envelope", "decaying", ("decaying", "sustained"), "envelope_confidence", not_of_voices=True
)
SOUND_CLAIMS = (HAS_DRUMS, TEXTURE, LEAD_ENVELOPE)
"""In the order of the fields of SoundClaims."""


class HeardTag(RecordPart):
    """A name in plain words, and the probability (0 to 1) that it holds."""

    name: str
    """`violin`, `drum kit`; `jazz`."""
    probability: float

    @field_validator("probability")
    @classmethod
    def _share(cls, value: float) -> float:
        return require_share(value, "the probability of a tag")


class Instrument(HeardTag):
    """One instrument and the probability that it sounds."""

    heard: list[Segment] = Field(default_factory=list)
    """Where it sounds; empty where only the whole was asked."""


class Instruments(Measured):
    """What a tagger heard. Labels by falling probability; only what passed its threshold."""

    labels: list[Instrument]

    @field_validator("labels")
    @classmethod
    def _falling(cls, labels: list[Instrument]) -> list[Instrument]:
        return require_falling(labels)


class Genre(Measured):
    """The style, by falling probability; only what passed the tagger's threshold."""

    labels: list[HeardTag]

    @field_validator("labels")
    @classmethod
    def _falling(cls, labels: list[HeardTag]) -> list[HeardTag]:
        return require_falling(labels)


class Vocals(Measured):
    """Whether anybody sings or speaks. The confidence is the probability that this is right."""

    present: bool
    heard: list[Segment]
    """Where a voice sounds, labelled `singing` or `speech`."""
    register_heard: Register | None = None
    """Of a singer, where it is clear."""

    @model_validator(mode="after")
    def _agree(self) -> "Vocals":
        if self.heard and not self.present:
            raise ValueError(f"no voice is present, with {len(self.heard)} segments of one")
        if self.register_heard and not self.present:
            raise ValueError("no voice is present, with a register")
        return self

    @property
    def sings(self) -> bool:
        """Whether some of it is sung."""
        return any(segment.label == "singing" for segment in self.heard)


def require_falling(labels: list[AnyTag]) -> list[AnyTag]:
    """Return `labels` if their probabilities never rise; ValueError otherwise."""
    if any(after.probability > before.probability for before, after in pairwise(labels)):
        raise ValueError("tags stand by falling probability")
    return labels
