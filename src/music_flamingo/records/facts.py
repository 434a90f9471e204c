"""Facts: what MIR tools measured on the original recording. Written by code, never by a language model."""

import re
from typing import Any, Literal, get_args

from pydantic import Field, field_validator, model_validator

from music_flamingo.core.record import Record, RecordPart
from music_flamingo.records.heard import Content, Genre, Instruments, Sound, Vocals
from music_flamingo.records.measured import Measured, Segment, require_increasing, require_share

CHORD_LABEL = re.compile(r"^(N|X|[A-G][b#]?(:[a-z0-9()#b,*]+)?(/[b#]?\d+)?)$")

KEY_LABEL = re.compile(r"^[A-G][b#]? (major|minor)$")


class TempoLevel(RecordPart):
    """A tempo at which the music can be counted, and the probability that it is the one."""

    bpm: float
    probability: float

    @field_validator("probability")
    @classmethod
    def _share(cls, value: float) -> float:
        return require_share(value, "the probability of a level")


class Tempo(Measured):
    """Tempo of the track, in beats per minute. The confidence is that of `bpm`, or of both where `also_bpm` is said."""

    bpm: float
    also_bpm: float | None = None
    """Another level at which it may as well be counted: its double, its half."""
    levels: list[TempoLevel] = Field(default_factory=list)
    """All levels that were weighed, the likeliest first; empty where the tool knows one alone."""


class Beats(Measured):
    """Beat k is at `beats_s[k]` and has position `positions[k]` in its bar, 1 for a downbeat."""

    beats_s: list[float]
    positions: list[int]
    beats_per_bar: int | None
    """None where it is not trusted: the beats are known then, and not where bars begin."""
    meter_confidence: float | None = None
    """That of `beats_per_bar`; None where the tool has none of its own for it."""

    @model_validator(mode="after")
    def _consistent(self) -> "Beats":
        require_increasing(self.beats_s, "beats_s")
        if len(self.positions) != len(self.beats_s):
            raise ValueError(f"{len(self.beats_s)} beats but {len(self.positions)} positions")
        return self

    @property
    def downbeats_s(self) -> list[float]:
        """Times (s) of beats at position 1 of their bar; none where the bar is not trusted."""
        if self.beats_per_bar is None:
            return []
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


WhyWithheld = Literal[
    "not_music", "not_known", "no_pitch", "unsure", "sung", "spoken", "unaccompanied", "unsung", "disputed"
]


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
    voice: Vocals | None = None
    genre: Genre | None = None
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
