"""One decoding pass over a recording: the model's copy, loudness and plain facts."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from music_flamingo.audio.decode import DecodeLimits, open_audio, require_audible
from music_flamingo.audio.flac import BLOCK_SAMPLES
from music_flamingo.audio.loudness import LoudnessMeter
from music_flamingo.audio.resampling import Resampler, to_mono
from music_flamingo.records import Loudness


@dataclass(frozen=True)
class DecodedRecording:
    """What one decoding gives."""

    model_copy: np.ndarray
    loudness: Loudness
    rate_hz: int
    num_channels: int
    duration_s: float
    tags: dict[str, str]
    """As `AudioStream.tags`: untrusted text."""


def samples_sha256(samples: np.ndarray) -> str:
    """Of the 16 kHz copy as 16-bit samples: equal for the same recording in another lossless container."""
    digest = hashlib.sha256()
    for start in range(0, len(samples), BLOCK_SAMPLES):
        digest.update(np.rint(np.clip(samples[start : start + BLOCK_SAMPLES], -1.0, 1.0) * 32767).astype("<i2"))
    return digest.hexdigest()


def hear(path: Path, limits: DecodeLimits) -> DecodedRecording:
    """Decode a recording once, in bounded memory. Raises BadAudioError, for one that will not be heard too."""
    with open_audio(path, limits) as audio:
        meter, resample = LoudnessMeter(audio.rate_hz, audio.num_channels), Resampler(audio.rate_hz)
        pieces, num_samples = [], 0
        for block in audio.blocks():
            num_samples += block.shape[1]
            meter.feed(block)
            pieces.append(resample.feed(to_mono(block)))
    loudness = meter.result()
    samples = np.concatenate([*pieces, resample.end()])
    require_audible(samples)
    return DecodedRecording(
        samples, loudness, audio.rate_hz, audio.num_channels, num_samples / audio.rate_hz, audio.tags
    )
