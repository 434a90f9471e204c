"""Mix channels to mono, and resample mono blocks to the model's 16 kHz.

Shapes: block (C, n) float32 with C channels; mono (n,) float32.
"""

import numpy as np

from music_flamingo.audio.flac import MODEL_RATE_HZ


def to_mono(block: np.ndarray) -> np.ndarray:
    """(C, n) -> (n,): the mean of the channels."""
    return block[0] if len(block) == 1 else block.mean(axis=0, dtype=np.float32)


class Resampler:
    """Mono blocks of any rate to 16 kHz, by soxr, as one stream: the blocks' lengths leave no trace."""

    def __init__(self, rate_hz: int) -> None:
        import soxr

        self._stream = None
        if rate_hz != MODEL_RATE_HZ:
            self._stream = soxr.ResampleStream(rate_hz, MODEL_RATE_HZ, 1, dtype="float32", quality="HQ")

    def feed(self, mono: np.ndarray) -> np.ndarray:
        """Resample the next block of mono samples."""
        return mono if self._stream is None else self._stream.resample_chunk(np.ascontiguousarray(mono))

    def end(self) -> np.ndarray:
        """What the filter still holds."""
        nothing = np.zeros(0, np.float32)
        return nothing if self._stream is None else self._stream.resample_chunk(nothing, last=True)
