"""Drums, texture and envelope by signal analysis: three logistic regressions over the same features.

Their weights (sound_model.json) were fitted on rendered performances of training pieces;
`benchmarks/calibrate_sound.py` makes them anew and prints how they do on the other pieces.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from music_flamingo.mir import RATE_HZ, NothingFoundError, Signal
from music_flamingo.mir.sound_features import describe
from music_flamingo.records import Sound, SoundPart

MODEL = Path(__file__).with_name("sound_model.json")
WINDOW_S = 12.0
"""What the weights were fitted on. Longer recordings are described window by window; the verdicts are averaged."""
SILENT_BELOW = 1e-4
UNSURE_WITHIN, UNLIKE_ABOVE = 1.0, 11.5
"""Log odds: 77 of 80 rendered clips lie outside of the one, and all of them within the other."""
CLAIMS = ("drums", "chords", "decaying")
WORTH = {"drums": 0.72, "chords": 0.41, "decaying": 0.61}
WORTH_WITH_DRUMS = {"chords": 0.57, "decaying": 0.38}
"""What a nat of a claim's log odds is worth off the scores that the weights were fitted on: logistic fits on bands that
no weight has seen (benchmarks/calibrate_claims.py)."""
ALONE_WITH_DRUMS = 2.0
"""Log odds against one line alone where drums play: with drums hardly any band leaves the chords out."""
BOUND = 8.0


@dataclass(frozen=True)
class SoundModel:
    """Standardisation and weights: the log odds of each claim are `bias + weights @ (features - mean) / scale`."""

    version: str
    features: tuple[str, ...]
    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    """Shape (claims, features)."""
    bias: np.ndarray

    def log_odds(self, features: dict[str, float]) -> np.ndarray:
        """One number a claim, in the order of CLAIMS."""
        values = np.array([features[name] for name in self.features])
        # features far outside what was seen in fitting would drown the others
        standard = np.clip((values - self.mean) / self.scale, -4, 4)
        return self.bias + self.weights @ standard


class SoundAnalyst:
    """Gives whether there are drums, one line or several, and whether notes die away or are held."""

    def describe(self, signal: Signal) -> Sound:
        """Raises NothingFoundError in silence. The confidence is that of the surest claim; each claim has its own."""
        model = load_model()
        windows = excerpts(signal.samples)
        ends = np.cumsum([len(window) for window in windows]) / RATE_HZ
        audible = [(end, part) for end, part in zip(ends, windows, strict=True) if np.abs(part).max() > SILENT_BELOW]
        if not audible:
            raise NothingFoundError("the recording is silent")
        by_window = [model.log_odds(describe(part)) for _, part in audible]
        parts = [_part(e - len(w) / RATE_HZ, e, odds) for (e, w), odds in zip(audible, by_window, strict=True)]
        log_odds = np.mean(by_window, axis=0)
        envelope = _envelope(log_odds)
        drums, texture, decaying = (round(sure, 4) for sure in claim_confidences(log_odds))
        return Sound(
            tool="sound_features",
            tool_version=model.version,
            confidence=max(drums, texture, decaying if envelope else 0.0),
            has_drums=bool(log_odds[0] > 0),
            texture="chords" if log_odds[1] > 0 else "melody",
            lead_envelope=envelope,
            drums_confidence=drums,
            texture_confidence=texture,
            envelope_confidence=decaying if envelope else None,
            parts=parts,
        )


def claim_confidences(log_odds: np.ndarray) -> tuple[float, float, float]:
    """Probability that each claim is right as the sign of its log odds has it: drums, chords, decaying."""
    drums, chords, decaying = np.clip(log_odds, -BOUND, BOUND)
    with_drums = drums > 0
    worth = WORTH | WORTH_WITH_DRUMS if with_drums else WORTH
    texture = worth["chords"] * abs(chords) - (ALONE_WITH_DRUMS if with_drums and chords <= 0 else 0.0)
    return _likely(worth["drums"] * abs(drums)), _likely(texture), _likely(worth["decaying"] * abs(decaying))


def _likely(log_odds: float) -> float:
    return float(1 / (1 + np.exp(-log_odds)))


def _part(start_s: float, end_s: float, log_odds: np.ndarray) -> SoundPart:
    odds = {name: round(float(x), 3) for name, x in zip(CLAIMS, log_odds, strict=True)}
    return SoundPart(start_s=round(float(start_s), 3), end_s=round(float(end_s), 3), **odds)


def _envelope(log_odds: np.ndarray) -> Literal["decaying", "sustained"] | None:
    """None near the border, and for sound unlike all that the weights were fitted on."""
    decaying = log_odds[CLAIMS.index("decaying")]
    if abs(decaying) < UNSURE_WITHIN or np.abs(log_odds).max() > UNLIKE_ABOVE:
        return None
    return "decaying" if decaying > 0 else "sustained"


def excerpts(samples: np.ndarray) -> list[np.ndarray]:
    """Windows of 12 s; a rest shorter than half of one belongs to the window before."""
    size = round(WINDOW_S * RATE_HZ)
    count = max(1, round(len(samples) / size))
    ends = [size * (i + 1) for i in range(count - 1)] + [len(samples)]
    return [samples[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


@lru_cache(maxsize=1)
def load_model() -> SoundModel:
    """Load the logistic regressions' coefficients, once a process."""
    stored = json.loads(MODEL.read_text())
    assert tuple(stored["claims"]) == CLAIMS
    return SoundModel(
        version=stored["version"],
        features=tuple(stored["features"]),
        mean=np.array(stored["mean"]),
        scale=np.array(stored["scale"]),
        weights=np.array(stored["weights"]),
        bias=np.array(stored["bias"]),
    )
