"""FLAC in memory: 16-bit, mono. The training set's audio and the rendered originals are of this form."""

import io

import numpy as np

MODEL_RATE_HZ = 16000
BLOCK_SAMPLES = 2**20


def encode_flac(samples: np.ndarray, rate_hz: int = MODEL_RATE_HZ) -> bytes:
    """Float samples in -1 to 1, shape (n,), as 16-bit FLAC. The same samples give the same bytes."""
    import soundfile

    if samples.ndim != 1:
        raise ValueError(f"encode_flac takes mono samples of shape (n,), not {samples.shape}")
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", rate_hz, 1, format="FLAC", subtype="PCM_16") as file:
        # in blocks: twenty minutes in doubles are 154 MB, several times
        for start in range(0, len(samples), BLOCK_SAMPLES):
            block = samples[start : start + BLOCK_SAMPLES].astype(np.float64)
            file.write(np.clip(np.rint(block * 32768), -32768, 32767).astype(np.int16))
    return buffer.getvalue()


def decode_flac(data: bytes) -> np.ndarray:
    """Mono float32 samples, shape (n,), of bytes that `encode_flac` made."""
    import soundfile

    samples, _ = soundfile.read(io.BytesIO(data), dtype="float32")
    return np.asarray(samples, dtype=np.float32)
