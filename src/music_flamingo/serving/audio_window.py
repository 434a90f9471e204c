"""Decode an upload and cut the audio window that the model receives."""

from dataclasses import dataclass

import numpy as np

from music_flamingo.audio.windows import Rule
from music_flamingo.core.errors import UserError
from music_flamingo.model.context import Hearing
from music_flamingo.serving.errors import ApiError
from music_flamingo.serving.uploads import Upload, decode_upload

DECODERS = 2
DECODING_S = 60.0
"""For one recording: 20 minutes take 2 to 4 s."""


@dataclass(frozen=True)
class AudioWindow:
    """What the model will hear of a recording."""

    samples: np.ndarray
    """float32 mono at the model's rate."""
    window_s: tuple[float, float]
    duration_s: float


def stretch_of(upload: Upload, hearing: Hearing, rule: Rule) -> AudioWindow:
    """Raises ApiError: 400 unreadable, 413 too large, 422 too short or too long."""
    return cut(decode_upload(upload, hearing.sample_rate_hz, hearing.max_audio_s), hearing, rule)


def cut(samples: np.ndarray, hearing: Hearing, rule: Rule) -> AudioWindow:
    """The stretch that is heard of a whole recording. Raises ApiError when it is too short."""
    try:
        start, end = hearing.window_of(len(samples), rule)
    except UserError as error:
        raise ApiError(422, str(error), "audio_too_short") from error
    rate = hearing.sample_rate_hz
    return AudioWindow(samples[start:end].copy(), (start / rate, end / rate), len(samples) / rate)
