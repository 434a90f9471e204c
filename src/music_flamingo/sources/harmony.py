"""Chords and keys from pitches, without a music library: labels in mir_eval's terms, verticals, a simple harmoniser."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

PITCH_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
QUALITIES = {
    "maj": frozenset({0, 4, 7}),
    "min": frozenset({0, 3, 7}),
    "7": frozenset({0, 4, 7, 10}),
    "maj7": frozenset({0, 4, 7, 11}),
    "min7": frozenset({0, 3, 7, 10}),
}
KRUMHANSL = {
    "major": (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    "minor": (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
}
"""Krumhansl and Kessler's probe-tone profiles (1982)."""
TRIADS = {
    "major": ((0, "maj"), (5, "maj"), (7, "maj"), (9, "min"), (2, "min")),
    "minor": ((0, "min"), (5, "min"), (7, "maj"), (8, "maj"), (10, "maj")),
}
"""What the harmoniser chooses from: degrees above the tonic, the plainest first."""


@dataclass(frozen=True)
class Harmony:
    """A chord over a segment of the score."""

    start_q: float
    end_q: float
    root: int | None
    """Pitch class; None where no clear chord sounds."""
    quality: str
    """A key of QUALITIES; `X` where no clear chord sounds."""
    pitch_classes: tuple[int, ...]

    def label(self, transpose: int) -> str:
        """mir_eval label after transposition: `F#:min7`, or `X`."""
        return "X" if self.root is None else f"{PITCH_NAMES[(self.root + transpose) % 12]}:{self.quality}"


def name_chord(pitch_classes: Iterable[int], bass: int) -> tuple[int | None, str]:
    """(root, quality) of exactly these pitch classes, or (None, "X").

    A minor seventh shares its notes with a sixth chord: it is read as the seventh, whatever its bass.
    """
    sounding = frozenset(pitch_classes)
    for root in sorted(sounding, key=lambda pc: (pc - bass) % 12):
        above = frozenset((pc - root) % 12 for pc in sounding)
        for quality, pattern in QUALITIES.items():
            if above == pattern:
                return root, quality
    return None, "X"


def chord_symbol_label(pitch_classes: Sequence[int], root: int) -> tuple[int | None, str, tuple[int, ...]]:
    """The fields of a Harmony for a printed chord symbol; sixths, ninths and the like count by their triad."""
    above = {(pc - root) % 12 for pc in pitch_classes}
    for quality in ("maj7", "7", "min7", "maj", "min"):
        if above >= QUALITIES[quality]:
            return root, quality, tuple(sorted(set(pitch_classes)))
    return None, "X", tuple(sorted(set(pitch_classes)))


def verticals(notes: Sequence[tuple[float, float, int]]) -> list[Harmony]:
    """What sounds together from each change of pitches to the next; equal neighbours are joined.

    `notes` are (start_q, end_q, MIDI pitch). Segments where nothing sounds are left out.
    """
    times = sorted({t for start, end, _ in notes for t in (start, end)})
    ordered = sorted(notes)
    found: list[Harmony] = []
    active: list[tuple[float, float, int]] = []
    position = 0
    for start, end in pairwise(times):
        while position < len(ordered) and ordered[position][0] <= start:
            active.append(ordered[position])
            position += 1
        active = [n for n in active if n[1] > start]
        if not active:
            continue
        pitches = [pitch for _, _, pitch in active]
        classes = tuple(sorted({p % 12 for p in pitches}))
        root, quality = name_chord(classes, min(pitches) % 12)
        last = found[-1] if found else None
        if last and last.end_q == start and (last.root, last.quality) == (root, quality):
            found[-1] = replace(last, end_q=end)
        else:
            found.append(Harmony(start, end, root, quality, classes))
    return found


def harmonise(
    melody: Sequence[tuple[float, float, int]], tonic: int, mode: str, pickup_q: float, step_q: float, length_q: float
) -> list[Harmony]:
    """One plain triad for each `step_q`: the one that holds most of the melody; the tonic wins ties."""
    chords: list[Harmony] = []
    start = pickup_q - step_q * np.ceil(pickup_q / step_q)
    while start < length_q - 1e-6:
        end = start + step_q
        weights = pitch_weights((max(a, start), min(b, end), p) for a, b, p in melody if min(b, end) > max(a, start))
        if weights.sum() > 0 and end > 0:
            degree, quality = _best_triad(weights, tonic, mode)
            root = (tonic + degree) % 12
            classes = tuple(sorted((root + i) % 12 for i in QUALITIES[quality]))
            chords.append(Harmony(max(start, 0.0), min(end, length_q), root, quality, classes))
        start = end
    return chords


def _best_triad(weights: np.ndarray, tonic: int, mode: str) -> tuple[int, str]:
    def held(triad: tuple[int, str]) -> float:
        degree, quality = triad
        return float(sum(weights[(tonic + degree + i) % 12] for i in QUALITIES[quality]))

    return max(TRIADS[mode], key=held)  # the first of equals: plainest first


def pitch_weights(notes: Iterable[tuple[float, float, int]]) -> np.ndarray:
    """How long each of the 12 pitch classes sounds. Shape (12,)."""
    weights = np.zeros(12)
    for start, end, pitch in notes:
        weights[pitch % 12] += end - start
    return weights


def find_key(weights: np.ndarray) -> tuple[int, str, float]:
    """(tonic, mode, correlation) by Krumhansl and Schmuckler's method."""
    if not weights.std():
        return 0, "major", 0.0
    scores = [
        (float(np.corrcoef(np.roll(profile, tonic), weights)[0, 1]), tonic, mode)
        for mode, profile in KRUMHANSL.items()
        for tonic in range(12)
    ]
    correlation, tonic, mode = max(scores)
    return tonic, mode, correlation
