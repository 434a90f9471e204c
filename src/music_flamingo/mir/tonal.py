"""The high-resolution spectrum shared by all tools for harmony and timbre, computed once.

T frames, 10 a second, of 186 ms; F bins of 5.4 Hz up to 5 kHz.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from music_flamingo.mir import RATE_HZ, Signal
from music_flamingo.mir.spectrum import magnitudes
from music_flamingo.mir.tuning import reference_hz, tuning_cents

FRAME_SIZE, FRAMES_PER_S = 8192, 10
HOP_SIZE = RATE_HZ // FRAMES_PER_S
HIGHEST_HZ = 5000.0
NUM_BINS = int(HIGHEST_HZ * FRAME_SIZE / RATE_HZ) + 1
LOWEST_CHROMA_HZ, HIGHEST_CHROMA_HZ = 65.0, 2100.0
COLOUR_BANDS, COLOUR_LOWEST_HZ, COLOUR_HIGHEST_HZ = 24, 100.0, 11000.0


@dataclass(frozen=True)
class Tonal:
    """Looks at one recording."""

    magnitudes: np.ndarray
    """float32, shape (T, F)."""
    colour_db: np.ndarray
    """Level in bands of even musical width up to 11 kHz: timbre. Shape (T, COLOUR_BANDS)."""
    chroma: np.ndarray
    """Strength of the 12 pitch classes, from C on: square roots of magnitudes, so that no partial drowns the rest.
    Shape (T, 12)."""
    tuning_cents: float
    """Of the recording against A at 440 Hz; the pitch classes are shifted by it."""


def tonal(signal: Signal) -> Tonal:
    """Use it as `signal.shared(tonal)`."""
    edges = np.geomspace(COLOUR_LOWEST_HZ, COLOUR_HIGHEST_HZ, COLOUR_BANDS + 1) * FRAME_SIZE / RATE_HZ
    starts = np.round(edges).astype(int)
    heard, colours = [], []
    for block in magnitudes(signal.samples, FRAME_SIZE, HOP_SIZE):
        heard.append(block[:, :NUM_BINS].copy())
        power = np.square(block[:, : starts[-1]])
        colours.append(np.add.reduceat(power, starts[:-1], axis=1))
    cents = tuning_cents(np.concatenate(heard), RATE_HZ / FRAME_SIZE)
    bank = _chroma_bank(cents)
    return Tonal(
        np.concatenate(heard),
        (10 * np.log10(np.concatenate(colours) + 1e-6)).astype(np.float32),
        np.concatenate([np.sqrt(block) @ bank for block in heard]),
        cents,
    )


@lru_cache(maxsize=32)
def _chroma_bank(cents: float) -> np.ndarray:
    """Each bin counts for the pitch class it lies next to, less the further it is off. Shape (F, 12)."""
    hz = np.arange(1, NUM_BINS) * RATE_HZ / FRAME_SIZE
    semitones = 12 * np.log2(hz / reference_hz(cents)) + 9  # C is 0
    distance = (semitones[:, None] - np.arange(12) + 6) % 12 - 6
    bank = np.maximum(0, 1 - np.abs(distance))
    bank[(hz < LOWEST_CHROMA_HZ) | (hz > HIGHEST_CHROMA_HZ)] = 0
    bank /= np.maximum(hz[:, None], 1.0)  # as many bins as there are to a semitone at this height weigh as one
    return np.vstack([np.zeros(12), bank * 440]).astype(np.float32)
