"""Dynamics by EBU R128 short-term loudness (3 s, every 100 ms; ITU-R BS.1770-4, EBU Tech 3341)."""

from dataclasses import dataclass

import numpy as np

from music_flamingo.audio.loudness import k_weighting
from music_flamingo.mir import RATE_HZ, NothingFoundError, Signal
from music_flamingo.records import Dynamics

STEP = RATE_HZ // 10
BLOCK = 20 * STEP
"""Filtered at once: samples in double precision take room."""
WINDOW_S, WINDOW_STEPS = 3.0, 30
GATE_LUFS = -70.0
TOOL, VERSION = "ebu_r128", "BS.1770-4"


@dataclass(frozen=True)
class LoudnessDynamics:
    """Measures range and trend of short-term loudness (dB)."""

    trend_db: float
    """A straight line through the loudness must rise or fall by this much from end to end to be called a trend."""

    def measure(self, signal: Signal) -> Dynamics:
        """Raises NothingFoundError for what is shorter than 3 s or silent."""
        loudness = short_term_loudness(signal.samples)
        loudness = loudness[loudness > GATE_LUFS]
        if not len(loudness):
            raise NothingFoundError(f"no {WINDOW_S:.0f} s louder than {GATE_LUFS:.0f} LUFS")
        low, high = np.percentile(loudness, [10, 95])
        change_db = _change(loudness)
        steady = abs(change_db) < self.trend_db
        return Dynamics(
            tool=TOOL,
            tool_version=VERSION,
            # how clear of the border between a trend and none
            confidence=round(min(1.0, abs(abs(change_db) - self.trend_db) / self.trend_db), 4),
            range_db=round(float(high - low), 2),
            trend="steady" if steady else ("rising" if change_db > 0 else "falling"),
        )


def short_term_loudness(samples: np.ndarray) -> np.ndarray:
    """LUFS of every window of 3 s, ten a second. Empty for less than 3 s."""
    from scipy.signal import sosfilt

    sections = k_weighting(RATE_HZ)
    state, parts = np.zeros((len(sections), 2)), []
    for start in range(0, len(samples) // STEP * STEP, BLOCK):
        block = samples[start : min(start + BLOCK, len(samples) // STEP * STEP)]
        weighted, state = sosfilt(sections, block.astype(np.float64), zi=state)
        parts.append(np.square(weighted).reshape(-1, STEP).mean(axis=1))
    steps = np.concatenate(parts) if parts else np.zeros(0)
    if len(steps) < WINDOW_STEPS:
        return np.zeros(0)
    power = np.convolve(steps, np.ones(WINDOW_STEPS) / WINDOW_STEPS, mode="valid")
    return -0.691 + 10 * np.log10(np.maximum(power, 1e-12))


def _change(loudness: np.ndarray) -> float:
    """From beginning to end of the straight line of least squares."""
    if len(loudness) < 2:
        return 0.0
    return float(np.polyfit(np.linspace(0, 1, len(loudness)), loudness, 1)[0])
