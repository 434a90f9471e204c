"""Beats by librosa (Ellis: Beat Tracking by Dynamic Programming, 2007), under a permissive licence.

librosa knows no downbeats: the bar is the one of `beats_per_bar` whose first beats are struck the hardest, and the
confidence says how much harder.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from music_flamingo.core.errors import MissingToolError
from music_flamingo.mir import RATE_HZ, NothingFoundError, Rhythm, Signal
from music_flamingo.mir.compiling import compile_alone
from music_flamingo.mir.pulse import accents, beats_per_pulse, onsets, tempo_bpm
from music_flamingo.records import Beats, Tempo

HOP_SIZE = 512
SHORTER_BAR_WINS = 1.02
"""A longer bar must be this much clearer than a shorter one: chance alone favours long bars."""


@dataclass
class LibrosaBeatTracker:
    """Tracks beats, meter and tempo by librosa."""

    beats_per_bar: Sequence[int]
    min_bpm: float
    max_bpm: float
    _librosa: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        try:
            import librosa
        except ImportError as error:
            raise MissingToolError(
                "facts.beats is `librosa`, which is not installed. Install with: pip install librosa. "
                "Or set facts.beats to null."
            ) from error
        self._librosa = librosa
        compile_alone(self.track)

    def track(self, signal: Signal) -> Rhythm:
        """Raises NothingFoundError where no beat is heard."""
        beats_s = self._beats(signal.samples)
        strength = accents(signal.shared(onsets), beats_s)
        pulse = beats_per_pulse(strength, tempo_bpm(beats_s))
        if pulse > 1:
            struck = int(np.argmax([strength[phase::pulse, 0].mean() for phase in range(pulse)]))
            beats_s, strength = beats_s[struck::pulse], strength[struck::pulse]
        length, phase, clearness = find_bar(strength[:, 0], self.beats_per_bar)
        stamp = {"tool": "librosa", "tool_version": self._librosa.__version__, "confidence": round(clearness, 4)}
        return Rhythm(
            Beats(
                **stamp,
                beats_s=[round(float(t), 4) for t in beats_s],
                positions=[(i - phase) % length + 1 for i in range(len(beats_s))],
                beats_per_bar=length,
            ),
            Tempo(**stamp, bpm=round(tempo_bpm(beats_s), 2)),
        )

    def _beats(self, samples: np.ndarray) -> np.ndarray:
        onsets = self._librosa.onset.onset_strength(y=samples, sr=RATE_HZ, hop_length=HOP_SIZE, aggregate=np.median)
        _, frames = self._librosa.beat.beat_track(
            onset_envelope=onsets,
            sr=RATE_HZ,
            hop_length=HOP_SIZE,
            start_bpm=float(np.sqrt(self.min_bpm * self.max_bpm)),
        )
        beats_s = frames * HOP_SIZE / RATE_HZ
        if len(beats_s) < 2:
            raise NothingFoundError(f"librosa hears {len(beats_s)} beats")
        return beats_s


def find_bar(strength: np.ndarray, lengths: Sequence[int]) -> tuple[int, int, float]:
    """(beats in a bar, first downbeat, clearness 0 to 1) by the accents of the beats. Shape (number of beats,)."""
    best = (lengths[0], 0, 0.0)
    for length in sorted(lengths):
        for phase in range(length):
            first = strength[phase::length]
            if len(first) == 0 or len(first) == len(strength):
                continue
            others = (strength.sum() - first.sum()) / (len(strength) - len(first))
            clearness = float(np.clip(1 - others / max(float(first.mean()), 1e-9), 0, 1))
            if clearness > best[2] * SHORTER_BAR_WINS:
                best = (length, phase, clearness)
    return best
