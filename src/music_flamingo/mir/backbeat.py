"""Kick and snare at a tempo: how strongly they recur at every beat and at every second one, and whether in turn.

At the level at which a drummer counts, kick and snare alternate: both recur at half the beat's rate, in opposite
phase. Half as fast they do not, twice as fast there is nothing between them. Measured by Fourier transforms of the
rises of level (mir.pulse.onsets) in windows of 12 s.

T frames, 100 a second; W windows; S series of rises; C candidate tempi.
"""

import numpy as np

from music_flamingo.mir.pulse import FRAMES_PER_S

WINDOW_FRAMES = 12 * FRAMES_PER_S
TRANSFORM = 8192
RATES = (0.5, 1.0)
"""Of the beat's rate: every second beat, every beat."""
TOLERANCE = 0.015
LOW, MIDDLE, SNARE = 2, 3, 4
"""Columns of the rises: below 160 Hz, up to 1500 Hz, up to 5 kHz."""
NUM_FEATURES = 4 * len(RATES)


def backbeat(loud: np.ndarray, tempi: np.ndarray) -> np.ndarray:
    """(T, S) roots of rises, (C,) in BPM -> at each rate: kick and snare in phase, snare, kick, middle. (C, 8)."""
    spectra, power = _spectra(loud)
    rows = [[value for rate in RATES for value in _at(spectra, power, tempo / 60 * rate)] for tempo in tempi]
    return np.array(rows)


def _spectra(loud: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(W, TRANSFORM // 2 + 1, S), and what a series that is all one frequency would reach there (S,)."""
    last = max(len(loud) - WINDOW_FRAMES, 0)
    starts = sorted({*range(0, last + 1, WINDOW_FRAMES // 2), last})
    parts = [loud[start : start + WINDOW_FRAMES] for start in starts]
    parts = [(part - part.mean(axis=0)) * np.hanning(len(part))[:, None] for part in parts]
    level = np.sqrt(np.mean([np.square(part).sum(axis=0) for part in parts], axis=0) * WINDOW_FRAMES / 2)
    return np.stack([np.fft.rfft(part, TRANSFORM, axis=0) for part in parts]), level + 1e-9


def _at(spectra: np.ndarray, level: np.ndarray, rate_hz: float) -> tuple[float, float, float, float]:
    """At the bin near a rate (Hz) where kick and snare are strongest together."""
    per_hz = TRANSFORM / FRAMES_PER_S
    first, last = int(rate_hz * (1 - TOLERANCE) * per_hz), int(np.ceil(rate_hz * (1 + TOLERANCE) * per_hz))
    near = spectra[:, first : last + 1]
    strength = (np.abs(near) / level).mean(axis=0)
    best = int((strength[:, SNARE] + strength[:, LOW]).argmax())
    together = (near[:, best, LOW] * near[:, best, SNARE].conj()).mean().real / (level[LOW] * level[SNARE])
    snare, low, middle = (float(strength[best, column]) for column in (SNARE, LOW, MIDDLE))
    return float(together), snare, low, middle
