"""Secondary tempo estimator: autocorrelation of the onset strength that beat tracking computed."""

from dataclasses import dataclass

import numpy as np

from music_flamingo.mir import NothingFoundError, Signal
from music_flamingo.mir.opinions import tempo_agreement
from music_flamingo.mir.pulse import FRAMES_PER_S, onsets
from music_flamingo.records import Opinion, Tempo

MIDDLE_BPM, SPREAD_OCTAVES = 110.0, 0.9
"""Tempi near the middle are likelier: the prior of the librosa and Ellis trackers, a little wider."""
MIN_SECONDS = 4.0


@dataclass(frozen=True)
class OnsetTempo:
    """Estimates the tempo between `min_bpm` and `max_bpm`."""

    min_bpm: float
    max_bpm: float

    def judge(self, signal: Signal, fact: Tempo) -> Opinion:
        """Estimate the tempo and compare it with the fact."""
        bpm = self.estimate(signal)
        agrees = tempo_agreement(fact.bpm, bpm)
        return Opinion(tool="onset_autocorrelation", tool_version="1", value=f"{bpm:.1f} BPM", agrees=agrees)

    def estimate(self, signal: Signal) -> float:
        """Beats a minute. Raises NothingFoundError for what is too short or never rises."""
        rises = signal.shared(onsets)[:, 0]
        rises = np.sqrt(np.maximum(rises - rises.mean(), 0))
        rises = rises - rises.mean()
        if len(rises) < MIN_SECONDS * FRAMES_PER_S or not rises.any():
            raise NothingFoundError("no rises of level that could repeat themselves")
        likeness = _autocorrelation(rises)
        shortest, longest = (60 * FRAMES_PER_S / bpm for bpm in (self.max_bpm, self.min_bpm))
        lags = np.arange(int(np.ceil(shortest)), min(int(longest), len(likeness) // 4) + 1)
        # a beat also repeats after two and after four
        comb = likeness[lags] + 0.5 * likeness[2 * lags] + 0.25 * likeness[4 * lags - 1]
        octaves = np.log2(60 * FRAMES_PER_S / lags / MIDDLE_BPM)
        best = int((np.maximum(comb, 0) * np.exp(-0.5 * (octaves / SPREAD_OCTAVES) ** 2)).argmax())
        return float(60 * FRAMES_PER_S / (lags[best] + _parabola(likeness, int(lags[best]))))


def _autocorrelation(values: np.ndarray) -> np.ndarray:
    """By lag, from 0 on, 1 at 0."""
    import scipy.fft

    size = scipy.fft.next_fast_len(2 * len(values), real=True)
    power = np.abs(scipy.fft.rfft(values, size)) ** 2
    likeness = scipy.fft.irfft(power, size)[: len(values)] / np.arange(len(values), 0, -1)
    return np.asarray(likeness / likeness[0])


def _parabola(likeness: np.ndarray, lag: int) -> float:
    """How far the peak lies from `lag`, between -0.5 and 0.5."""
    left, middle, right = likeness[lag - 1 : lag + 2]
    bend = left - 2 * middle + right
    return float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) if bend < 0 else 0.0
