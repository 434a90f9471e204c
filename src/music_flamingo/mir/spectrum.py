"""Magnitude spectra computed in blocks, in constant memory.

T frames, F bins from 0 Hz, of `frame_size // 2 + 1`.
"""

from collections.abc import Iterator

import numpy as np

BLOCK_FRAMES = 512


def num_frames(num_samples: int, hop_size: int) -> int:
    """Number of frames of `num_samples` samples, the last one partial."""
    return -(-num_samples // hop_size)


def magnitudes(samples: np.ndarray, frame_size: int, hop_size: int) -> Iterator[np.ndarray]:
    """Blocks (T, F) float32 of the Hann-windowed spectrum. Frame t is centred on sample t * hop_size."""
    import scipy.fft

    count = num_frames(len(samples), hop_size)
    padded = np.zeros(frame_size + count * hop_size, np.float32)
    padded[frame_size // 2 : frame_size // 2 + len(samples)] = samples
    frames = np.lib.stride_tricks.sliding_window_view(padded, frame_size)[::hop_size][:count]
    window = np.hanning(frame_size).astype(np.float32)
    for start in range(0, count, BLOCK_FRAMES):
        yield np.abs(scipy.fft.rfft(frames[start : start + BLOCK_FRAMES] * window, axis=1))


def filtered(samples: np.ndarray, frame_size: int, hop_size: int, banks: list[np.ndarray]) -> list[np.ndarray]:
    """The spectrum through each filter bank (F, B): a list of (T, B)."""
    blocks = [
        [block[:, : bank.shape[0]] @ bank for bank in banks] for block in magnitudes(samples, frame_size, hop_size)
    ]
    return [np.concatenate([parts[i] for parts in blocks]) for i in range(len(banks))]
