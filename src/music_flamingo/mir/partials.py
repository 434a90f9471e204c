"""Detect pitched sound: count the partials that hold their frequency, in the spectrum that harmony is read from.

A partial is a narrow peak of the weakest of three frames (.3 s). Drums, clicks, noise, barks and speech leave few or
none: their peaks move or die; notes of instruments and sung notes leave ten or more. A pure tone leaves one, and that
one holds nearly all of the power: both are given.
"""

import numpy as np
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from music_flamingo.mir import Signal
from music_flamingo.mir.tonal import tonal

HELD_FRAMES = 3
LOWEST_BIN, HIGHEST_BIN = 12, 500
"""65 Hz to 2.7 kHz."""
PEAK_BINS, AROUND_BINS = 5, 41
EVERY_FRAME, EVERY_BIN = 2, 6
"""Held partials are counted in every second frame; the median around a bin is taken at every sixth."""
ABOVE_AROUND = 4.0
"""A peak stands this many times above the median of the bins around it."""
AUDIBLE_SHARE = 0.05
"""Frames softer than this share of the loudest count for nothing."""


def held_partials(signal: Signal) -> tuple[float, float]:
    """(mean number of held partials in the audible frames, their mean share of the power)."""
    magnitudes = signal.shared(tonal).magnitudes
    level = np.sqrt(np.einsum("tf,tf->t", magnitudes, magnitudes))
    audible = np.flatnonzero(level > level.max() * AUDIBLE_SHARE)[::EVERY_FRAME]
    if not len(audible):
        return 0.0, 0.0
    held = minimum_filter1d(magnitudes, HELD_FRAMES, axis=0)[audible, LOWEST_BIN:HIGHEST_BIN]
    is_peak = (held > ABOVE_AROUND * _around(held)) & (held == maximum_filter1d(held, PEAK_BINS, axis=1))
    near = maximum_filter1d(is_peak.astype(np.uint8), PEAK_BINS, axis=1).astype(bool)
    power = np.square(magnitudes[audible, LOWEST_BIN:HIGHEST_BIN]).sum(axis=1)
    share = np.square(np.where(near, held, 0)).sum(axis=1) / np.maximum(power, 1e-12)
    return round(float(is_peak.sum(axis=1).mean()), 2), round(min(1.0, float(share.mean())), 4)


def _around(held: np.ndarray) -> np.ndarray:
    """The median of the bins around each bin, the same for EVERY_BIN neighbours. Shape (T, F)."""
    reach, bins = AROUND_BINS // 2, held.shape[1]
    padded = np.pad(held, ((0, 0), (reach, reach + EVERY_BIN)), mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, AROUND_BINS, axis=1)[:, EVERY_BIN // 2 :: EVERY_BIN]
    medians = np.partition(windows, reach, axis=2)[:, :, reach]
    return np.asarray(np.repeat(medians, EVERY_BIN, axis=1)[:, :bins])
