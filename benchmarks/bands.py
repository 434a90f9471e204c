"""Bands that play a style at a tempo, with exact truth: what tempo levels and instruments are fitted on.

No recording and no score is used: patterns of many styles, drawn afresh for every clip, in the sounds of General
MIDI, with reverberation and a tilt of the spectrum, so that neither a room nor a pair of loudspeakers is learned.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from music_flamingo.mir.keys import Mode, spell_tonic
from music_flamingo.sources.plan import Event
from music_flamingo.sources.render import RATE_HZ, synthesise

KICK, SNARE, CLOSED_HAT, OPEN_HAT, RIDE, PEDAL_HAT, CLAP, SIDE_STICK = 36, 38, 42, 46, 51, 44, 39, 37
DRUM_CHANNEL = 9
FAMILIES: dict[str, tuple[int, ...]] = {
    "piano": (0, 1, 3),
    "electric piano": (4, 5),
    "clavinet": (7,),
    "harpsichord": (6,),
    "mallets": (8, 9, 11, 12, 13, 14),
    "organ": (16, 17, 18, 19, 20),
    "accordion": (21, 22),
    "acoustic guitar": (24, 25),
    "electric guitar": (26, 27, 28, 29, 30),
    "bass": (32, 33, 34, 35, 36, 37, 38, 39),
    "strings": (40, 41, 42, 44, 45, 48, 49),
    "harp": (46,),
    "choir": (52, 53, 54),
    "brass": (56, 57, 58, 59, 60, 61, 62),
    "saxophone": (64, 65, 66, 67),
    "woodwinds": (68, 69, 70, 71, 72, 73, 74, 75),
    "synthesizer": (80, 81, 83, 87, 88, 89, 90, 95),
}
"""Family -> programs of General MIDI, from 0 on."""
CHORDAL = ("piano", "electric piano", "clavinet", "harpsichord", "organ", "accordion", "acoustic guitar", "electric guitar", "strings", "synthesizer", "choir", "mallets")  # fmt: skip
MELODIC = ("piano", "mallets", "acoustic guitar", "electric guitar", "strings", "brass", "saxophone", "woodwinds", "synthesizer", "organ", "harpsichord", "clavinet", "accordion", "choir")  # fmt: skip
PROGRESSIONS = ((0, 5, 3, 4), (0, 3, 4, 0), (0, 4, 5, 3), (5, 3, 0, 4), (0, 0, 3, 4), (0, 1, 4, 0), (0, 6, 3, 0))
SCALE = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}


@dataclass(frozen=True)
class Style:
    """A groove: drum hits and the comping's places in beats of the bar; the tempo is that of the annotated beat."""

    low_bpm: float
    high_bpm: float
    bar: int
    drums: tuple[tuple[int, tuple[float, ...]], ...] = ()
    comping: tuple[tuple[float, ...], ...] = ((0,),)
    bass: tuple[tuple[float, ...], ...] = ((0,),)
    melody_step: float = 1.0
    swing: float = 0.5
    """Where the second eighth falls in its beat."""


def _every(step: float, bar: float, first: float = 0.0) -> tuple[float, ...]:
    return tuple(round(first + k * step, 4) for k in range(int((bar - first - 1e-6) / step) + 1))


E4, S4, Q4 = _every(0.5, 4), _every(0.25, 4), _every(1, 4)
STYLES: dict[str, Style] = {
    "rock": Style(84, 150, 4, ((KICK, (0, 2, 2.5)), (SNARE, (1, 3)), (CLOSED_HAT, E4)), (E4, (0, 2)), (E4, (0, 2)), 0.5),
    "pop": Style(72, 126, 4, ((KICK, (0, 1.5, 2)), (SNARE, (1, 3)), (CLOSED_HAT, S4)), ((0, 1.5, 3), (0,)), ((0, 1.5, 2), E4), 0.5),
    "ballad": Style(52, 80, 4, ((KICK, (0, 2)), (SNARE, (1, 3)), (CLOSED_HAT, E4)), (E4, (0,), Q4), ((0,), (0, 2)), 0.5),
    "ballad in sixteenths": Style(52, 78, 4, ((KICK, (0, 1.75, 2)), (SIDE_STICK, (1, 3)), (CLOSED_HAT, S4)), ((0,), E4), ((0, 1.75), (0, 2)), 0.5),
    "half-time": Style(124, 160, 4, ((KICK, (0, 1.5)), (SNARE, (2,)), (CLOSED_HAT, E4)), ((0,), (0, 1.5)), ((0,), (0, 3)), 1.0),
    "hip hop": Style(78, 104, 4, ((KICK, (0, 0.75, 2.5)), (SNARE, (1, 3)), (CLOSED_HAT, E4)), ((0, 2.5), (0,)), ((0, 0.75, 2.5),), 0.5, 0.58),
    "disco": Style(108, 130, 4, ((KICK, Q4), (SNARE, (1, 3)), (OPEN_HAT, _every(1, 4, 0.5))), (_every(1, 4, 0.5), (0, 1.5, 2.5)), (E4,), 0.5),
    "house": Style(118, 138, 4, ((KICK, Q4), (CLAP, (1, 3)), (OPEN_HAT, _every(1, 4, 0.5))), ((0.5, 1.5, 2, 3.5), (0.75, 1.5, 3)), (_every(1, 4, 0.5), (0, 1.5, 3)), 0.5),
    "drum and bass": Style(164, 180, 4, ((KICK, (0, 2.5)), (SNARE, (1, 3)), (CLOSED_HAT, E4)), ((0,),), ((0, 2.5), (0,)), 1.0),
    "punk": Style(164, 222, 4, ((KICK, (0, 2)), (SNARE, (1, 3)), (CLOSED_HAT, E4)), (E4, Q4), (E4,), 1.0),
    "swing": Style(110, 230, 4, ((RIDE, (0, 1, 1.5, 2, 3, 3.5)), (PEDAL_HAT, (1, 3))), ((0, 1.5), (1.5, 3), (0.5, 2)), (Q4, (0, 2)), 0.5, 0.66),
    "shuffle": Style(80, 140, 4, ((KICK, (0, 2)), (SNARE, (1, 3)), (CLOSED_HAT, E4)), (E4, Q4), (Q4, E4), 0.5, 0.66),
    "slow blues": Style(50, 76, 4, ((KICK, (0, 2)), (SNARE, (1, 3)), (RIDE, _every(1 / 3, 4))), ((0, 2), (1, 3)), (Q4, _every(1 / 3, 4)), 1 / 3),
    "waltz": Style(84, 196, 3, ((KICK, (0,)), (SIDE_STICK, (1, 2)), (CLOSED_HAT, (0, 1, 2))), ((1, 2), (0,)), ((0,),), 1.0),
    "jazz waltz": Style(110, 190, 3, ((RIDE, (0, 1, 1.5, 2)), (PEDAL_HAT, (1,))), ((0, 1.5), (1,)), ((0,), (0, 1, 2)), 0.5, 0.66),
    "march": Style(96, 126, 2, ((KICK, (0,)), (SNARE, (0, 0.5, 1, 1.25, 1.5, 1.75))), ((0.5, 1.5),), ((0, 1),), 0.5),
    "samba": Style(84, 112, 2, ((KICK, (0, 0.75, 1, 1.75)), (SIDE_STICK, (0.5, 0.75, 1.25)), (CLOSED_HAT, _every(0.25, 2))), ((0, 0.75, 1.5), (0.25, 1)), ((0, 0.75, 1),), 0.25),
    "salsa": Style(84, 112, 2, ((56, (0, 0.5, 1, 1.5)), (SIDE_STICK, (0.25, 0.5, 1, 1.75)), (63, (0.75, 1.75, 1.5))), ((0, 0.25, 0.75, 1.25, 1.75),), ((0.75, 1.5),), 0.25),
    "reggae": Style(64, 88, 4, ((KICK, (2,)), (SIDE_STICK, (2,)), (CLOSED_HAT, E4)), (_every(1, 4, 0.5), (1, 3)), ((0, 1.5, 2), (0, 2, 2.5)), 0.5),
    "five": Style(130, 190, 5, ((KICK, (0, 3)), (SNARE, (2, 4)), (RIDE, _every(1, 5))), ((0, 3),), ((0, 3),), 1.0),
    "six eight": Style(46, 72, 2, ((KICK, (0,)), (SNARE, (1,)), (CLOSED_HAT, _every(1 / 3, 2))), (_every(1 / 3, 2), (0, 1)), ((0,), (0, 1)), 1 / 3),
    "chorale": Style(54, 92, 4, (), (Q4, (0, 2)), ((0,), Q4), 1.0),
    "arpeggios": Style(56, 132, 4, (), (E4, S4), ((0,), (0, 2)), 0.5),
    "adagio": Style(40, 66, 4, (), ((0,), (0, 2), E4), ((0,), (0, 2)), 1.0),
    "oom-pah": Style(92, 150, 2, (), ((0.5, 1.5),), ((0, 1),), 0.5),
    "minuet": Style(100, 150, 3, (), ((0, 1, 2), (0,)), ((0,),), 0.5),
}  # fmt: skip
MORE_STYLES: dict[str, Style] = {
    "fast rock": Style(150, 200, 4, ((KICK, (0, 2, 2.5)), (SNARE, (1, 3)), (CLOSED_HAT, Q4)), (E4, Q4), (E4, (0, 2)), 1.0),
    "motown": Style(104, 140, 4, ((KICK, (0, 2)), (SNARE, Q4), (CLOSED_HAT, E4)), (Q4, (1, 3)), ((0, 1.5, 2), E4), 0.5),
    "metal": Style(140, 210, 4, ((KICK, E4), (SNARE, (1, 3)), (OPEN_HAT, Q4)), (E4, (0, 1.5, 3)), (E4,), 1.0),
    "breakbeat": Style(160, 178, 4, ((KICK, (0, 1, 2.5)), (SNARE, (1, 1.75, 2.25, 3)), (RIDE, E4)), ((0,), (0, 1.5)), ((0, 2.5), (0,)), 1.0),
    "trap": Style(128, 160, 4, ((KICK, (0, 2.5)), (SNARE, (2,)), (CLOSED_HAT, S4)), ((0,),), ((0, 2.5),), 1.0),
    "techno": Style(122, 145, 4, ((KICK, Q4), (CLOSED_HAT, _every(1, 4, 0.5)), (CLAP, (1, 3))), ((0, 0.75, 1.5, 2.25, 3),), (S4, E4), 0.5),
    "train beat": Style(96, 126, 2, ((KICK, (0, 1)), (SNARE, (0.25, 0.5, 0.75, 1.25, 1.5, 1.75))), ((0.5, 1.5),), ((0, 1),), 0.5),
    "fast country": Style(180, 230, 4, ((KICK, (0, 2)), (SNARE, (1, 3))), ((1, 3), E4), ((0, 2),), 1.0),
    "bossa nova": Style(120, 160, 4, ((KICK, (0, 1.5, 2, 3.5)), (SIDE_STICK, (0, 1.5, 3)), (CLOSED_HAT, E4)), ((0, 1.5, 3), (0, 1.5, 2.5)), ((0, 1.5, 2, 3.5),), 1.0),
    "ska": Style(130, 180, 4, ((KICK, (1, 3)), (SNARE, (1, 3)), (CLOSED_HAT, E4)), (_every(1, 4, 0.5),), (Q4,), 1.0),
    "twelve eight": Style(52, 80, 4, ((KICK, (0, 2)), (SNARE, (1, 3)), (CLOSED_HAT, _every(1 / 3, 4))), (_every(1 / 3, 4), (0,)), ((0, 2), (0, 0.67, 2)), 1 / 3),
    "soft ballad": Style(54, 84, 4, ((KICK, (0, 2)), (SIDE_STICK, (1, 3))), ((0,), (0, 2)), ((0, 2),), 1.0),
    "ballad swing": Style(56, 110, 4, ((RIDE, (0, 1, 1.5, 2, 3, 3.5)), (PEDAL_HAT, (1, 3))), ((0, 1.5), (1.5, 3)), (Q4, (0, 2)), 0.5, 0.66),
    "up-tempo swing": Style(200, 235, 4, ((RIDE, (0, 1, 1.5, 2, 3, 3.5)), (PEDAL_HAT, (1, 3))), ((0, 1.5), (1.5,), (0.5, 2)), (Q4,), 0.5, 0.62),
    "tango": Style(108, 132, 4, (), (Q4, (0, 1.5, 2, 3)), (Q4, (0, 1.5, 3)), 0.5),
    "running notes": Style(72, 126, 4, (), (S4, E4), (E4, Q4), 0.25),
    "reel": Style(96, 126, 2, (), ((0, 1), (0,)), ((0, 1), (0,)), 0.25),
    "jig": Style(100, 132, 2, (), ((0, 1), (0,)), ((0,), (0, 1)), 1 / 3),
    "ragtime": Style(80, 108, 2, (), ((0.5, 1.5),), ((0, 1),), 0.25),
    "pad": Style(60, 120, 4, ((KICK, (0, 2)), (CLOSED_HAT, E4)), ((0,),), ((0,),), 1.0),
}  # fmt: skip
"""Grooves of which only tempi are learned: those whose level is easily mistaken."""
LEFT_OUT_STYLES: dict[str, Style] = {
    "funk": Style(88, 118, 4, ((KICK, (0, 0.75, 2.5)), (SNARE, (1, 3)), (CLOSED_HAT, S4)), ((0, 0.75, 1.5, 3.5), (1.75, 3.75)), ((0, 0.75, 1.5, 2.5, 3.25),), 0.5),
    "polka": Style(104, 132, 2, ((KICK, (0, 1)), (SNARE, (0.5, 1.5))), ((0.5, 1.5),), ((0, 1),), 0.5),
    "cha-cha": Style(112, 132, 4, ((56, Q4), (63, (1, 3, 3.5)), (KICK, (0, 2))), ((1, 1.5, 3), (0, 1.5, 3)), ((0, 1.5, 3),), 1.0),
    "afrobeat": Style(100, 126, 4, ((KICK, (0, 1.5, 2)), (SNARE, (1, 2.75)), (CLOSED_HAT, E4)), ((0.5, 1.5, 2.5, 3.5), (0, 0.75, 1.5)), ((0, 0.5, 1.5, 2.5, 3),), 0.5),
    "slow rock": Style(64, 88, 4, ((KICK, (0, 0.5, 2.5)), (SNARE, (1, 3)), (CLOSED_HAT, E4)), ((0, 2), (0,)), ((0, 0.5, 2.5), E4), 1.0),
    "new wave": Style(140, 168, 4, ((KICK, (0, 2)), (SNARE, (1, 3)), (CLOSED_HAT, E4)), ((0,), (0, 2)), (E4,), 1.0),
    "two-step": Style(128, 138, 4, ((KICK, (0, 2.5)), (CLAP, (1, 3)), (CLOSED_HAT, (0.5, 1.5, 2.25, 2.5, 3.5))), ((0.75, 2.5), (0,)), ((0, 1.75, 2.5),), 0.5),
    "dancehall": Style(88, 104, 4, ((KICK, (0, 1.5, 3)), (SNARE, (1.5, 3.5)), (CLOSED_HAT, Q4)), ((1, 3), _every(1, 4, 0.5)), ((0, 1.5, 3),), 0.5),
    "cumbia": Style(84, 106, 2, ((73, (0, 0.5, 0.75, 1, 1.5, 1.75)), (KICK, (0, 1)), (63, (0.5, 1.5))), ((0.5, 1.5),), ((0, 0.5, 1),), 0.5),
    "synthwave": Style(84, 118, 4, ((KICK, Q4), (SNARE, (1, 3))), ((0,), (0, 1.5)), (S4, E4), 1.0),
    "surf": Style(150, 178, 4, ((KICK, (0, 2, 2.5)), (SNARE, (1, 1.5, 3)), (RIDE, E4)), (E4, (0, 2)), (E4, (0, 2)), 1.0),
    "boogie": Style(120, 176, 4, ((KICK, (0, 2)), (SNARE, (1, 3)), (RIDE, E4)), ((0, 1.5), Q4), (E4,), 0.5, 0.66),
    "zouk": Style(88, 112, 4, ((KICK, Q4), (SIDE_STICK, (0.75, 1.5, 2.75, 3.5)), (CLOSED_HAT, S4)), ((0, 1.5, 3), (0,)), ((0, 0.75, 1.5, 2, 2.75, 3.5), (0, 1.5)), 0.5),
    "slow waltz": Style(66, 96, 3, ((KICK, (0,)), (SNARE, (1, 2)), (CLOSED_HAT, _every(0.5, 3))), ((0,), (0, 1, 2)), ((0,), (0, 2)), 0.5),
    "lullaby": Style(72, 108, 3, (), (_every(0.5, 3), (0, 1, 2)), ((0,),), 1.0),
    "hymn": Style(64, 96, 4, (), (Q4,), (Q4, (0, 2)), 1.0),
    "fingerpicking": Style(84, 126, 4, (), (E4,), ((0, 2), Q4), 0.5),
    "allegro": Style(116, 152, 4, (), (E4, Q4), (Q4, E4), 0.5),
    "pavane": Style(54, 76, 4, (), ((0, 2), Q4), ((0,), (0, 2)), 0.5),
    "six-eight march": Style(104, 126, 2, ((KICK, (0, 1)), (SNARE, (0, 0.67, 1, 1.33, 1.67))), ((0.67, 1.67), (0, 1)), ((0, 1),), 1 / 3),
}  # fmt: skip
"""Grooves of which nothing is learned: benchmarks/real.py grades on them."""
NAMED = STYLES | MORE_STYLES | LEFT_OUT_STYLES
UNBROKEN = [n for n, s in NAMED.items() if n not in MORE_STYLES and all(len(places) < 6 for places in s.comping)]
"""Styles whose chords are never broken into single notes."""
HATS = (CLOSED_HAT, RIDE, OPEN_HAT)
HAT_STEPS = (0.25, 0.5, 0.5, 1.0)
DRAWN = "drawn"


def _with_other_hats(style: Style, rng: np.random.Generator) -> Style:
    """The groove with even hats of another pace: how fast they go says little about the beat."""
    if style.swing != 0.5 or style.bar == 3 or not style.drums:
        return style
    paced = _every(float(rng.choice(HAT_STEPS)), style.bar)
    kept = tuple((drum, paced if drum in HATS else places) for drum, places in style.drums)
    return replace(style, drums=kept)


def drawn_style(rng: np.random.Generator) -> Style:
    """A groove that no name is known for: how a bar is filled is drawn, as fast as hands and ears allow."""
    bpm = float(np.clip(np.exp(rng.normal(np.log(112), 0.36)), 46, 220))
    bar = int(rng.choice((4, 4, 4, 4, 2, 3)))
    fits = [step for step in (0.25, 1 / 3, 0.5, 1.0, 2.0) if bar % step < 1e-6 and 0.8 <= bpm / 60 / step <= 8.5]
    step = float(rng.choice(fits))
    grid = _every(step if step < 1 else 0.5, bar)
    parts = {name: [_rhythm(rng, grid, bar) for _ in range(2)] for name in ("comping", "bass")}
    swing = float(rng.uniform(0.56, 0.68)) if step == 0.5 and rng.random() < 0.25 else 0.5
    drums = _drawn_drums(rng, bpm, bar, step, grid) if rng.random() < 0.75 else ()
    melody = float(rng.choice([s for s in (0.25, 1 / 3, 0.5, 1.0) if bpm / 60 / s <= 6.0]))
    return Style(bpm / 1.06, bpm * 1.06, bar, drums, tuple(parts["comping"]), tuple(parts["bass"]), melody, swing)


def _rhythm(rng: np.random.Generator, grid: tuple[float, ...], bar: int) -> tuple[float, ...]:
    """The bar's first beat and some of the grid: all of it, beats alone, or any; rarely the beats' other halves."""
    kind = rng.random()
    if kind < 0.25:
        return grid
    if kind < 0.5:
        return _every(float(rng.choice((1, 2))) if bar % 2 == 0 else 1.0, bar)
    if kind < 0.6:
        return _every(1, bar, 0.5)
    return tuple(place for place in grid if place == 0 or rng.random() < (0.5 if place % 1 == 0 else 0.25))


def _drawn_drums(
    rng: np.random.Generator, bpm: float, bar: int, step: float, grid: tuple[float, ...]
) -> tuple[tuple[int, tuple[float, ...]], ...]:
    kind, snare = rng.random(), int(rng.choice((SNARE, SNARE, SIDE_STICK, CLAP)))
    kick = tuple(p for p in grid if p == 0 or rng.random() < (0.35 if p == bar / 2 else 0.12 if p % 1 else 0.05))
    back = (1.0, 2.0) if bar == 3 else (1.0,) if bar == 2 else (1.0, 3.0)
    if kind < 0.2:
        kick = _every(1, bar)
    elif kind < 0.3 and bar == 4 and bpm > 115:
        back = (2.0,)
    elif kind < 0.4 and bar == 2 and bpm < 135:
        kick, back = _every(1, bar), _every(1, bar, 0.5)
    elif kind < 0.5:
        back = tuple(sorted({*back, *(p for p in grid if p % 1 and rng.random() < 0.2)}))
    hats = _every(step, bar, 0.5 if step == 1.0 and rng.random() < 0.4 else 0.0)
    drums = ((kick, KICK), (back, snare), (hats, int(rng.choice(HATS))))
    return tuple((drum, places) for k, (places, drum) in enumerate(drums) if rng.random() < (0.9, 0.9, 0.85)[k])


@dataclass(frozen=True)
class BandClip:
    """A clip with its truth."""

    samples: np.ndarray
    """float32, mono, 44.1 kHz."""
    style: str
    tempo_bpm: float
    beats_per_bar: int
    beats_s: list[float]
    families: list[str]
    """Of FAMILIES, and `drums`: every part that sounds."""
    has_drums: bool
    key: str | None
    """`Eb major`; None without chords that begin on the tonic: notes of a scale alone have no key."""
    parts: tuple[str, ...]
    """Of chords, bass, melody: those that sound."""

    @property
    def texture(self) -> str | None:
        """Chords that sound as chords, or a melody alone; None for what is neither: a bass that spells chords out."""
        if "chords" in self.parts:
            return "chords" if self.style in UNBROKEN else None
        return "melody" if self.parts == ("melody",) else None


@dataclass
class Band:
    """Draws parts of a style and plays them."""

    rng: np.random.Generator
    events: list[Event] = field(default_factory=list)

    def play(self, name: str, duration_s: float, *, drums: bool | None = None, parts: Sequence[str] | None = None, varied: bool = False) -> BandClip:  # fmt: skip
        """Play a style; `parts` of chords, bass, melody that sound, or drawn ones; `varied`: some with other hats.

        DRAWN is a style that is drawn for this clip.
        """
        rng = self.rng
        style = drawn_style(rng) if name == DRAWN else NAMED[name]
        if varied and rng.random() < 0.3:
            style = _with_other_hats(style, rng)
        bpm = float(np.exp(rng.uniform(np.log(style.low_bpm), np.log(style.high_bpm))))
        beats = self._beats(bpm, duration_s)
        with_drums = bool(style.drums) and (rng.random() < 0.8 if drums is None else drums)
        drawn = [p for p, share in (("chords", 0.85), ("bass", 0.75), ("melody", 0.7)) if rng.random() < share]
        sounding = list(parts) if parts is not None else drawn or ([] if with_drums else ["chords"])
        families = ["drums"] if with_drums else []
        if with_drums:
            self._drums(style, beats)
        mode: Mode = "major" if rng.random() < 0.6 else "minor"
        harmony = (int(rng.integers(-5, 7)), SCALE[mode], PROGRESSIONS[rng.integers(len(PROGRESSIONS))])
        for channel, part in enumerate(sounding):
            group = {"chords": CHORDAL, "bass": ("bass",), "melody": MELODIC}[part]
            family = group[rng.integers(len(group))]
            families.append(family)
            program = int(rng.choice(FAMILIES[family]))
            getattr(self, f"_{part}")(style, beats, harmony, channel, program)
        events = sorted(self.events, key=lambda e: (e.time_s, e.is_on))
        samples = _placed(synthesise(events, duration_s), rng)
        played = [float(t) for t in beats if t < duration_s]
        is_keyed = "chords" in sounding and harmony[2][0] == 0
        key = f"{spell_tonic(harmony[0], mode)} {mode}" if is_keyed else None
        names = sorted(set(families))
        return BandClip(samples, name, bpm, style.bar, played, names, with_drums, key, tuple(sounding))

    def _beats(self, bpm: float, duration_s: float) -> np.ndarray:
        drift = self.rng.normal(0, 0.004) if self.rng.random() < 0.7 else self.rng.normal(0, 0.02)
        step = 60 / bpm * np.exp(np.cumsum(self.rng.normal(0, abs(drift) / 4, int(duration_s * bpm / 60) + 12)))
        step *= 60 / bpm / np.median(step)
        return self.rng.uniform(0.05, 0.8) + np.cumsum(step) - step[0]

    def _at(self, style: Style, beats: np.ndarray, place: float) -> float:
        whole, part = int(place), place - int(place)
        if style.swing != 0.5:
            part = part * 2 * style.swing if part <= 0.5 else style.swing + (part - 0.5) * 2 * (1 - style.swing)
        if whole + 1 >= len(beats):
            return float(beats[-1]) + 1.0
        return float(beats[whole] + part * (beats[whole + 1] - beats[whole]))

    def _note(self, start_s: float, length_s: float, channel: int, program: int, pitch: int, velocity: float) -> None:
        start_s = max(0.0, start_s + float(self.rng.normal(0, 0.005)))
        loud = int(np.clip(velocity + self.rng.normal(0, 6), 25, 126))
        on = Event(time_s=start_s, is_on=True, channel=channel, program=program, pitch=pitch, velocity=loud)
        off = Event(time_s=start_s + max(0.04, length_s), is_on=False, channel=channel, program=program, pitch=pitch, velocity=0)  # fmt: skip
        self.events += [on, off]

    def _drums(self, style: Style, beats: np.ndarray) -> None:
        level, kept = self.rng.uniform(60, 105), [h for h in style.drums if self.rng.random() < 0.93] or style.drums[:1]
        for bar in range(len(beats) // style.bar):
            for drum, places in kept:
                for place in places:
                    if self.rng.random() < 0.96:
                        weak = 0.75 if drum in (CLOSED_HAT, RIDE) and place % 1 else 1.0
                        self._note(self._at(style, beats, bar * style.bar + place), 0.1, DRUM_CHANNEL, 0, drum, level * weak)  # fmt: skip

    def _chords(self, style: Style, beats: np.ndarray, harmony: tuple, channel: int, program: int) -> None:
        tonic, scale, progression = harmony
        places, low = style.comping[self.rng.integers(len(style.comping))], int(self.rng.integers(50, 60))
        held, broken = self.rng.uniform(0.3, 0.98), len(places) >= 6 and self.rng.random() < 0.7
        slow = 2 if self.rng.random() < 0.2 else 1
        for bar in range(len(beats) // style.bar):
            degree = progression[(bar // slow) % len(progression)]
            notes = [low + (tonic + scale[(degree + s) % 7] - low) % 12 for s in (0, 2, 4)]
            for k, place in enumerate(places):
                start_s = self._at(style, beats, bar * style.bar + place)
                end = places[k + 1] if k + 1 < len(places) else style.bar
                length_s = (self._at(style, beats, bar * style.bar + end) - start_s) * held
                for note in [sorted(notes)[k % 3]] if broken else notes:
                    self._note(start_s, length_s, channel, program, note, 72)

    def _bass(self, style: Style, beats: np.ndarray, harmony: tuple, channel: int, program: int) -> None:
        tonic, scale, progression = harmony
        places = style.bass[self.rng.integers(len(style.bass))]
        for bar in range(len(beats) // style.bar):
            degree = progression[bar % len(progression)]
            for k, place in enumerate(places):
                step = 0 if k == 0 else int(self.rng.choice((0, 0, 2, 4)))
                pitch = 31 + (tonic + scale[(degree + step) % 7] - 31) % 12
                start_s = self._at(style, beats, bar * style.bar + place)
                end = places[k + 1] if k + 1 < len(places) else style.bar
                length_s = (self._at(style, beats, bar * style.bar + end) - start_s) * 0.85
                self._note(start_s, length_s, channel, program, pitch, 92)

    def _melody(self, style: Style, beats: np.ndarray, harmony: tuple, channel: int, program: int) -> None:
        tonic, scale, _ = harmony
        low, place, step = int(self.rng.integers(55, 76)), 0.0, 7
        while place < len(beats) - 2:
            length = style.melody_step * float(self.rng.choice((1, 1, 2, 2, 4)))
            step = int(np.clip(step + self.rng.choice((-2, -1, -1, 0, 1, 1, 2, 4, -3)), 0, 13))
            if self.rng.random() < 0.85:
                start_s = self._at(style, beats, place)
                pitch = low + (tonic - low) % 12 - 6 + scale[step % 7] + 12 * (step // 7) - 6
                self._note(start_s, (self._at(style, beats, place + length) - start_s) * 0.9, channel, program, pitch, 88)  # fmt: skip
            place += length


def _placed(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """In a room, with a tilted spectrum, at some level."""
    from scipy.signal import fftconvolve, lfilter

    if rng.random() < 0.7:
        seconds = rng.uniform(0.2, 1.6)
        tail = rng.normal(0, 1, round(seconds * RATE_HZ)) * np.exp(-6.9 * np.linspace(0, 1, round(seconds * RATE_HZ)))
        wet = fftconvolve(samples, tail / np.sqrt(np.square(tail).sum()))[: len(samples)]
        samples = samples + rng.uniform(0.05, 0.6) * wet
    slope = rng.uniform(-0.5, 0.5)
    samples = lfilter([1, -slope], [1], samples) if slope > 0 else lfilter([1 + slope], [1, slope], samples)
    samples = samples / max(np.abs(samples).max(), 1e-6) * rng.uniform(0.15, 0.9)
    return (samples + rng.normal(0, 10 ** rng.uniform(-5, -3), len(samples))).astype(np.float32)
