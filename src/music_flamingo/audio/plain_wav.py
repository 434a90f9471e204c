"""Read the plainest WAV files without FFmpeg: a header of 44 bytes, 16-bit samples to the file's end, nothing else.

Shapes: block (C, n) float32 with C channels.
"""

import io
import struct

import numpy as np

from music_flamingo.audio.claims import holds_bare_samples
from music_flamingo.audio.decode import MAX_INT, DecodeLimits, require_audible
from music_flamingo.audio.resampling import Resampler, to_mono

HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
"""RIFF, size, WAVE, `fmt `, its size, format, channels, rate, bytes a second, bytes a frame, bits, `data`, its size."""
PCM, BITS = 1, 16
SPDIF_MARK = b"\x72\xf8\x1f\x4e"
"""With which a codec's frames begin that were taken off a digital line: FFmpeg looks for them behind such a header."""


def plain_model_copy(data: bytes, limits: DecodeLimits) -> np.ndarray | None:
    """Mono float32 samples at 16 kHz, to the bit those of `decode_model_copy`. Raises BadAudioError for silence.

    None for any other file, and for one that is refused for its length or form: FFmpeg's way has the reason.
    """
    if len(data) <= HEADER.size or len(data) > limits.max_bytes:
        return None
    riff, size, wave, fmt, fmt_size, kind, num_channels, rate_hz, byte_rate, frame_bytes, bits, mark, num_bytes = (
        HEADER.unpack_from(data)
    )
    is_plain = (
        (riff, wave, fmt, mark) == (b"RIFF", b"WAVE", b"fmt ", b"data")
        and (fmt_size, kind, bits) == (16, PCM, BITS)
        and (size, num_bytes) == (len(data) - 8, len(data) - HEADER.size)
        and 1 <= num_channels <= limits.max_channels
        and limits.min_rate_hz <= rate_hz <= limits.max_rate_hz
        and frame_bytes == num_channels * BITS // 8
        and byte_rate == rate_hz * frame_bytes
        and num_bytes % frame_bytes == 0
        and limits.min_duration_s <= num_bytes / byte_rate <= limits.max_duration_s
    )
    if not is_plain or SPDIF_MARK in data or not holds_bare_samples(io.BytesIO(data)):
        return None
    read = np.frombuffer(data, "<i2", offset=HEADER.size).reshape(-1, num_channels).T
    block = np.empty(read.shape, np.float32)
    np.multiply(read, np.float32(1 / MAX_INT[np.dtype(np.int16)]), out=block, casting="unsafe")
    resample = Resampler(rate_hz)
    samples = np.concatenate([resample.feed(to_mono(block)), resample.end()])
    require_audible(samples)
    return samples
