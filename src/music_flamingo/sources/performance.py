"""Performance parameters of a score: instruments, tempo, key, drums, start."""

from dataclasses import dataclass
from typing import Literal

FAMILIES = {
    "piano": (0, 1, 2, 4),
    "strings": (40, 41, 42, 48, 49),
    "winds": (56, 57, 60, 65, 68, 71, 73),
    "plucked": (24, 25, 27, 46, 105, 107),
    "organ": (16, 19, 20, 21),
}
"""General MIDI programs, counted from 0, that sound like their family in TimGM6mb."""
DECAYING = ("piano", "plucked")
SUSTAINED = ("strings", "winds", "organ")


@dataclass(frozen=True)
class Performance:
    """How a score is played."""

    tempo_bpm: float
    """Of the tactus: the beat one taps, a dotted quarter in 6/8."""
    transpose: int
    """Semitones."""
    programs: tuple[int, ...]
    """General MIDI programs of the parts in turn, the leading part first."""
    texture: Literal["melody", "chords"]
    """The top line of the first part alone; or all parts, a melody being given chords."""
    drums: Literal["none", "kit", "congas"]
    comping: Literal["held", "beats"]
    """A melody's chords: held triads in the lead's family, or piano on the beats with a bass."""
    start_q: float
    """Where in the score the recording begins; from the end on, the score repeats."""
    lead_in_s: float
    """Silence before the first note."""
    duration_s: float
    timing_jitter_s: float
    velocity_jitter: int
    drum_level: float = 1.0


def tactus_quarters(meter: str) -> float:
    """Length of the beat one taps: compound meters by threes; alla breve is counted in quarters at these tempi."""
    count, unit = map(int, meter.split("/"))
    if unit >= 8 and count % 3 == 0 and count > 3:
        return 12.0 / unit
    return 1.0 if (count, unit) == (2, 2) else 4.0 / unit


def family_of(program: int) -> str:
    """The instrument family of a General MIDI program; other keyboards, voices and ethnic instruments by their bank."""
    for name, programs in FAMILIES.items():
        if program in programs:
            return name
    banks = ("piano", "piano", "organ", "plucked", "plucked", "strings", "strings", "winds", "winds", "winds")
    return banks[program // 8] if program < 80 else ("plucked" if 104 <= program < 108 else "strings")
