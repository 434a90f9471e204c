"""A permissively licensed replacement for Chromaprint: 32-bit chroma hashes at the same frame rate.

The idea is published (Jang, Yoo, Lee, Kim, Kalker: Pairwise Boosted Audio Fingerprint, 2009; Lalinsky: How does
Chromaprint work, 2011): a picture of 12 pitch classes over time, and words of comparisons between its regions, which
encoders and levels hardly touch. The comparisons here are plain ones and not Chromaprint's trained ones, so the words
of the two kinds have nothing to do with each other.

A frame lasts 0.372 s, one begins every 0.124 s; a word looks at 16 of them (2.2 s). Its bits, each "is more than":
0 to 11 the first half against the second, of each pitch class; 12 to 23 the middle against the ends; 24 to 29 a class
against its tritone; 30 the lower six classes against the upper; 31 the even against the odd.
"""

import numpy as np

WORDS_PER_S = 11025 / 1365.25
"""Chromaprint's: whoever compares words needs one pace."""
FRAME_S = 4096 / 11025
FRAMES_A_WORD = 16
LOWEST_HZ, HIGHEST_HZ = 28.0, 3520.0
SILENT_BELOW = 1e-6
"""Of a frame's energy: dither is no music."""
BLOCK_FRAMES = 256


def chroma_fingerprint(mono: np.ndarray, rate_hz: int) -> list[int]:
    """Words of a mono recording, each 0 to 2**32 - 1; none for less than about 2.3 s."""
    chroma = chromagram(mono, rate_hz)
    if len(chroma) < FRAMES_A_WORD:
        return []
    sums = np.concatenate([np.zeros((1, 12)), np.cumsum(chroma, axis=0)])

    def quarter(number: int) -> np.ndarray:
        """Sums of every word's first, second, third or fourth four frames. Shape (words, 12)."""
        begin, length = number * FRAMES_A_WORD // 4, FRAMES_A_WORD // 4
        count = len(chroma) - FRAMES_A_WORD + 1
        return sums[begin + length : begin + length + count] - sums[begin : begin + count]

    first, second, third, fourth = (quarter(n) for n in range(4))
    whole = first + second + third + fourth
    bits = np.concatenate(
        [
            first + second > third + fourth,
            second + third > first + fourth,
            whole[:, :6] > whole[:, 6:],
            whole[:, :6].sum(axis=1, keepdims=True) > whole[:, 6:].sum(axis=1, keepdims=True),
            whole[:, ::2].sum(axis=1, keepdims=True) > whole[:, 1::2].sum(axis=1, keepdims=True),
        ],
        axis=1,
    )
    return [int(word) for word in bits @ (1 << np.arange(32, dtype=np.uint64))]


def chromagram(mono: np.ndarray, rate_hz: int) -> np.ndarray:
    """Energy of the 12 pitch classes from A up, of length 1 in every frame, 0 in silence. Shape (frames, 12)."""
    size = round(FRAME_S * rate_hz)
    if len(mono) < size:
        return np.zeros((0, 12))
    count = int((len(mono) - size) / rate_hz * WORDS_PER_S) + 1
    starts = np.rint(np.arange(count) / WORDS_PER_S * rate_hz).astype(np.int64)
    window, classes = np.hanning(size), _classes(size, rate_hz)
    blocks = []
    for at in range(0, count, BLOCK_FRAMES):
        frames = mono[starts[at : at + BLOCK_FRAMES, None] + np.arange(size)]
        energy = np.square(np.abs(np.fft.rfft(frames * window, axis=1))) @ classes / size
        length = np.linalg.norm(energy, axis=1, keepdims=True)
        blocks.append(np.where(length > SILENT_BELOW, energy / np.maximum(length, SILENT_BELOW), 0.0))
    return np.concatenate(blocks)


def _classes(size: int, rate_hz: int) -> np.ndarray:
    """Which bin of the spectrum belongs to which pitch class. Shape (bins, 12)."""
    frequencies = np.fft.rfftfreq(size, 1 / rate_hz)
    heard = (frequencies >= LOWEST_HZ) & (frequencies <= HIGHEST_HZ)
    pitch = np.rint(12 * np.log2(np.where(heard, frequencies, 440.0) / 440.0)).astype(np.int64) % 12
    return np.eye(12)[pitch] * heard[:, None]
