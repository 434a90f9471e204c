"""Timeline of a listening page: waveform, beats, chords and sections.

Positions are percent of the track's duration; amplitudes are fractions of full scale.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from music_flamingo.records import Facts, Segment, Truth

ROOTS_BY_FIFTHS = ("C", "G", "D", "A", "E", "B", "F#", "C#", "G#", "D#", "A#", "F")
FLATS_AS_SHARPS = {
    "Db": "C#",
    "Eb": "D#",
    "Gb": "F#",
    "Ab": "G#",
    "Bb": "A#",
    "Cb": "B",
    "Fb": "E",
    "E#": "F",
    "B#": "C",
}
NUM_SHADES = 3
INSTRUMENT_LANES = 5
"""The likeliest instruments have a lane."""
TALLEST = 0.96
"""The loudest peak, as a fraction of the half height."""


@dataclass(frozen=True)
class Waveform:
    """Two outlines in a box `num_bins` wide and 2 high: the peaks, and the root mean square inside them."""

    num_bins: int
    peak_path: str
    rms_path: str


@dataclass(frozen=True)
class Block:
    """A segment on a lane."""

    left: float
    width: float
    label: str
    title: str
    start_s: float
    end_s: float
    hue: int | None = None
    """Of a chord, in degrees."""
    shade: int = 0
    """Of a section: equal labels look equal."""


@dataclass(frozen=True)
class Lane:
    """A named lane of labelled blocks."""

    name: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class BeatTick:
    """A beat: position (percent), time (s), place in the bar, bar number."""

    left: float
    start_s: float
    position: int
    """In its bar, 1 for a downbeat; 0 before the first downbeat."""
    bar: int
    """Number of its bar; 0 before the first downbeat."""


@dataclass(frozen=True)
class Lanes:
    """One reading of the piece: what was measured, or what the score says."""

    source: str
    kind: str
    """`measured`, `score` or `heard`: how it is drawn."""
    beats: tuple[BeatTick, ...]
    rows: tuple[Lane, ...]


def waveform(samples: np.ndarray, num_bins: int) -> Waveform:
    """Outlines of float samples. Each bin is as tall as its loudest sample, and inside as its root mean square."""
    edges = np.linspace(0, len(samples), max(1, min(num_bins, len(samples))) + 1).astype(int)
    chunks = [samples[a:b] for a, b in pairwise(edges)]
    peaks = [float(np.abs(c).max()) if len(c) else 0.0 for c in chunks]
    rms = [float(np.sqrt(np.mean(np.square(c, dtype=np.float64)))) if len(c) else 0.0 for c in chunks]
    # a quiet recording is drawn as tall as a loud one: loudness is stated in figures
    scale = TALLEST / max(max(peaks, default=0.0), 1e-4)
    return Waveform(len(chunks), _outline(peaks, scale), _outline(rms, scale))


def _outline(heights: list[float], scale: float) -> str:
    top = [(i + 0.5, 1 - scale * h) for i, h in enumerate(heights)]
    bottom = [(x, 2 - y) for x, y in reversed(top)]
    return "M" + "L".join(f"{x:.1f} {y:.2f}" for x, y in [*top, *bottom]) + "Z"


def measured_lanes(facts: Facts | None, duration_s: float) -> Lanes:
    """Lanes of the measured facts; empty without facts."""
    if facts is None:
        return Lanes("Measured", "measured", (), ())
    rows = list(_heard_rows(facts, duration_s))
    if facts.chords:
        rows.append(_chord_lane(facts.chords.segments, duration_s))
    if facts.sections:
        rows.append(_plain_lane("Sections", facts.sections.segments, duration_s))
    if facts.lyrics and facts.lyrics.lines:
        rows.append(_plain_lane("Lyrics", facts.lyrics.lines, duration_s))
    beats = facts.beats
    ticks = _ticks(beats.beats_s, [p == 1 for p in beats.positions], duration_s) if beats else ()
    return Lanes("Measured", "measured", ticks, tuple(r for r in rows if r.blocks))


def _heard_rows(facts: Facts, duration_s: float) -> Iterator[Lane]:
    """Where there is music, a voice, an instrument: a lane each, for these overlap."""
    if facts.content:
        for label in ("music", "speech") if facts.voice is None else ("music",):
            yield _plain_lane(label.capitalize(), [s for s in facts.content.heard if s.label == label], duration_s)
    if facts.voice:
        yield _plain_lane("Voice", facts.voice.heard, duration_s)
    for instrument in facts.instruments.labels[:INSTRUMENT_LANES] if facts.instruments else ():
        named = [s.model_copy(update={"label": instrument.name}) for s in instrument.heard]
        yield _plain_lane(instrument.name.capitalize(), named, duration_s)


def score_lanes(truth: Truth, duration_s: float) -> Lanes:
    """Lanes of the score's truth."""
    down_ms = {round(1000 * t) for t in truth.downbeats_s}
    rows = (_chord_lane(truth.chords, duration_s), _plain_lane("Sections", truth.sections, duration_s))
    ticks = _ticks(truth.beats_s, [round(1000 * t) in down_ms for t in truth.beats_s], duration_s)
    return Lanes("The score", "score", ticks, tuple(r for r in rows if r.blocks))


def heard_lanes(window_s: tuple[float, float], duration_s: float) -> Lanes:
    """The segment that the examined models listened to."""
    start_s, end_s = window_s
    segment = Segment(start_s=start_s, end_s=end_s, label=f"{end_s - start_s:.3g} s from the middle")
    return Lanes("Heard in the examination", "heard", (), (_plain_lane("Window", [segment], duration_s),))


def _ticks(beats_s: list[float], is_downbeat: list[bool], duration_s: float) -> tuple[BeatTick, ...]:
    ticks = []
    bar = position = 0
    for time_s, down in zip(beats_s, is_downbeat, strict=True):
        bar += down
        position = 1 if down else position + 1 if bar else 0
        if time_s <= duration_s:
            ticks.append(BeatTick(round(100 * time_s / duration_s, 3), time_s, position, bar))
    return tuple(ticks)


def _chord_lane(segments: Iterable[Segment], duration_s: float) -> Lane:
    blocks = (_block(s, chord_symbol(s.label), chord_hue(s.label), duration_s) for s in segments)
    return Lane("Chords", tuple(b for b in blocks if b))


def _plain_lane(name: str, segments: Iterable[Segment], duration_s: float) -> Lane:
    shades: dict[str, int] = {}
    blocks = []
    for segment in segments:
        block = _block(segment, segment.label, None, duration_s)
        shade = shades.setdefault(segment.label, len(shades) % NUM_SHADES)
        blocks += [replace(block, shade=shade)] if block else []
    return Lane(name, tuple(blocks))


def _block(segment: Segment, label: str, hue: int | None, duration_s: float) -> Block | None:
    end_s = min(segment.end_s, duration_s)
    if segment.start_s >= end_s:
        return None
    left, width = 100 * segment.start_s / duration_s, 100 * (end_s - segment.start_s) / duration_s
    title = f"{segment.label}, {segment.start_s:.2f} to {segment.end_s:.2f} s"
    return Block(round(left, 3), round(width, 3), label, title, segment.start_s, end_s, hue)


def chord_symbol(label: str) -> str:
    """How a musician writes a mir_eval label: `Bb:min7` -> `B♭m7`; `N`, no chord -> `–`; `X`, unknown -> `?`."""
    if label in ("N", "X"):
        return "–" if label == "N" else "?"
    head, _, bass = label.partition("/")
    root, _, quality = head.partition(":")
    quality = re.sub(r"^min", "m", re.sub(r"^maj(?!\d)", "", quality))
    return _accidentals(root) + quality + (f"/{_accidentals(bass)}" if bass else "")


def _accidentals(text: str) -> str:
    return text.replace("b", "♭").replace("#", "♯")


def key_symbol(label: str) -> str:
    """`Bb minor` -> `B♭ minor`."""
    tonic, space, mode = label.partition(" ")
    return _accidentals(tonic) + space + mode


def chord_hue(label: str) -> int | None:
    """A hue in degrees by the root's place on the circle of fifths, so that related chords look related."""
    root = re.split(r"[:/]", label)[0]
    root = FLATS_AS_SHARPS.get(root, root)
    return 30 * ROOTS_BY_FIFTHS.index(root) if root in ROOTS_BY_FIFTHS else None
