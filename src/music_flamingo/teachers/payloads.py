"""What a teacher is given and what it must give back: one payload and one reply for each use, as JSON by schema.

Payloads carry facts that code has measured; texts from outside (lyrics, titles) sit in fields of their own. A reply
that does not fit its schema is not a reply.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from music_flamingo.core.record import RecordPart
from music_flamingo.records import Category, Facts, Reference, Segment, Sound
from music_flamingo.records.chain import HeardClaim
from music_flamingo.records.example import QuestionType
from music_flamingo.scoring.claims.stated import StatedKind, differences
from music_flamingo.scoring.families import FAMILIES, OTHER, question_families
from music_flamingo.teachers.theory import ChordSpan, KeyName, chord_spans

ChainStyle = Literal["short", "full"]

SHORTEST_CHORD_S = 0.25
"""Chord changes shorter than this are passing notes more often than harmony."""

LYRICS_CHARACTERS, LINE_CHARACTERS = 6000, 300
"""The words of a song that a teacher is shown: lines from the first on up to this many characters, each cut to 300.
A song of ten verses has about 4,000; more is a text that is no lyric, and would crowd out the facts."""
TITLE_CHARACTERS, CAPTION_CHARACTERS = 200, 2000


def cut(text: str, most: int) -> str:
    """The text, or its first `most` characters and a note that says so."""
    return text if len(text) <= most else f"{text[:most]} (cut: {len(text)} characters)"


def shown_lines(lines: Sequence[Segment]) -> tuple[list[Segment], str]:
    """(the lines that are shown, what is left out in words; empty where nothing is)."""
    shown, room = [], LYRICS_CHARACTERS
    for line in lines:
        text = line.label[:LINE_CHARACTERS]
        room -= len(text)
        if room < 0:
            break
        shown.append(line if text == line.label else line.model_copy(update={"label": text}))
    num_cut = sum(s is not line for s, line in zip(shown, lines, strict=False))
    omitted = [f"{len(lines) - len(shown)} of {len(lines)} lines at the end"] if len(shown) < len(lines) else []
    omitted += [f"all but {LINE_CHARACTERS} characters of {num_cut} lines"] if num_cut else []
    return shown, " and ".join(omitted)


class SoundClasses(RecordPart):
    """What is heard of the players; None where it was not measured."""

    has_drums: bool | None
    texture: Literal["melody", "chords"] | None
    lead_envelope: Literal["decaying", "sustained"] | None

    @classmethod
    def fields_of(cls, sound: Sound | None) -> dict[str, Any]:
        """Give these fields as keyword arguments, read from the measured sound."""
        return {name: getattr(sound, name, None) for name in SoundClasses.model_fields}


class SongFacts(SoundClasses):
    """The measured facts of a track, as far as there are any: what is None or empty is not to be spoken of."""

    duration_s: float
    tempo_bpm: float | None
    beats_per_bar: int | None
    downbeats_s: list[float]
    key: str | None
    chords: list[Segment]
    sections: list[Segment]
    dynamics_range_db: float | None
    dynamics_trend: Literal["steady", "rising", "falling"] | None
    lyrics: list[Segment]
    """Untrusted: the words of the song, line by line."""
    language: str | None
    key_changes: list[Segment] = Field(default_factory=list)
    """The keys one after another, where the music modulates."""
    instruments: list[str] = Field(default_factory=list)
    """What a tagger heard, the surest first; empty where none was asked."""
    has_voice: bool | None = None
    """None where nobody looked or it is not sure."""
    voice: list[Segment] = Field(default_factory=list)
    """Where a voice sounds: `singing` or `speech`."""
    singer: Literal["female", "male"] | None = None
    """A woman or a man who sings, where that is clear."""
    genres: list[str] = Field(default_factory=list)
    """The style, the surest first; empty where none is sure."""
    also_bpm: float | None = None
    """Another level at which the tempo may as well be counted: its double or half."""
    lyrics_omitted: str = ""
    """What of the words is not shown, where they are too many; nothing is to be said of their end or number then."""

    @classmethod
    def of(cls, facts: Facts, duration_s: float) -> "SongFacts":
        words, heard = facts.lyrics, facts.instruments
        lines, omitted = shown_lines(words.lines) if words and words.available else ([], "")
        return cls(
            duration_s=round(duration_s, 2),
            tempo_bpm=round(facts.tempo.bpm, 1) if facts.tempo else None,
            beats_per_bar=facts.beats.beats_per_bar if facts.beats else None,
            downbeats_s=[round(t, 2) for t in facts.beats.downbeats_s] if facts.beats else [],
            key=facts.key.label if facts.key else None,
            chords=facts.chords.segments if facts.chords else [],
            sections=facts.sections.segments if facts.sections else [],
            dynamics_range_db=round(facts.dynamics.range_db, 1) if facts.dynamics else None,
            dynamics_trend=facts.dynamics.trend if facts.dynamics else None,
            **cls.fields_of(facts.sound),
            lyrics=lines,
            language=words.language if words and words.available else None,
            key_changes=facts.key.changes if facts.key else [],
            instruments=[i.name for i in heard.labels] if heard else [],
            has_voice=facts.voice.present if facts.voice else None,
            voice=facts.voice.heard if facts.voice else [],
            singer=facts.voice.register_heard if facts.voice else None,
            genres=[g.name for g in facts.genre.labels] if facts.genre else [],
            also_bpm=round(facts.tempo.also_bpm, 1) if facts.tempo and facts.tempo.also_bpm else None,
            lyrics_omitted=omitted,
        )

    @property
    def key_name(self) -> KeyName | None:
        return KeyName.parse(self.key) if self.key else None

    @property
    def lyrics_are_timed(self) -> bool:
        """False where every line spans the whole recording: the words are known then, and not when they are sung."""
        return any(line.start_s > 0 or line.end_s < 0.98 * self.duration_s for line in self.lyrics)

    @property
    def spans(self) -> list[ChordSpan]:
        """The harmonies in order. None where one line sounds alone: chords read into it are guesses."""
        if self.texture == "melody":
            return []
        return chord_spans(self.chords, SHORTEST_CHORD_S)

    @property
    def num_bars(self) -> int:
        return len(self.downbeats_s)

    def bar_at(self, time_s: float) -> int:
        """The number of the bar that sounds at a time, 1 for the first; 0 before it."""
        return bisect_right(self.downbeats_s, time_s)


class Closed(RecordPart):
    """A question with a fixed wording and fixed options, whose answer code has read from the facts."""

    family: str
    type: QuestionType
    question: str
    options: list[str]
    answer: str


def closed_questions(facts: Facts) -> list[Closed]:
    """The audible families that the facts can answer, worded as training and evaluation word them."""
    return [
        Closed(family=f.name, type=f.type, question=f.question, options=list(f.options), answer=answer)
        for f in FAMILIES.values()
        if (answer := f.from_facts(facts)) is not None
    ]


class TrackPayload(RecordPart):
    """The least that every teacher call carries."""

    track_id: str


class WindowPayload(TrackPayload, SoundClasses):
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
    singer: Literal["female", "male"] | None = None
    """A woman or a man who sings, where that is clear."""


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


class JudgePayload(TrackPayload):
    """A text to be rated by whoever hears the recording; title and lyrics are left out: they would give it away."""

    kind: Literal["question", "caption"]
    family: str
    question: str
    options: list[str]
    answer: str
    """Of a caption its text."""
    measured: list[Closed]
    """What tools read from the sound. A judge that hears overrules it; a scripted one has nothing else to go by."""


class JudgeReply(RecordPart):
    correctness: int = Field(ge=1, le=5)
    """5: all agrees with what is heard. 3: cannot be told. 1: what decides the answer is wrong."""
    reason: str = Field(min_length=1)


class GuessPayload(TrackPayload):
    """A question to be answered without audio. The track goes unnamed: a model may know the piece by its id."""

    track_id: str = ""
    question: str
    options: list[str]


class GuessReply(RecordPart):
    answer: str
    """One of the options; another text is no reply, and is asked for again."""


class RewriteReply(PlainStep):
    withdrawn: bool
    """True for a step that claims nothing any more: there is nothing left to check."""
