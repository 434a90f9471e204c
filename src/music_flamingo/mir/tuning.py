"""Estimate how far a recording's tuning is from A = 440 Hz, in the spectrum that harmony is read from.

Peaks of the spectrum lie on a grid of semitones. Their distances from it are averaged as angles (a semitone is a full
turn), each peak by its height. Voices and slides lie everywhere: then the mean is short, and no tuning is said.
"""

import numpy as np

A_HZ = 440.0
LOWEST_BIN_HZ, HIGHEST_BIN_HZ = 180.0, 2000.0
"""Below, a bin of 5.4 Hz is half a semitone; above, partials of pianos and bells are sharp."""
ABOVE_MEAN = 3.0
"""A peak stands this many times above the mean of its frame."""
LEAST_AGREEMENT = 0.15
"""Length of the mean angle, 0 to 1, from which on a tuning is said: more where few peaks agree by chance."""
GRID_CENTS = 4.0
"""Tunings are rounded to this."""
NEAR_CENTS = 12.0
"""Networks were trained on tunings as near as this."""
BETWEEN_FROM_CENTS = 38.0
"""From here to 50 cents two semitones are nearly as near: a key's name may be either."""


def tuning_cents(magnitudes: np.ndarray, hz_per_bin: float) -> float:
    """Cents above 440 Hz's grid, between -50 and 50. Of spectra (T, F); 0 where nothing agrees on a tuning."""
    first, last = int(LOWEST_BIN_HZ / hz_per_bin), min(int(HIGHEST_BIN_HZ / hz_per_bin), magnitudes.shape[1] - 1)
    middle = magnitudes[:, first:last]
    left, right = magnitudes[:, first - 1 : last - 1], magnitudes[:, first + 1 : last + 1]
    stands_out = (middle > left) & (middle >= right) & (middle > ABOVE_MEAN * middle.mean(axis=1, keepdims=True))
    frames, bins = np.nonzero(stands_out)
    if not len(frames):
        return 0.0
    low, height, high = (np.log(part[frames, bins] + 1e-9) for part in (left, middle, right))
    off = 0.5 * (low - high) / np.minimum(low - 2 * height + high, -1e-9)
    semitones = 12 * np.log2((bins + first + off) * hz_per_bin / A_HZ)
    weights = np.sqrt(middle[frames, bins])
    mean = (weights * np.exp(2j * np.pi * semitones)).sum() / weights.sum()
    if abs(mean) < LEAST_AGREEMENT + 2 / np.sqrt(len(frames)):
        return 0.0
    cents = float(np.angle(mean) / (2 * np.pi) * 100)
    return float(np.clip(round(cents / GRID_CENTS) * GRID_CENTS, -50, 50))


def reference_hz(cents: float) -> float:
    """The frequency of A in a recording that is tuned so."""
    return A_HZ * float(2 ** (cents / 1200))


def in_tune(magnitudes: np.ndarray, cents: float) -> np.ndarray:
    """The spectra (T, F) as if A were at 440 Hz: bins read where the tuning has moved them, between two by a line."""
    if abs(cents) < NEAR_CENTS:
        return magnitudes
    places = np.minimum(np.arange(magnitudes.shape[1]) * 2 ** (cents / 1200), magnitudes.shape[1] - 1.001)
    below = places.astype(int)
    share = (places - below).astype(np.float32)
    return np.asarray(magnitudes[:, below] * (1 - share) + magnitudes[:, below + 1] * share)


def named_surely(cents: float) -> float:
    """How much of a confidence is left to a key's name: all of it near the grid, half of it between two semitones."""
    return 1 - 0.5 * min(1.0, max(0.0, abs(cents) - BETWEEN_FROM_CENTS) / (50 - BETWEEN_FROM_CENTS))
