"""Parse a file of music21's corpus into notes, meter, key, harmony, form and words, in quarter notes.

Positions are quarter notes from the start of the piece (`_q`). What is kept is the segment in one meter whose bars
are regular, at most MAX_QUARTERS long and a whole number of bars: it can be repeated without breaking the beat.
"""

import math
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from music_flamingo.core.errors import CorruptDataError, MissingToolError, UserError
from music_flamingo.sources.harmony import Harmony, chord_symbol_label, verticals
from music_flamingo.sources.pieces import Piece

MAX_QUARTERS = 192.0
"""48 bars of 4/4: more than the longest performance needs before it may repeat."""
EPSILON_Q = 1e-3
MIN_NOTES = 16


@dataclass(frozen=True)
class Note:
    """A note: part, start and end in quarter notes, MIDI pitch."""

    part: int
    start_q: float
    end_q: float
    pitch: int
    """MIDI number, sounding."""


@dataclass(frozen=True)
class Word:
    """A sung word and its position in quarter notes."""

    start_q: float
    text: str


@dataclass(frozen=True)
class NotatedScore:
    """What a performance needs to know of a piece."""

    piece: Piece
    title: str | None
    artist: str | None
    meter: str
    bar_q: float
    pickup_q: float
    """Where the first downbeat lies: the length of an upbeat, else 0."""
    length_q: float
    """A whole number of bars; what follows is the repetition from 0 on."""
    tonic: int
    """Pitch class."""
    mode: str
    key_correlation: float
    """Of the piece's pitches with the profile of its key (Aarden-Essen), -1 to 1."""
    notes: tuple[Note, ...]
    harmonies: tuple[Harmony, ...]
    """Chord symbols where the score prints them, else what sounds together; empty for a melody."""
    has_symbols: bool
    boundaries_q: tuple[float, ...]
    """Where sections begin (repeat and double bars), from 0 on."""
    words: tuple[Word, ...]

    @property
    def is_polyphonic(self) -> bool:
        """Whether more than one part has notes."""
        return len({n.part for n in self.notes}) > 1


def read_score(piece: Piece) -> NotatedScore:
    """Parse a piece. Raises CorruptDataError naming it when it has no regular bars or too few notes."""
    stream = _parse(piece)
    parts = list(stream.parts) or [stream]
    signature = next(iter(parts[0].recurse().getElementsByClass("TimeSignature")), None)
    if signature is None:
        raise CorruptDataError(f"the piece {piece.work_id} has no time signature. Take it out of its list in sources/.")
    bar_q = float(signature.barDuration.quarterLength)
    pickup_q, length_q, boundaries_q = _regular_bars(parts[0], signature.ratioString, bar_q)
    notes = _notes(parts, length_q)
    if len(notes) < MIN_NOTES:
        raise CorruptDataError(
            f"the piece {piece.work_id} has {len(notes)} notes in regular bars, fewer than {MIN_NOTES}. "
            "Take it out of its list in sources/."
        )
    harmonies, has_symbols = _harmonies(stream, notes, length_q)
    key = stream.analyze("key")
    metadata = stream.metadata
    return NotatedScore(
        piece=piece,
        title=piece.title or _text(metadata.title or metadata.movementName if metadata else None),
        artist=piece.artist or _text(metadata.composer if metadata else None),
        meter=signature.ratioString,
        bar_q=bar_q,
        pickup_q=pickup_q,
        length_q=length_q,
        tonic=key.tonic.pitchClass,
        mode=key.mode,
        key_correlation=float(key.correlationCoefficient),
        notes=notes,
        harmonies=harmonies,
        has_symbols=has_symbols,
        boundaries_q=boundaries_q,
        words=_words(parts, length_q),
    )


def _parse(piece: Piece) -> Any:
    try:
        import music21
    except ImportError as error:
        raise MissingToolError("the scores source needs music21. Install with: pip install music21") from error
    path = Path(music21.__file__).parent / "corpus" / piece.source
    if not path.is_file():
        raise UserError(f"music21's corpus has no {piece.source} ({path}). Install music21 10.5.1, with its corpus.")
    reader = music21.converter.Converter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # no pickles of earlier runs: they lie in a shared temporary folder
        reader.parseFile(path, number=piece.number, forceSource=True, storePickle=False)
    stream: Any = reader.stream
    if any(i.transposition is not None for i in stream.recurse().getElementsByClass("Instrument")):
        stream = stream.toSoundingPitch()
    return stream


def _regular_bars(part: Any, ratio: str, bar_q: float) -> tuple[float, float, tuple[float, ...]]:
    """(first downbeat, usable length, section starts) of the segment whose full bars follow one grid in one meter."""
    measures = list(part.getElementsByClass("Measure"))
    first = measures[0] if measures else None
    pickup_q = 0.0
    if first is not None and float(first.duration.quarterLength) < bar_q - EPSILON_Q:
        pickup_q = float(first.duration.quarterLength)
    end_q, boundaries = 0.0, [0.0]
    for measure in measures:
        start_q, duration_q = float(measure.offset), float(measure.duration.quarterLength)
        other = [t for t in measure.getElementsByClass("TimeSignature") if t.ratioString != ratio]
        off_grid = abs((start_q - pickup_q + bar_q / 2) % bar_q - bar_q / 2) > EPSILON_Q
        if other or duration_q > bar_q + EPSILON_Q or (duration_q > bar_q - EPSILON_Q and off_grid):
            break
        end_q = start_q + duration_q
        boundaries += _section_starts(measure, start_q, end_q)
    length_q = math.floor(min(end_q, MAX_QUARTERS) / bar_q + EPSILON_Q) * bar_q
    return pickup_q, length_q, tuple(sorted({b for b in boundaries if b < length_q - EPSILON_Q}))


def _section_starts(measure: Any, start_q: float, end_q: float) -> list[float]:
    starts = []
    for bar, at_q in ((measure.leftBarline, start_q), (measure.rightBarline, end_q)):
        if bar is not None and ("Repeat" in bar.classes or bar.type in ("double", "final")):
            starts.append(at_q)
    return starts


def _notes(parts: list[Any], length_q: float) -> tuple[Note, ...]:
    notes = {note for index, part in enumerate(parts) for note in _part_notes(index, part, length_q)}
    return tuple(sorted(notes, key=lambda n: (n.start_q, n.part, n.pitch, n.end_q)))


def _part_notes(index: int, part: Any, length_q: float) -> list[Note]:
    """Notes of a part, tied ones joined, without grace notes and chord symbols."""
    notes: list[Note] = []
    tied: dict[int, int] = {}  # pitch -> which note waits for its continuation
    for element in part.flatten().notes:
        start_q = float(element.offset)
        if start_q >= length_q or element.duration.isGrace or "ChordSymbol" in element.classes:
            continue
        end_q = min(float(element.offset + element.quarterLength), length_q)
        for single in element.notes if hasattr(element, "notes") else [element]:
            if not hasattr(single, "pitch"):
                continue
            pitch, tie = single.pitch.midi, single.tie.type if single.tie else None
            before = tied.pop(pitch, None)
            if before is not None and tie in ("stop", "continue") and abs(notes[before].end_q - start_q) < EPSILON_Q:
                notes[before] = replace(notes[before], end_q=end_q)
            else:
                before = len(notes)
                notes.append(Note(index, start_q, end_q, pitch))
            if tie in ("start", "continue"):
                tied[pitch] = before
    return notes


def _harmonies(stream: Any, notes: tuple[Note, ...], length_q: float) -> tuple[tuple[Harmony, ...], bool]:
    symbols = sorted(
        (s for s in stream.flatten().getElementsByClass("ChordSymbol") if s.pitches and s.offset < length_q),
        key=lambda s: float(s.offset),
    )
    if symbols:
        ends = [float(s.offset) for s in symbols[1:]] + [length_q]
        return tuple(
            Harmony(float(s.offset), end, *chord_symbol_label([p.pitchClass for p in s.pitches], s.root().pitchClass))
            for s, end in zip(symbols, ends, strict=True)
            if end > float(s.offset) + EPSILON_Q
        ), True
    if len({n.part for n in notes}) > 1:
        return tuple(verticals([(n.start_q, n.end_q, n.pitch) for n in notes])), False
    return (), False


def _words(parts: list[Any], length_q: float) -> tuple[Word, ...]:
    """The first verse of the first part that has words, syllables joined."""
    for part in parts:
        words: list[Word] = []
        open_word = False
        for element in part.flatten().notes:
            lyric = element.lyrics[0] if element.lyrics else None
            if lyric is None or not lyric.text or element.offset >= length_q:
                continue
            text = lyric.text.strip()
            if open_word and words and lyric.syllabic in ("middle", "end"):
                words[-1] = Word(words[-1].start_q, words[-1].text + text)
            else:
                words.append(Word(float(element.offset), text))
            open_word = lyric.syllabic in ("begin", "middle")
        if sum(any(c.isalpha() for c in w.text) for w in words) > len(words) / 2:  # figured bass is no lyric
            return tuple(words)
    return ()


def _text(value: str | None) -> str | None:
    value = " ".join(value.split()) if value else None
    return value or None
