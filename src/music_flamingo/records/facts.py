"""Facts: what MIR tools measured on the original recording. Written by code, never by a language model."""

import re
from itertools import pairwise
from typing import Any, Literal, get_args

from pydantic import Field, field_validator, model_validator

from music_flamingo.core.record import Record, RecordPart

CHORD_LABEL = re.compile(r"^(N|X|[A-G][b#]?(:[a-z0-9()#b,*]+)?(/[b#]?\d+)?)$")

KEY_LABEL = re.compile(r"^[A-G][b#]? (major|minor)$")


def require_increasing(times_s: list[float], name: str) -> None:
    """Raise ValueError unless times (s) strictly increase; `name` stands in the message."""
    for before, after in pairwise(times_s):
        if after <= before:
            raise ValueError(f"{name} must increase: {after} follows {before}")


class Segment(RecordPart):
    """A labelled stretch of time."""

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
    """0 to 1, on the tool's own scale; lower where `opinions` differ (music_flamingo.mir.opinions)."""
    opinions: list[Opinion] = Field(default_factory=list)
    """Of other tools, or of the parts of a tool that votes."""

    @field_validator("confidence")
    @classmethod
    def _probability(cls, value: float) -> float:
        return require_share(value, "confidence")


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


class Tempo(Measured):
    """Tempo of the track, in beats per minute."""

    bpm: float


class Beats(Measured):
    """Beat k is at `beats_s[k]` and has position `positions[k]` in its bar, 1 for a downbeat."""

    beats_s: list[float]
    positions: list[int]
    beats_per_bar: int

    @model_validator(mode="after")
    def _consistent(self) -> "Beats":
        require_increasing(self.beats_s, "beats_s")
        if len(self.positions) != len(self.beats_s):
            raise ValueError(f"{len(self.beats_s)} beats but {len(self.positions)} positions")
        return self

    @property
    def downbeats_s(self) -> list[float]:
        """Times (s) of beats at position 1 of their bar."""
        return [t for t, position in zip(self.beats_s, self.positions, strict=True) if position == 1]


class Key(Measured):
    """Global key (tonic and mode), and the segments of local keys."""

    tonic: str
    """`C`, `Db`, `F#` ..."""
    mode: Literal["major", "minor"]
    changes: list[Segment] = Field(default_factory=list)
    """The keys one after another where the music modulates; empty where one key reigns or nobody looked."""

    @field_validator("changes")
    @classmethod
    def _keys(cls, changes: list[Segment]) -> list[Segment]:
        for segment in changes:
            if not KEY_LABEL.match(segment.label):
                raise ValueError(f"not a key: {segment.label!r}")
        require_increasing([segment.start_s for segment in changes], "changes of key")
        return changes

    @property
    def label(self) -> str:
        """The key as "TONIC MODE", for example "Eb minor"."""
        return f"{self.tonic} {self.mode}"


class Chords(Measured):
    """mir_eval labels."""

    segments: list[Segment]

    @field_validator("segments")
    @classmethod
    def _labels(cls, segments: list[Segment]) -> list[Segment]:
        for segment in segments:
            if not CHORD_LABEL.match(segment.label):
                raise ValueError(f"not a chord label: {segment.label!r}")
        return segments


class Sections(Measured):
    """Equal labels mark repetition: A B A."""

    segments: list[Segment]


class Dynamics(Measured):
    """Range of loudness (dB) and its trend over the track."""

    range_db: float
    """Between the 95th and the 10th percentile of short-term loudness."""
    trend: Literal["steady", "rising", "falling"]


class Sound(Measured):
    """What is heard of the players: by signal analysis, so coarse. A claim is None where it is not trusted."""

    has_drums: bool | None
    texture: Literal["melody", "chords"] | None
    """One line alone, or several notes together."""
    lead_envelope: Literal["decaying", "sustained"] | None
    """Struck and plucked notes die away; bowed, blown and organ notes are held."""


LanguageSource = Literal["model", "text", "source"]
"""Who said which language the words are in: the recogniser, a look at the text, or the source's tag."""
WhyNoLyrics = Literal["none_in_source", "no_voice", "no_words", "unsure"]


class Lyrics(Measured):
    """Lines and words with times (s), the language and its source, or the reason why there are none."""

    available: bool
    lines: list[Segment]
    language: str | None
    words: list[Segment] = Field(default_factory=list)
    """Each word with its times, where a recogniser heard them; empty for words without times."""
    language_from: LanguageSource | None = None
    why_not: WhyNoLyrics | None = None
    """Why there are none, where `available` is false."""


class Instrument(RecordPart):
    """One instrument and the probability (0 to 1) that it is present."""

    name: str
    """In plain words: `violin`, `drum kit`."""
    probability: float
    """The highest of any window."""


class Instruments(Measured):
    """What a tagger heard. Labels by falling probability; only what passed its threshold."""

    labels: list[Instrument]
    has_voice: bool
    voice: list[Segment]
    """Where a voice sounds, labelled `singing` or `speech`."""

    @field_validator("labels")
    @classmethod
    def _falling(cls, labels: list[Instrument]) -> list[Instrument]:
        if any(not 0 <= i.probability <= 1 for i in labels):
            raise ValueError("the probability of an instrument lies in 0 to 1")
        if any(after.probability > before.probability for before, after in pairwise(labels)):
            raise ValueError("instruments stand by falling probability")
        return labels

    @model_validator(mode="after")
    def _agree(self) -> "Instruments":
        if bool(self.voice) != self.has_voice:
            raise ValueError(f"has_voice is {self.has_voice} with {len(self.voice)} stretches of voice")
        return self


WhyWithheld = Literal["not_music", "no_pitch", "unsure", "sung"]


class Withheld(RecordPart):
    """A fact that was measured and is not trusted: it stays on record, and no consumer is handed it."""

    fact: str
    """`key`, or one claim of a fact: `sound.texture`."""
    reason: WhyWithheld


class Facts(Record):
    """`id` is the track's id. A fact is None when its tool could not give one; `problems` says why.

    What is written from facts is written from `trusted(facts)`.
    """

    work_id: str
    duration_s: float | None
    tempo: Tempo | None
    beats: Beats | None
    key: Key | None
    chords: Chords | None
    sections: Sections | None
    dynamics: Dynamics | None
    sound: Sound | None
    lyrics: Lyrics | None
    problems: list[str]
    instruments: Instruments | None = None
    content: Content | None = None
    withheld: list[Withheld] = Field(default_factory=list)
    """What is not trusted, by the rules of the facts stage (music_flamingo.mir.trust)."""


def trusted(facts: Facts) -> Facts:
    """Give the facts without what is withheld: all that captions, questions, chains and answers are made of."""
    changes: dict[str, Any] = {}
    for fact, _, claim in (entry.fact.partition(".") for entry in facts.withheld):
        held = changes.get(fact, getattr(facts, fact))
        changes[fact] = held.model_copy(update={claim: None}) if claim and held is not None else None
    return facts.model_copy(update=changes)


def _is_measured(annotation: Any) -> bool:
    return any(isinstance(part, type) and issubclass(part, Measured) for part in get_args(annotation))


MEASURED = tuple(name for name, field in Facts.model_fields.items() if _is_measured(field.annotation))
"""The fields of Facts that a tool measures, each with its tool, version and confidence."""
