"""What a teacher is given of a track: its measured facts, and the closed questions that they answer."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from music_flamingo.core.record import RecordPart
from music_flamingo.records import Facts, Segment
from music_flamingo.records.example import QuestionType
from music_flamingo.records.heard import SoundClaims, claims_of
from music_flamingo.scoring.families import FAMILIES
from music_flamingo.teachers.theory import ChordSpan, KeyName, chord_spans

SHORTEST_CHORD_S = 0.25
"""Chord changes shorter than this are passing notes more often than harmony."""
LYRICS_CHARACTERS, LINE_CHARACTERS = 6000, 300
"""The words of a song that a teacher is shown: lines from the first on up to this many characters, each cut to 300.
A song of ten verses has about 4,000; more is a text that is no lyric, and would crowd out the facts."""


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


class SongFacts(SoundClaims):
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
        is_music = facts.content is None or facts.content.kind == "music"
        voice = facts.voice if is_music else None  # whether anybody sings in a talk is no question
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
            **claims_of(facts.sound),
            lyrics=lines,
            language=words.language if words and words.available else None,
            key_changes=facts.key.changes if facts.key else [],
            instruments=[i.name for i in heard.labels] if heard else [],
            has_voice=voice.present if voice else None,
            voice=voice.heard if voice else [],
            singer=voice.register_heard if voice else None,
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
