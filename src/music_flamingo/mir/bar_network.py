"""Dynamic Bayesian network of beats and bars, decoded beat by beat.

Krebs, Böck and Widmer: An Efficient State Space Model for Joint Tempo and Meter Tracking (ISMIR 2015). It is the model
of madmom's DBNDownBeatTrackingProcessor with its constants, but for the intervals (madmom keeps 60 of them, here are
all), and gives the same beats as madmom does with `num_tempi=None`. Between two beats the model has
no choice, it counts frames: so this decoder keeps a score for each beat that may begin at a frame rather than for each
state, and as no beat is shorter than the shortest interval it works on that many frames at once.

T frames, 100 a second; K intervals, the beat lengths in frames; P places, those of every bar length one after another
(1 2, 1 2 3, 1 2 3 4); L frames of a block; H the longest interval.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

FRAMES_PER_S = 100
TEMPO_CHANGE = 100.0
"""A beat longer or shorter by a share x than the one before is exp(-100 x) as likely as an equal one."""
BEAT_PART = 16
"""The first sixteenth of a beat sounds like a beat, the rest does not."""
LOWEST = -1e300
"""Stands for a score that nothing reaches where scores are compared with each other."""
AUDIBLE = 0.05
"""What lies before the first and after the last activation of this height is left out."""


@dataclass(frozen=True)
class Bars:
    """What was decoded."""

    beats: np.ndarray
    """Time in s and position in the bar, from 1 on. Shape (beats, 2)."""
    log_likelihoods: tuple[float, ...]
    """Of the best path of each bar length."""
    lengths: tuple[int, ...]
    """The bar lengths (beats)."""

    @property
    def by_length(self) -> tuple[tuple[int, float], ...]:
        """Each bar length with the log-likelihood of its best path."""
        return tuple(zip(self.lengths, self.log_likelihoods, strict=True))


@dataclass(frozen=True)
class Begun:
    """Score of the best path to each beat that begins at a frame."""

    last: np.ndarray
    """Of the last frames. Shape (H, K, P)."""
    scores: np.ndarray
    """Of all frames from -H on, relative to the frame's best. float32, shape (H + T, K, P)."""
    heights: np.ndarray
    """The frames' best. Shape (H + T,)."""


@dataclass(frozen=True)
class BarNetwork:
    """Finds the beats of bars of any of the lengths; the likeliest length is taken for the whole recording."""

    bars: tuple[int, ...]
    min_bpm: float
    max_bpm: float

    def decode(self, activations: np.ndarray) -> Bars:
        """Activations of (beat, downbeat), shape (T, 2). No beats where nothing is audible."""
        audible = np.flatnonzero(activations.max(axis=1, initial=0.0) >= AUDIBLE)
        if not len(audible):
            return Bars(np.zeros((0, 2)), (0.0,) * len(self.bars), self.bars)
        first, heard = int(audible[0]), activations[audible[0] : audible[-1] + 1]
        sums = _log_sums(heard)
        begun = self._forward(sums)
        ends = self._ends(begun.last, sums)
        path = self._path(begun, sums, max(ends))
        peaks = [(self._peak(heard, entry, k), self.places[place]) for entry, k, place in path]
        beats = [((first + frame) / FRAMES_PER_S, position) for frame, position in peaks if frame is not None]
        return Bars(np.array(beats, np.float64).reshape(-1, 2), tuple(end[0] for end in ends), self.bars)

    @cached_property
    def places(self) -> np.ndarray:
        """Shape (P,)."""
        return np.concatenate([np.arange(1, bar + 1) for bar in self.bars])

    @cached_property
    def places_before(self) -> np.ndarray:
        """Index of the place that comes before each place. Shape (P,)."""
        before = np.arange(len(self.places)) - 1
        before[self.places == 1] += self.bars
        return before

    @cached_property
    def intervals(self) -> np.ndarray:
        """Every length in whole frames: on a coarser grid the tempo range decides which level wins. Shape (K,)."""
        shortest, longest = (60.0 * FRAMES_PER_S / bpm for bpm in (self.max_bpm, self.min_bpm))
        return np.arange(np.round(shortest), np.round(longest) + 1).astype(int)

    @cached_property
    def beat_frames(self) -> np.ndarray:
        """How many first frames of each interval sound like a beat. Shape (K,)."""
        return np.array([int((np.linspace(0, 1, k, endpoint=False) < 1 / BEAT_PART).sum()) for k in self.intervals])

    @cached_property
    def changes(self) -> np.ndarray:
        """Log-probability of one interval after another. Shape (K before, K after)."""
        likely = np.exp(-TEMPO_CHANGE * np.abs(self.intervals / self.intervals[:, None].astype(float) - 1))
        likely[likely <= np.spacing(1)] = 0
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(likely / likely.sum(axis=1, keepdims=True)))

    def _forward(self, sums: np.ndarray) -> "Begun":
        """A path may begin in the middle of a beat, so beats begin up to H frames early."""
        count, longest, block = len(sums) - 1, int(self.intervals[-1]), int(self.intervals[0])
        begun = np.full((longest + block, len(self.intervals), len(self.places)), -np.inf)
        alive = np.arange(-longest, 0)[:, None] + self.intervals >= 0  # frame -1 is the state before the first one
        states = np.repeat(self.bars, self.bars) * self.intervals.sum()
        begun[:longest] = np.where(alive[:, :, None], -np.log(states), -np.inf)
        kept = np.empty((longest + count, *begun.shape[1:]), np.float32)
        kept[:longest], heights = begun[:longest], np.zeros(len(kept))
        bands = self._bands()
        for start in range(0, count, block):
            frames = np.arange(start, min(start + block, count))
            rows = longest + np.arange(len(frames)) - self.intervals[:, None]
            ended = begun[rows, np.arange(len(rows))[:, None]]  # (K, L, P)
            ended += self._heard(sums, frames - self.intervals[:, None], frames[None])
            best = _best_change(ended[:, :, self.places_before], bands).transpose(1, 0, 2)
            begun[longest : longest + len(frames)] = best
            heights[longest + frames] = best.max(axis=(1, 2))
            kept[longest + frames] = best - heights[longest + frames, None, None]
            begun[:longest] = begun[len(frames) : longest + len(frames)]
        return Begun(begun[:longest], kept, heights)

    def _bands(self) -> list[tuple[slice, slice, np.ndarray]]:
        """(intervals before, intervals after, log-probabilities) of every diagonal of `changes` that is not empty."""
        size, bands = len(self.intervals), []
        for offset in range(1 - size, size):
            after = slice(max(0, -offset), min(size, size - offset))
            weights = np.diagonal(self.changes, -offset)
            if np.isfinite(weights).any():
                weights = weights.astype(np.float32)[:, None, None]
                bands.append((slice(after.start + offset, after.stop + offset), after, weights))
        return bands

    def _heard(self, sums: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Log-likelihood that a beat of each interval and place sounds from `begins` to `ends`. Shape (K, L, P)."""
        last = len(sums) - 1
        turns = np.clip(begins + self.beat_frames[:, None], 0, np.minimum(ends, last))
        begins = np.clip(begins, 0, last)
        sounding = sums[turns, 1:] - sums[begins, 1:]
        silent = sums[np.clip(ends, 0, last), 0] - sums[turns, 0]
        return np.asarray((sounding + silent[:, :, None])[:, :, (self.places == 1).astype(int)])

    def _ends(self, last: np.ndarray, sums: np.ndarray) -> list[tuple[float, int, int, int]]:
        """(log-likelihood, first frame, interval, place) of the last beat, for each bar length.

        The end may cut it.
        """
        count, longest = len(sums) - 1, len(last)
        begins = np.broadcast_to(np.arange(count - longest, count), (len(self.intervals), longest))
        scores = last.transpose(1, 0, 2) + self._heard(sums, begins, np.full((1, longest), count))
        scores[begins + self.intervals[:, None] < count] = -np.inf
        ends = []
        for bar, stop in zip(self.bars, np.cumsum(self.bars), strict=True):
            part = scores[:, :, stop - bar : stop]
            k, row, place = np.unravel_index(int(part.argmax()), part.shape)
            ends.append((float(part.max()), int(begins[k, row]), int(k), int(stop - bar + place)))
        return ends

    def _path(self, begun: "Begun", sums: np.ndarray, end: tuple[float, int, int, int]) -> list[tuple[int, int, int]]:
        """(first frame, interval, place) of each beat of the best path to `end`."""
        _, entry, k, place = end
        path, longest, ks = [(entry, k, place)], int(self.intervals[-1]), np.arange(len(self.intervals))
        while entry >= 0:
            place = int(self.places_before[place])
            begins = entry - self.intervals
            heard = self._heard(sums, begins[:, None], np.array([[entry]]))[:, 0, place]
            scores = begun.scores[begins + longest, ks, place] + begun.heights[begins + longest]
            scores += heard + self.changes[:, k]
            k = int(scores.argmax())
            entry = int(begins[k])
            path.append((entry, k, place))
        return path[::-1]

    def _peak(self, activations: np.ndarray, entry: int, k: int) -> int | None:
        """The frame at which the beat is loudest; None where its first sixteenth lies outside the recording."""
        left, right = max(entry, 0), min(entry + int(self.beat_frames[k]), len(activations))
        return left + int(activations[left:right].argmax()) // 2 if left < right else None


def _best_change(ended: np.ndarray, bands: list[tuple[slice, slice, np.ndarray]]) -> np.ndarray:
    """Scores of beats that ended (K, L, P) -> the best score of each interval that may follow (K, L, P).

    Compared in float32, relative to the best of each frame.
    """
    height = np.maximum(ended.max(axis=(0, 2), keepdims=True), LOWEST)
    ended = (ended - height).astype(np.float32)
    best, score = np.full_like(ended, -np.inf), np.empty_like(ended)
    for before, after, weights in bands:
        np.add(ended[before], weights, out=score[after])
        np.maximum(best[after], score[after], out=best[after])
    return best + height


def _log_sums(activations: np.ndarray) -> np.ndarray:
    """Running sums of the log densities of (no beat, beat, downbeat), from 0 on. Shape (T + 1, 3)."""
    beat, downbeat = activations[:, :1], activations[:, 1:]
    densities = np.hstack([(1 - beat - downbeat) / (BEAT_PART - 1), beat, downbeat])
    logs = np.log(np.maximum(densities, np.finfo(np.float32).tiny), dtype=np.float64)
    return np.concatenate([np.zeros((1, 3)), np.cumsum(logs, axis=0)])
