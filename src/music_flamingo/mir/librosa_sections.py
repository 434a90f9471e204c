"""Sections by librosa: bottom-up clustering of neighbouring moments (McFee and Ellis, 2014), then equal letters for
sections that sound alike.

T moments, two a second; D features: 12 of harmony, 12 of timbre.
"""

import string
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from music_flamingo.core.errors import MissingToolError
from music_flamingo.mir import RATE_HZ, Signal
from music_flamingo.mir.spectrum import magnitudes
from music_flamingo.records import Sections, Segment

FRAME_SIZE = 4096
HOP_SIZE = RATE_HZ // 10
FRAMES_PER_MOMENT = 5
MOMENT_S = FRAMES_PER_MOMENT * HOP_SIZE / RATE_HZ
NUM_MELS, NUM_TIMBRE, NUM_CHROMA = 64, 12, 12
LEVEL = 0.1


@dataclass
class LibrosaSections:
    seconds_per_section: float
    """A recording is first cut into this many seconds' worth of sections, on average."""
    merge_below: float
    """Neighbours closer than this (in standard deviations a feature) are one section, and others get one letter."""
    _librosa: Any = field(init=False, repr=False)
    _banks: tuple[np.ndarray, np.ndarray] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        try:
            import librosa
        except ImportError as error:
            raise MissingToolError(
                "facts.sections is `librosa`, which is not installed. Install with: pip install librosa. "
                "Or set facts.sections to null."
            ) from error
        self._librosa = librosa
        chroma = librosa.filters.chroma(sr=RATE_HZ, n_fft=FRAME_SIZE, n_chroma=NUM_CHROMA)
        mel = librosa.filters.mel(sr=RATE_HZ, n_fft=FRAME_SIZE, n_mels=NUM_MELS, fmax=11025)
        self._banks = (chroma.T.astype(np.float32), mel.T.astype(np.float32))

    def find(self, signal: Signal) -> Sections:
        """At least one section, A, over the whole recording."""
        moments = self._moments(signal.samples)
        wanted = max(1, round(signal.duration_s / self.seconds_per_section))
        starts = [0]
        if wanted > 1 and len(moments) > wanted:
            starts = sorted(int(s) for s in self._librosa.segment.agglomerative(moments.T, wanted))
        starts = _merge_alike(moments, starts, self.merge_below)
        labels, clearness = _letters(moments, starts, self.merge_below)
        times_s = [round(s * MOMENT_S, 4) for s in starts] + [round(signal.duration_s, 4)]
        return Sections(
            tool="librosa",
            tool_version=self._librosa.__version__,
            confidence=round(clearness, 4),
            segments=[
                Segment(start_s=start_s, end_s=end_s, label=label)
                for start_s, end_s, label in zip(times_s[:-1], times_s[1:], labels, strict=True)
            ],
        )

    def _moments(self, samples: np.ndarray) -> np.ndarray:
        """Standardised harmony and timbre of each half second. Shape (T, D)."""
        level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
        samples = samples * np.float32(LEVEL / max(level, 1e-9))
        chroma_bank, mel_bank = self._banks
        chroma, mel = [], []
        for block in magnitudes(samples, FRAME_SIZE, HOP_SIZE):
            chroma.append(np.sqrt(block) @ chroma_bank)
            mel.append(np.square(block) @ mel_bank)
        harmony = _by_moments(np.concatenate(chroma))
        timbre = self._librosa.feature.mfcc(
            S=10 * np.log10(_by_moments(np.concatenate(mel)).T + 1e-3), n_mfcc=NUM_TIMBRE + 1
        ).T[:, 1:]
        harmony /= np.maximum(np.linalg.norm(harmony, axis=1, keepdims=True), 1e-6)
        return np.hstack([_standard(harmony), _standard(timbre)])


def _by_moments(frames: np.ndarray) -> np.ndarray:
    """Means of five frames; a rest joins the last moment."""
    count = max(1, len(frames) // FRAMES_PER_MOMENT)
    ends = [FRAMES_PER_MOMENT * (i + 1) for i in range(count - 1)] + [len(frames)]
    return np.stack([frames[a:b].mean(axis=0) for a, b in zip([0, *ends[:-1]], ends, strict=True)])


def _standard(features: np.ndarray) -> np.ndarray:
    """Zero mean, and unit variance over all features together: what varies most counts most."""
    centred = features - features.mean(axis=0)
    return centred / max(float(centred.std()), 1e-6)


def _means(moments: np.ndarray, starts: list[int]) -> np.ndarray:
    ends = [*starts[1:], len(moments)]
    return np.stack([moments[a:b].mean(axis=0) for a, b in zip(starts, ends, strict=True)])


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean((a - b) ** 2)))


def _merge_alike(moments: np.ndarray, starts: list[int], closest: float) -> list[int]:
    """Join the two most alike neighbours until none is closer than `closest`."""
    starts = list(starts)
    while len(starts) > 1:
        means = _means(moments, starts)
        gaps = [_distance(a, b) for a, b in zip(means[:-1], means[1:], strict=True)]
        nearest = int(np.argmin(gaps))
        if gaps[nearest] >= closest:
            break
        del starts[nearest + 1]
    return starts


def _letters(moments: np.ndarray, starts: list[int], closest: float) -> tuple[list[str], float]:
    """A letter for each section, the same for those that sound alike; and how clear of the border they lie."""
    means = _means(moments, starts)
    kinds: list[np.ndarray] = []
    labels, margins = [], []
    for mean in means:
        distances = [_distance(mean, kind) for kind in kinds]
        if distances and min(distances) < closest:
            kind = int(np.argmin(distances))
        else:
            kind = len(kinds)
            kinds.append(mean)
        labels.append(string.ascii_uppercase[min(kind, 25)])
        margins += [min(1.0, abs(min(distances) - closest) / closest)] if distances else []
    return labels, float(np.mean(margins)) if margins else 0.5
