"""Local keys: chroma in a sliding window against 24 key profiles, with a cost on every change.

The price is the hysteresis: the music leaves a key only for one that fits better by more than the price over the
whole stay. Profiles: Temperley, The Cognition of Basic Musical Structures, as revised for Music and Probability.

W windows, one every `step_s`; K = 24 keys, major from C on, then minor.
"""

from dataclasses import dataclass

import numpy as np

from music_flamingo.mir import Signal
from music_flamingo.mir.keys import Mode, pitch_class, spell_tonic
from music_flamingo.mir.tonal import FRAMES_PER_S, tonal
from music_flamingo.records import Key, Segment

MAJOR = (0.748, 0.060, 0.488, 0.082, 0.670, 0.460, 0.096, 0.715, 0.104, 0.366, 0.057, 0.400)
MINOR = (0.712, 0.084, 0.474, 0.618, 0.049, 0.460, 0.105, 0.747, 0.404, 0.067, 0.133, 0.330)


@dataclass(frozen=True)
class KeyWindows:
    """Estimates local keys by Viterbi decoding over sliding windows."""

    window_s: float
    step_s: float
    price: float
    """Of one change, in correlation with the profile summed over windows."""
    min_stay_s: float
    """A shorter visit to another key is no modulation."""

    def follow(self, signal: Signal) -> list[Segment]:
        """The keys one after another; empty where the music stays in one, or is too short for two."""
        chroma = signal.shared(tonal).chroma
        size, step = round(self.window_s * FRAMES_PER_S), round(self.step_s * FRAMES_PER_S)
        starts = np.arange(0, len(chroma) - size + 1, step)
        if signal.duration_s < 2 * self.min_stay_s or len(starts) < 2:
            return []
        sums = np.concatenate([np.zeros((1, 12)), np.cumsum(chroma, axis=0, dtype=np.float64)])
        path = cheapest_path(key_likeness(sums[starts + size] - sums[starts]), self.price)
        changes = [0, *(np.flatnonzero(np.diff(path)) + 1), len(path)]
        # a window speaks for its middle
        times_s = [0.0, *((c - 0.5) * self.step_s + self.window_s / 2 for c in changes[1:-1]), signal.duration_s]
        stays = zip(times_s[:-1], times_s[1:], path[changes[:-1]].tolist(), strict=True)
        return _segments(_without_visits(list(stays), self.min_stay_s))


def with_changes(key: Key, changes: list[Segment]) -> Key:
    """A copy of the key with these segments of local keys; without them where the key itself is not among them."""
    own = (pitch_class(key.tonic), key.mode)
    if changes and own not in [(pitch_class(s.label.split()[0]), s.label.split()[1]) for s in changes]:
        return key
    return key.model_copy(update={"changes": changes})


def key_likeness(weights: np.ndarray) -> np.ndarray:
    """Correlation of each row of 12 pitch classes with each key's profile. Shape (W, K)."""
    profiles = np.array([np.roll(profile, tonic) for profile in (MAJOR, MINOR) for tonic in range(12)])
    profiles -= profiles.mean(axis=1, keepdims=True)
    profiles /= np.linalg.norm(profiles, axis=1, keepdims=True)
    weights = weights - weights.mean(axis=1, keepdims=True)
    weights /= np.maximum(np.linalg.norm(weights, axis=1, keepdims=True), 1e-9)
    return np.asarray(weights @ profiles.T)


def cheapest_path(likeness: np.ndarray, price: float) -> np.ndarray:
    """The keys that fit best in sum, each change paid for. Shape (W,)."""
    scores, came_from = likeness[0].copy(), np.zeros(likeness.shape, int)
    for index, fit in enumerate(likeness[1:], start=1):
        best = int(scores.argmax())
        moves = scores[best] - price > scores
        came_from[index] = np.where(moves, best, np.arange(len(scores)))
        scores = np.where(moves, scores[best] - price, scores) + fit
    path = [int(scores.argmax())]
    for sources in came_from[:0:-1]:
        path.append(int(sources[path[-1]]))
    return np.array(path[::-1])


def _without_visits(stays: list[tuple[float, float, int]], min_stay_s: float) -> list[tuple[float, float, int]]:
    """Short stays belong to the one before (the first to the one after); equal neighbours are one."""
    kept: list[tuple[float, float, int]] = []
    for start_s, end_s, key in stays:
        if kept and (end_s - start_s < min_stay_s or kept[-1][2] == key):
            kept[-1] = (kept[-1][0], end_s, kept[-1][2])
        elif kept and kept[-1][1] - kept[-1][0] < min_stay_s:
            kept[-1] = (kept[-1][0], end_s, key)
        else:
            kept.append((start_s, end_s, key))
    return kept


def _segments(stays: list[tuple[float, float, int]]) -> list[Segment]:
    if len(stays) < 2:
        return []
    segments = []
    for start_s, end_s, key in stays:
        mode: Mode = "major" if key < 12 else "minor"
        label = f"{spell_tonic(key % 12, mode)} {mode}"
        segments.append(Segment(start_s=round(start_s, 4), end_s=round(end_s, 4), label=label))
    return segments
