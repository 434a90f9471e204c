"""Key and chords from librosa's constant-Q chroma, under a permissive licence.

The key is the one of Krumhansl and Kessler's (1982) profiles that the mean chroma resembles most; chords are triads of
the 24 keys, smoothed by Viterbi's algorithm. T frames of about 93 ms.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from music_flamingo.core.errors import MissingToolError
from music_flamingo.mir import RATE_HZ, NothingFoundError, Signal
from music_flamingo.mir.compiling import compile_alone
from music_flamingo.mir.keys import MAJOR_TONICS, MINOR_TONICS, Mode, spell_tonic
from music_flamingo.records import Chords, Key, Segment

HOP_SIZE = 4096
PROFILES: dict[Mode, tuple[float, ...]] = {
    "major": (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    "minor": (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
}
TRIADS: dict[Mode, tuple[int, ...]] = {"major": (0, 4, 7), "minor": (0, 3, 7)}
STAY = 0.9
"""Probability that a chord goes on for another frame: chords of about a second."""
CONTRAST = 12.0
"""How decisive the likeness of a frame to a triad is."""
SILENT_BELOW = 1e-4


@dataclass
class LibrosaHarmony:
    """Both a KeyEstimator and a ChordRecogniser."""

    _librosa: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        try:
            import librosa
        except ImportError as error:
            raise MissingToolError(
                "facts.key or facts.chords is `librosa`, which is not installed. Install with: pip install librosa. "
                "Or set it to null."
            ) from error
        self._librosa = librosa
        compile_alone(self.recognise)

    def estimate(self, signal: Signal) -> Key:
        """Raises NothingFoundError in silence. The confidence is the correlation with the key's profile."""
        weights = self._chroma(signal.samples).mean(axis=1)
        if weights.std() == 0:
            raise NothingFoundError("all pitch classes are equally strong")
        scores: list[tuple[float, int, Mode]] = [
            (float(np.corrcoef(np.roll(profile, tonic), weights)[0, 1]), tonic, mode)
            for mode, profile in PROFILES.items()
            for tonic in range(12)
        ]
        correlation, tonic, mode = max(scores)
        return Key(
            tool="librosa:krumhansl",
            tool_version=self._librosa.__version__,
            confidence=round(float(np.clip(correlation, 0, 1)), 4),
            tonic=spell_tonic(tonic, mode),
            mode=mode,
        )

    def recognise(self, signal: Signal) -> Chords:
        """Raises NothingFoundError in silence. The confidence is the mean probability of the chosen chords."""
        chroma = self._chroma(signal.samples)
        templates, labels = _templates()
        likeness = templates @ (chroma / np.maximum(np.linalg.norm(chroma, axis=0), 1e-9))
        probabilities = np.exp(CONTRAST * (likeness - likeness.max(axis=0)))
        probabilities /= probabilities.sum(axis=0)
        stay = self._librosa.sequence.transition_loop(len(labels), STAY)
        path = self._librosa.sequence.viterbi_discriminative(probabilities, stay)
        changes = [0, *(np.flatnonzero(np.diff(path)) + 1)]
        times_s = [round(float(c) * HOP_SIZE / RATE_HZ, 4) for c in changes] + [round(signal.duration_s, 4)]
        return Chords(
            tool="librosa:triads",
            tool_version=self._librosa.__version__,
            confidence=round(float(probabilities[path, np.arange(len(path))].mean()), 4),
            segments=[
                Segment(start_s=start_s, end_s=end_s, label=labels[path[change]])
                for start_s, end_s, change in zip(times_s[:-1], times_s[1:], changes, strict=True)
                if end_s > start_s
            ],
        )

    def _chroma(self, samples: np.ndarray) -> np.ndarray:
        """Shape (12, T)."""
        if float(np.abs(samples).max()) < SILENT_BELOW:
            raise NothingFoundError("the recording is silent")
        halved = self._librosa.resample(samples, orig_sr=RATE_HZ, target_sr=RATE_HZ / 2, res_type="soxr_mq")
        return np.asarray(
            self._librosa.feature.chroma_cqt(y=halved, sr=RATE_HZ // 2, hop_length=HOP_SIZE // 2, tuning=0.0)
        )


def _templates() -> tuple[np.ndarray, list[str]]:
    """Unit vectors of the 24 triads (24, 12), and their labels."""
    rows, labels = [], []
    for mode, names, quality in (("major", MAJOR_TONICS, "maj"), ("minor", MINOR_TONICS, "min")):
        for root, name in enumerate(names):
            row = np.zeros(12)
            row[[(root + i) % 12 for i in TRIADS["major" if mode == "major" else "minor"]]] = 1 / np.sqrt(3)
            rows.append(row)
            labels.append(f"{name}:{quality}")
    return np.array(rows), labels
