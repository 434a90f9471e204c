"""Sections by what is repeated.

After Serrà et al., Unsupervised Music Structure Annotation by Time Series Structure Features (2014), with
librosa's recurrence matrix; then equal letters for sections that go alike.

T moments, five a second; C = 12 pitch classes; L lags.
"""

import string
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from music_flamingo.core.errors import MissingToolError
from music_flamingo.mir import RATE_HZ, NothingFoundError, Signal
from music_flamingo.mir.spectrum import magnitudes
from music_flamingo.records import Sections, Segment

FRAME_SIZE, HOP_SIZE = 8192, RATE_HZ // 10
FRAMES_PER_MOMENT, MOMENTS_PER_S = 2, 5
PHRASE = 2 * MOMENTS_PER_S
"""Moments are compared with the two seconds around them."""
NEIGHBOURS = 0.03
"""Share of a recording's moments that count as the same: those most alike."""
TIME_SPREAD, LAG_SPREAD = 1.0 * MOMENTS_PER_S, 0.5 * MOMENTS_PER_S
SHIFTS = range(-3, 4)
"""Sections are laid upon each other within 0.6 s."""
SILENT_BELOW = 1e-4


@dataclass
class LibrosaSections:
    min_section_s: float
    min_novelty: float
    """A boundary stands out by this much, of the most novel moment's height."""
    alike_above: float
    """Sections whose harmony correlates by more than this get one letter."""
    _librosa: Any = field(init=False, repr=False)
    _bank: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        try:
            import librosa
        except ImportError as error:
            raise MissingToolError(
                "facts.sections is `librosa`, which is not installed. Install with: pip install librosa. "
                "Or set facts.sections to null."
            ) from error
        self._librosa = librosa
        bank = librosa.filters.chroma(sr=RATE_HZ, n_fft=FRAME_SIZE, n_chroma=12, octwidth=2)
        self._bank = bank.T.astype(np.float32)

    def find(self, signal: Signal) -> Sections:
        """At least one section, A, over the whole recording. Raises NothingFoundError in silence."""
        if float(np.abs(signal.samples).max()) < SILENT_BELOW:
            raise NothingFoundError("the recording is silent")
        chroma = self._chroma(signal.samples)
        novelty = self._novelty(unit(chroma))
        boundaries = find_peaks(novelty, round(self.min_section_s * MOMENTS_PER_S), self.min_novelty)
        chroma -= chroma.mean(axis=0)
        labels = letters(unit(chroma), [0, *boundaries], self.alike_above)
        times_s = [0.0, *(b / MOMENTS_PER_S for b in boundaries), round(signal.duration_s, 4)]
        return Sections(
            tool="librosa",
            tool_version=self._librosa.__version__,
            confidence=round(float(np.mean(novelty[boundaries])), 4) if boundaries else 0.5,
            segments=[
                Segment(start_s=start_s, end_s=end_s, label=label)
                for start_s, end_s, label in zip(times_s[:-1], times_s[1:], labels, strict=True)
            ],
        )

    def _chroma(self, samples: np.ndarray) -> np.ndarray:
        """Shares of the pitch classes at each moment. Shape (T, C)."""
        frames = np.concatenate([np.sqrt(b) @ self._bank for b in magnitudes(samples, FRAME_SIZE, HOP_SIZE)])
        size = min(FRAMES_PER_MOMENT, len(frames))
        chroma = frames[: len(frames) // size * size].reshape(-1, size, 12).mean(axis=1)
        return chroma / np.maximum(chroma.sum(axis=1, keepdims=True), 1e-9)

    def _novelty(self, harmony: np.ndarray) -> np.ndarray:
        """How much the pattern of repetitions changes at each moment, 0 to 1. Shape (T,)."""
        from scipy.ndimage import gaussian_filter

        if len(harmony) < 2 * PHRASE:
            return np.zeros(len(harmony))
        padded = np.pad(harmony, ((PHRASE // 2, PHRASE - PHRASE // 2 - 1), (0, 0)), mode="edge")
        phrases = np.hstack([padded[i : i + len(harmony)] for i in range(PHRASE)])
        recurrence = self._librosa.segment.recurrence_matrix(
            phrases.T, k=max(2, round(NEIGHBOURS * len(harmony))), width=1, sym=True, mode="connectivity"
        )
        lags = self._librosa.segment.recurrence_to_lag(recurrence.astype(np.float32), pad=True)  # (L, T)
        smooth = gaussian_filter(lags, (LAG_SPREAD, TIME_SPREAD))
        change = np.concatenate([[0.0], np.sqrt(np.square(np.diff(smooth, axis=1)).sum(axis=0))])
        return (change - change.min()) / max(float(np.ptp(change)), 1e-9)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def find_peaks(novelty: np.ndarray, distance: int, least: float) -> list[int]:
    """Moments more novel than all others within `distance`, no nearer to the ends than half of it."""
    return [
        t
        for t in range(distance // 2, len(novelty) - distance // 2)
        if novelty[t] > least and novelty[t] == novelty[max(0, t - distance) : t + distance + 1].max()
    ]


def letters(harmony: np.ndarray, starts: list[int], alike_above: float) -> list[str]:
    """A letter for each section, the letter of the first section that it goes like."""
    sections = [harmony[a:b] for a, b in zip(starts, [*starts[1:], len(harmony)], strict=True)]
    kinds: list[np.ndarray] = []
    labels = []
    for section in sections:
        likeness = [_likeness(section, kind) for kind in kinds]
        if likeness and max(likeness) > alike_above:
            kind = int(np.argmax(likeness))
        else:
            kind = len(kinds)
            kinds.append(section)
        labels.append(string.ascii_uppercase[min(kind, 25)])
    return labels


def _likeness(a: np.ndarray, b: np.ndarray) -> float:
    """Mean correlation of two sections moment by moment, laid upon each other as well as a small shift allows."""
    best = -1.0
    for shift in SHIFTS:
        ours, theirs = a[max(0, shift) :], b[max(0, -shift) :]
        size = min(len(ours), len(theirs))
        if size:
            best = max(best, float((ours[:size] * theirs[:size]).sum(axis=1).mean()))
    return best
