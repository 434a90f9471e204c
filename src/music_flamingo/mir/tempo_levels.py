"""Probabilities of the metrical levels of a tempo: beat trackers double slow songs and halve fast ones.

Around the tracked tempo stand its half, double, third, triple and the ratios of 2 and 3 between. Each gets a score by
a small network (one hidden layer) over what is heard at its beat and at multiples and parts of it: how the beat
network's activations repeat (beats, downbeats), how rises of level do (in all bands, in the high ones, in the lowest
three), how many blows fall on a beat, and how common the tempo is. A softmax over the scores gives a probability for
each level. A second, linear layer weighs it with what kick and snare do at the level (mir.backbeat). Both are fitted
on bands in many styles (benchmarks/calibrate_tempo.py).

T frames, 100 a second; C candidate levels.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np

from music_flamingo.mir.backbeat import backbeat
from music_flamingo.mir.pulse import FRAMES_PER_S
from music_flamingo.records import TempoLevel

MODEL = Path(__file__).with_name("tempo_model.json")
RATIOS = (1 / 3, 1 / 2, 2 / 3, 3 / 4, 1.0, 4 / 3, 3 / 2, 2.0, 3.0)
SLOWEST_BPM, FASTEST_BPM = 38.0, 235.0
WINDOW_FRAMES = 12 * FRAMES_PER_S
"""Repetition is measured within 12 s, so that a drift of the tempo does not blur it."""
LONGEST_LAG = round(6.5 * FRAMES_PER_S)
MULTIPLES = (1 / 3, 1 / 2, 1.0, 2.0, 3.0, 4.0)
"""Of a beat: where its repetition is looked at."""
LAG_TOLERANCE = 0.03
COMMON_BPM = 105.0
ALONE_FROM, NAMED_FROM = 0.6, 0.3
"""From the first probability on a level is said alone; below it a second is said too, if it has at least the other: two
levels are named where they are near to even, and a level that is likelier than the other stays alone and less sure."""
FOLLOWED_FROM, LOST_BELOW = 0.7, 0.15
"""Beats are counted anew at a level as likely as the first, or where the tracked one is less likely than the second."""
SAME = 0.02
"""Logarithms of tempi nearer than this are of the same one."""
STRUCK_FROM_DB = 15.0
"""Of the rises above 5 kHz one in twenty is stronger where percussion plays. On 500 bands a faster level was followed
and right in 8 of 12 grooves with drums, in 0 of 6 without."""
UNLIKE_ABOVE = 4.0
"""Standard deviations: what lies further from all that was seen in fitting counts no more than this."""


@dataclass(frozen=True)
class LevelModel:
    """The log odds of a level, up to what all levels share: a line and a hidden layer over the scaled evidence."""

    mean: np.ndarray
    scale: np.ndarray
    line: np.ndarray
    hidden: np.ndarray
    """Shape (units, features)."""
    hidden_bias: np.ndarray
    out: np.ndarray
    beat_slope: float
    beat_bias: float
    """The log odds that the tracked beats are beats at any level are `beat_slope * activation + beat_bias`."""
    second: np.ndarray
    """Weights of the network's log probability, of kick and snare, of the tempo in octaves and of its square."""

    def probabilities(self, evidence: np.ndarray) -> np.ndarray:
        """(C, features) -> (C,), summing to 1."""
        scaled = np.clip((evidence - self.mean) / self.scale, -UNLIKE_ABOVE, UNLIKE_ABOVE)
        odds = scaled @ self.line + np.tanh(scaled @ self.hidden.T + self.hidden_bias) @ self.out
        return _softmax(odds)

    def weighed(self, probabilities: np.ndarray, tempi: np.ndarray, struck: np.ndarray) -> np.ndarray:
        """The network's probabilities (C,) of tempi with what kick and snare do at them (C, 8) -> (C,)."""
        return _softmax(second_evidence(probabilities, tempi, struck) @ self.second)


def second_evidence(probabilities: np.ndarray, tempi: np.ndarray, struck: np.ndarray) -> np.ndarray:
    """What the second layer weighs. Shape (C, 11)."""
    octaves = np.log2(tempi / COMMON_BPM)
    return np.column_stack([np.log(probabilities + 1e-5), struck, octaves, octaves**2])


def _softmax(odds: np.ndarray) -> np.ndarray:
    likely = np.exp(odds - odds.max())
    return np.asarray(likely / likely.sum())


def tempo_levels(bpm: float, beats_per_bar: int, activations: np.ndarray, rises: np.ndarray) -> list[TempoLevel]:
    """The levels around a tracked tempo, the likeliest first.

    `activations` of (beat, downbeat), shape (T, 2); `rises` of level (mir.pulse.onsets), (T, 5).
    """
    tempi = candidates(bpm)
    model = load_level_model()
    likely = model.probabilities(evidence(bpm, beats_per_bar, tempi, activations, rises))
    likely = model.weighed(likely, tempi, backbeat(roots(rises), tempi))
    order = np.argsort(-likely, kind="stable")
    return [TempoLevel(bpm=round(float(tempi[k]), 2), probability=round(float(likely[k]), 4)) for k in order]


def counted_at(levels: list[TempoLevel], beat_confidence: float, bpm: float) -> dict[str, Any]:
    """The fields of a Tempo whose beats were tracked at `bpm`: one level where it is clear, both where two are likely.

    The confidence is the probability that one of the levels that are said is right: that the beats are beats at some
    level (by the mean activation of the network at them) times that of the levels.
    """
    model = load_level_model()
    here = min(levels, key=lambda level: abs(log(level.bpm / bpm)))
    chosen, also = here.probability, None
    other = next((level for level in levels if level is not here), None)
    if other is not None and chosen < ALONE_FROM and other.probability >= NAMED_FROM:
        chosen, also = chosen + other.probability, other.bpm
    is_beat = 1 / (1 + exp(-(model.beat_slope * beat_confidence + model.beat_bias)))
    confidence = round(min(1.0, chosen) * is_beat, 4)
    return {"bpm": round(bpm, 2), "also_bpm": also, "levels": levels, "confidence": confidence}


def level_to_count(levels: list[TempoLevel], tracked_bpm: float, struck: bool, beats_per_bar: int) -> float:
    """The tempo (BPM) to count at: the likeliest where it is clear, else the tracked one.

    The beats of a waltz are beats, also where it is felt in one: no level that takes its bar for a beat is followed. A
    faster level is followed where percussion strikes it alone.
    """
    here = min(levels, key=lambda level: abs(log(level.bpm / tracked_bpm)))
    is_clear = levels[0].probability >= FOLLOWED_FROM or here.probability < LOST_BELOW
    is_bar_of_three = beats_per_bar == 3 and abs(log(here.bpm / levels[0].bpm / 3)) < SAME
    is_unstruck = levels[0].bpm > here.bpm and not struck
    return levels[0].bpm if is_clear and not is_bar_of_three and not is_unstruck else here.bpm


def is_struck(rises: np.ndarray) -> bool:
    """Whether percussion is heard, in `rises` of level (mir.pulse.onsets), (T, 5)."""
    return bool(np.percentile(rises[:, 1], 95) >= STRUCK_FROM_DB)


def candidates(bpm: float) -> np.ndarray:
    """The tempi that are weighed. Shape (C,)."""
    tempi = bpm * np.array(RATIOS)
    return tempi[((tempi >= SLOWEST_BPM) & (tempi <= FASTEST_BPM)) | (tempi == bpm)]


def evidence(
    bpm: float, beats_per_bar: int, tempi: np.ndarray, activations: np.ndarray, rises: np.ndarray
) -> np.ndarray:
    """What speaks for each tempo. Shape (C, features)."""
    count = min(len(activations), len(rises))
    activations, rises = activations[:count].astype(float), rises[:count].astype(float)
    loud = roots(rises)
    series = [activations.sum(axis=1), activations[:, 1], *loud.T]
    repeats = [_repetition(one) for one in series]
    blows_per_s = _blows(loud[:, 0]) / count * FRAMES_PER_S
    rows = []
    for tempo in tempi:
        lag = 60 * FRAMES_PER_S / tempo
        heard = [_peak(repeat, lag * multiple) for repeat in repeats for multiple in MULTIPLES]
        octaves, blows = np.log2(tempo / COMMON_BPM), np.log2(blows_per_s * 60 / tempo + 1e-3)
        rows.append(
            [
                *heard,
                octaves,
                octaves**2,
                abs(octaves),
                blows,
                blows**2,
                float(tempo == bpm),
                *_bar(bpm / tempo, beats_per_bar),
            ]
        )
    return np.array(rows)


def roots(rises: np.ndarray) -> np.ndarray:
    """Rises above their mean, loud ones tamed."""
    return np.asarray(np.sqrt(np.maximum(rises - rises.mean(axis=0), 0)))


def _bar(beats: float, beats_per_bar: int) -> tuple[float, float]:
    """Whether a candidate's beat is the tracked bar (of two or four; of three), or the tracked beat its own third."""
    is_bar = abs(beats - beats_per_bar) < 0.01
    return float(is_bar and beats_per_bar != 3), float(is_bar and beats_per_bar == 3)


def _blows(loud: np.ndarray) -> int:
    middle = loud[1:-1]
    strong = middle > 0.6 * np.percentile(loud, 80) + 0.2 * loud.max()
    return int(((middle > loud[:-2]) & (middle >= loud[2:]) & strong).sum())


def _repetition(series: np.ndarray) -> np.ndarray:
    """Autocorrelation by lag, the mean over windows of 12 s. Shape (LONGEST_LAG + 1,)."""
    last = max(len(series) - WINDOW_FRAMES, 0)
    starts = sorted({*range(0, last + 1, WINDOW_FRAMES // 2), last})
    total, power = np.zeros(LONGEST_LAG + 1), 1e-9
    for start in starts:
        part = series[start : start + WINDOW_FRAMES]
        part = part - part.mean()
        spectrum = np.abs(np.fft.rfft(part, 1 << int(np.ceil(np.log2(2 * len(part)))))) ** 2
        reach = max(1, min(LONGEST_LAG + 1, len(part) - 10))
        likeness = np.fft.irfft(spectrum)[:reach] / np.arange(len(part), len(part) - reach, -1) * len(part)
        total[:reach] += likeness
        power += float(likeness[0])
    return total / power


def _peak(repeat: np.ndarray, lag: float) -> float:
    first, last = max(1, int(lag * (1 - LAG_TOLERANCE))), int(np.ceil(lag * (1 + LAG_TOLERANCE))) + 1
    return float(repeat[first:last].max()) if last <= len(repeat) else 0.0


@lru_cache(maxsize=1)
def load_level_model() -> LevelModel:
    """Load the fitted weights, once a process."""
    stored = json.loads(MODEL.read_text())
    arrays = {
        name: np.array(stored[name]) for name in ("mean", "scale", "line", "hidden", "hidden_bias", "out", "second")
    }
    return LevelModel(**arrays, beat_slope=stored["beat_slope"], beat_bias=stored["beat_bias"])
