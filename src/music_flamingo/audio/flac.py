"""FLAC in memory: 16-bit, mono. The training set's audio and the rendered originals are of this form."""

import io

import numpy as np

MODEL_RATE_HZ = 16000


def encode_flac(samples: np.ndarray, rate_hz: int = MODEL_RATE_HZ) -> bytes:
    """Float samples in -1 to 1, shape (n,), as 16-bit FLAC. The same samples give the same bytes."""
    import soundfile

    if samples.ndim != 1:
        raise ValueError(f"encode_flac takes mono samples of shape (n,), not {samples.shape}")
    pcm = np.clip(np.rint(samples.astype(np.float64) * 32768), -32768, 32767).astype(np.int16)
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, rate_hz, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def decode_flac(data: bytes) -> np.ndarray:
    """Mono float32 samples, shape (n,), of bytes that `encode_flac` made."""
    import soundfile

    samples, _ = soundfile.read(io.BytesIO(data), dtype="float32")
    return np.asarray(samples, dtype=np.float32)
