"""Level in numbers: EBU R128 loudness and range (ITU-R BS.1770-4, EBU Tech 3342), peak, silence, clipping.

Fed block by block, so that a recording never lies in memory whole. Mono counts as one channel of weight 1.
"""

import numpy as np

from music_flamingo.records import Loudness

ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
RANGE_GATE_LU = -20.0
MOMENTARY_STEPS, SHORT_TERM_STEPS = 4, 30
"""400 ms and 3 s, in steps of 100 ms."""
SILENT_FRAME_DBFS = -60.0
FLOOR_DBFS = -120.0
FULL_SCALE = 32767 / 32768 - 1e-6
CLIPPED_RUN = 3


class LoudnessMeter:
    """Feed blocks of shape (C, n); `result()` once at the end."""

    def __init__(self, rate_hz: int, num_channels: int) -> None:
        self._sos = k_weighting(rate_hz)
        self._state = np.zeros((len(self._sos), num_channels, 2))
        self._weighted_power = FrameMeans(round(rate_hz * 0.1))
        self._power = FrameMeans(round(rate_hz * 0.05))
        self._peak = 0.0
        self._num_samples = 0
        self._num_clipped = 0
        self._runs = np.zeros(num_channels, dtype=np.int64)

    def feed(self, block: np.ndarray) -> None:
        """Take the next block, of shape (channels, samples)."""
        from scipy.signal import sosfilt

        weighted, self._state = sosfilt(self._sos, block.astype(np.float64), axis=1, zi=self._state)
        self._weighted_power.feed(np.square(weighted).sum(axis=0))
        self._power.feed(np.square(block, dtype=np.float64).mean(axis=0))
        self._peak = max(self._peak, float(np.abs(block).max(initial=0.0)))
        self._num_samples += block.size
        self._count_clipped(block)

    def _count_clipped(self, block: np.ndarray) -> None:
        """Samples in runs of three or more at full scale; a run may go on over blocks."""
        for channel, samples in enumerate(block):
            full = np.abs(samples) >= FULL_SCALE
            carried = int(self._runs[channel])
            if not full.any():
                self._runs[channel] = 0
                continue
            starts, ends = _runs(full)
            for start, end in zip(starts, ends, strict=True):
                before = carried if start == 0 else 0
                length = before + end - start
                if length >= CLIPPED_RUN:
                    self._num_clipped += length - (before if before >= CLIPPED_RUN else 0)
            self._runs[channel] = (ends[-1] - starts[-1] + (carried if starts[-1] == 0 else 0)) if full[-1] else 0

    def result(self) -> Loudness:
        """Loudness of all blocks so far."""
        frames = self._power.all()
        silent = frames < 10 ** (SILENT_FRAME_DBFS / 10)
        integrated, spread = integrated_and_range(self._weighted_power.whole())
        return Loudness(
            integrated_lufs=round(integrated, 2),
            range_lu=round(spread, 2),
            peak_dbfs=round(max(20 * np.log10(max(self._peak, 1e-12)), FLOOR_DBFS), 2),
            silence_fraction=round(float(silent.mean()) if len(silent) else 1.0, 4),
            clipped_fraction=round(self._num_clipped / max(self._num_samples, 1), 6),
        )


class FrameMeans:
    """Means over frames of `size` samples of a stream that comes in blocks."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._rest = np.zeros(0)
        self._means: list[np.ndarray] = []

    def feed(self, values: np.ndarray) -> None:
        """Take the next values; only means of whole frames are kept."""
        values = np.concatenate([self._rest, values])
        count = len(values) // self._size
        self._means.append(values[: count * self._size].reshape(count, self._size).mean(axis=1))
        self._rest = values[count * self._size :]

    def whole(self) -> np.ndarray:
        """Of the complete frames."""
        return np.concatenate(self._means) if self._means else np.zeros(0)

    def all(self) -> np.ndarray:
        """Of the complete frames and of the rest."""
        rest = [np.array([self._rest.mean()])] if len(self._rest) else []
        return np.concatenate([self.whole(), *rest])


def integrated_and_range(step_power: np.ndarray) -> tuple[float, float]:
    """(integrated loudness in LUFS, loudness range in LU) from the weighted power of each 100 ms."""
    momentary = _loudness(_sliding_mean(step_power, MOMENTARY_STEPS))
    integrated = ABSOLUTE_GATE_LUFS
    gated = momentary[momentary > ABSOLUTE_GATE_LUFS]
    if len(gated):
        gated = gated[gated > _mean_loudness(gated) + RELATIVE_GATE_LU]
        integrated = _mean_loudness(gated)
    short_term = _loudness(_sliding_mean(step_power, SHORT_TERM_STEPS))
    short_term = short_term[short_term > ABSOLUTE_GATE_LUFS]
    if not len(short_term):
        return integrated, 0.0
    short_term = short_term[short_term > _mean_loudness(short_term) + RANGE_GATE_LU]
    low, high = np.percentile(short_term, [10, 95])
    return integrated, float(high - low)


def k_weighting(rate_hz: int) -> np.ndarray:
    """BS.1770's two filters (head shelf, then high pass) for any rate, as second-order sections. Shape (2, 6)."""
    k = np.tan(np.pi * 1681.974450955533 / rate_hz)
    q, high = 0.7071752369554196, 10 ** (3.999843853973347 / 20)
    band = high**0.4996667741545416
    a0 = 1 + k / q + k * k
    shelf = [high + band * k / q + k * k, 2 * (k * k - high), high - band * k / q + k * k]
    shelf_sos = [*(b / a0 for b in shelf), 1, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0]
    k = np.tan(np.pi * 38.13547087602444 / rate_hz)
    q = 0.5003270373238773
    a0 = 1 + k / q + k * k
    return np.array([shelf_sos, [1, -2, 1, 1, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0]])


def _sliding_mean(values: np.ndarray, width: int) -> np.ndarray:
    if len(values) < width:
        return np.zeros(0)
    return np.convolve(values, np.ones(width) / width, mode="valid")


def _loudness(power: np.ndarray) -> np.ndarray:
    return -0.691 + 10 * np.log10(np.maximum(power, 1e-12))


def _mean_loudness(loudness: np.ndarray) -> float:
    """Loudness of the mean power."""
    return float(10 * np.log10(np.mean(10 ** (loudness / 10))))


def _runs(flags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(starts, ends) of the runs of True."""
    edges = np.diff(np.concatenate([[0], flags.astype(np.int8), [0]]))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
