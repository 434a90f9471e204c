"""Beats, downbeats, meter and tempo by madmom: an ensemble of recurrent nets and a dynamic Bayesian network.

Böck, Krebs and Widmer: Joint Beat and Downbeat Tracking with Recurrent Neural Networks (ISMIR 2016). The spectra that
feed the nets are computed here, a block of frames at a time: the same spectra as madmom's own. The network is decoded
by `bar_network`, with madmom's beats at a quarter of the cost. The models are CC BY-NC-SA 4.0.

T frames, 100 a second.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from music_flamingo.mir import RATE_HZ, NothingFoundError, Rhythm, Signal
from music_flamingo.mir.bar_network import FRAMES_PER_S, BarNetwork, Bars
from music_flamingo.mir.madmom_nets import filter_bank, load_nets, madmom_version
from music_flamingo.mir.playing_level import gain_to
from music_flamingo.mir.pulse import accents, beats_per_pulse, onsets, tempo_bpm
from music_flamingo.mir.spectrum import filtered, num_frames
from music_flamingo.mir.tempo_levels import counted_at, is_struck, level_to_count, tempo_levels
from music_flamingo.records import Beats, Tempo, TempoLevel

HOP_SIZE = RATE_HZ // FRAMES_PER_S
BANDS_PER_OCTAVE = {1024: 3, 2048: 6, 4096: 12}
"""Frame size -> filters an octave: what the nets were trained on."""
LOWEST_HZ, HIGHEST_HZ = 30, 17000
BLOCK_FRAMES, CONTEXT_FRAMES = 90 * FRAMES_PER_S, 5 * FRAMES_PER_S
"""The nets keep 20 KB a frame for ever: 2.4 GB after 20 minutes at once, 0.2 GB in blocks."""
HEARD_LEVEL = 0.1
"""Root mean square at which the nets hear every recording: of 0.05, 0.1 and 0.2 the one with the best beats on the 20
works of benchmarks/facts.py (F .948, .949, .932)."""
SAME_LEVEL = 0.04
"""A level within 4 % is the tracked one."""
ODD_BARS, ODD_RATIOS, FASTEST_ODD_BPM = (5, 7), (1.0, 2.0, 2.5), 250.0
ODD_PRICE = {5: 1.2, 7: 1.3}
"""Nats a beat by which bars of five or seven must be likelier: eleven bands in five had 1.49 and more, ten in seven .91
to 3.7 (two less than 1.3), all others less: a samba at twice its beats 1.22, a jig with congas 1.06."""
ODD_LEVEL = 0.9
"""Probability of the level at which such a bar is counted: its half holds no whole bar."""
METER_BIAS, METER_SLOPE, METER_HEARD = -0.20, 0.45, 4.14
"""Logistic fit of the margin and of the mean activation at the beats on 489 bands of benchmarks/bands.py (seeds from
200000), .87 of them right; of those above .86, .95."""
NARROW = 1.12
"""A second pass at the percussion's level looks this far to both sides of its tempo."""


@dataclass
class MadmomBeatTracker:
    """Holds the nets. `beats_per_bar` are the bars it may hear; tempi outside the range are heard at another level."""

    beats_per_bar: Sequence[int]
    min_bpm: float
    max_bpm: float
    _nets: Any = field(init=False, repr=False)
    _banks: dict[int, np.ndarray] = field(init=False, repr=False)
    _lags: dict[int, int] = field(init=False, repr=False)
    _version: str = field(init=False)

    def __post_init__(self) -> None:
        self._version = madmom_version("facts.beats", "facts.beats.kind to `librosa`")
        from madmom.models import DOWNBEATS_BLSTM

        self._nets = load_nets(DOWNBEATS_BLSTM)
        self._banks = {
            size: filter_bank(size, bands, LOWEST_HZ, HIGHEST_HZ) for size, bands in BANDS_PER_OCTAVE.items()
        }
        self._lags = {size: _lag_frames(size) for size in BANDS_PER_OCTAVE}

    def track(self, signal: Signal) -> Rhythm:
        """Raises NothingFoundError where no beat is heard."""
        activations, rises = self.activations(signal.samples), signal.shared(onsets)
        bars = self.plain(activations)
        if odd := odd_bars(activations, bars):
            bpm = round(tempo_bpm(odd.beats[:, 0]), 2)
            return self._rhythm(odd, activations, [TempoLevel(bpm=bpm, probability=ODD_LEVEL)])
        bpm = tempo_bpm(bars.beats[:, 0])
        pulse = beats_per_pulse(accents(rises, bars.beats[:, 0]), bpm)
        if pulse > 1:
            bars = self._near(bpm / pulse, activations, bars)
        bpm = tempo_bpm(bars.beats[:, 0])
        bar = int(bars.beats[:, 1].max())
        levels = tempo_levels(bpm, bar, activations, rises)
        counted_bpm = level_to_count(levels, bpm, is_struck(rises), bar)
        if abs(counted_bpm / bpm - 1) > SAME_LEVEL:
            bars = self._near(counted_bpm, activations, bars)
        return self._rhythm(bars, activations, levels)

    def plain(self, activations: np.ndarray) -> Bars:
        """The beats at the level that the network likes best. Raises NothingFoundError where no beat is heard."""
        bars = self._decode(activations, self.min_bpm, self.max_bpm)
        if len(bars.beats) < 2:
            raise NothingFoundError(f"madmom hears {len(bars.beats)} beats")
        return bars

    def _near(self, bpm: float, activations: np.ndarray, bars: Bars) -> Bars:
        """The beats near a tempo; those that are known where there are none."""
        found = self._decode(activations, bpm / NARROW, bpm * NARROW)
        return found if len(found.beats) >= 2 else bars

    def activations(self, samples: np.ndarray) -> np.ndarray:
        """Probabilities of (beat, downbeat) at each frame. Shape (T, 2).

        Recordings longer than a block are heard block by block, each with a little of what is around it.
        """
        parts, count, gain = [], num_frames(len(samples), HOP_SIZE), gain_to(HEARD_LEVEL, samples)
        for start in range(0, max(count - CONTEXT_FRAMES, 1), BLOCK_FRAMES):
            stop = count if start + BLOCK_FRAMES + CONTEXT_FRAMES >= count else start + BLOCK_FRAMES
            first = max(start - CONTEXT_FRAMES, 0)
            heard = samples[first * HOP_SIZE : (stop + CONTEXT_FRAMES) * HOP_SIZE] * gain
            parts.append(np.asarray(self._nets(self.features(heard)))[start - first : stop - first, 1:])
        return np.concatenate(parts)

    def features(self, samples: np.ndarray) -> np.ndarray:
        """What the nets see: log spectra of three frame sizes and their rises. Shape (T, 314)."""
        columns = []
        for size, bank in self._banks.items():
            spectrum = np.log10(filtered(samples, size, HOP_SIZE, [bank])[0] + 1)
            rises, lag = np.zeros_like(spectrum), self._lags[size]
            rises[lag:] = np.maximum(spectrum[lag:] - spectrum[:-lag], 0)
            columns += [spectrum, rises]
        return np.hstack(columns)

    def _decode(self, activations: np.ndarray, min_bpm: float, max_bpm: float) -> Bars:
        return BarNetwork(tuple(self.beats_per_bar), min_bpm, max_bpm).decode(activations)

    def _rhythm(self, bars: Bars, activations: np.ndarray, levels: list[TempoLevel]) -> Rhythm:
        times, positions = bars.beats[:, 0], bars.beats[:, 1].astype(int)
        frames = np.round(times * FRAMES_PER_S).astype(int)
        confidence = round(float(np.clip(activations[frames].sum(axis=1).mean(), 0, 1)), 4)
        stamp = {"tool": "madmom", "tool_version": self._version, "confidence": confidence}
        return Rhythm(
            Beats(
                **stamp,
                beats_s=[round(float(t), 4) for t in times],
                positions=[int(p) for p in positions],
                beats_per_bar=int(positions.max()),
                meter_confidence=meter_confidence(bars, confidence),
            ),
            Tempo(**stamp | counted_at(levels, confidence, tempo_bpm(times))),
        )


def odd_bars(activations: np.ndarray, plain: Bars) -> Bars | None:
    """Bars of five or seven, where they explain the recording so much better that it is worth their rarity.

    A tracker that knows two, three and four counts a bar of five in two halves, at .4 of the beat.
    """
    bpm, best, found = tempo_bpm(plain.beats[:, 0]), max(plain.log_likelihoods), None
    for ratio in ODD_RATIOS:
        if bpm * ratio <= FASTEST_ODD_BPM:
            odd = BarNetwork(ODD_BARS, bpm * ratio / NARROW, bpm * ratio * NARROW).decode(activations)
            if len(odd.beats) < 2 * max(ODD_BARS):
                continue
            price = ODD_PRICE[int(odd.beats[:, 1].max())] * len(odd.beats)
            if max(odd.log_likelihoods) - price > best:
                best, found = max(odd.log_likelihoods) - price, odd
    return found


def meter_confidence(bars: Bars, heard: float) -> float:
    """Probability that the bar is duple or triple as it was counted, by the margin of its likelihood a beat.

    `heard` is the mean activation at the beats.
    """
    duple = max((x for bar, x in bars.by_length if bar % 2 == 0), default=-np.inf)
    others = [x for bar, x in bars.by_length if bar % 2]
    ranked = sorted([duple, *others], reverse=True)
    margin = (ranked[0] - ranked[1]) / max(len(bars.beats), 1) if len(ranked) > 1 and np.isfinite(ranked[1]) else 0.0
    odds = METER_BIAS + METER_SLOPE * np.log(margin + 0.1) + METER_HEARD * heard
    return round(float(1 / (1 + np.exp(-odds))), 4)


def _lag_frames(frame_size: int) -> int:
    """A rise is measured to the frame whose window has fallen to half: madmom's rule."""
    window = np.hanning(frame_size)
    sample = int(np.argmax(window > 0.5 * window.max()))
    return max(1, round((frame_size / 2 - sample) / HOP_SIZE))
