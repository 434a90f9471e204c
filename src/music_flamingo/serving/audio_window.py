"""Decode an upload, cut the audio window that the model receives, and compute its log-mel features."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from music_flamingo.audio.decode import DecodeLimits, QuarantineReason
from music_flamingo.audio.windows import Rule
from music_flamingo.core.errors import UserError
from music_flamingo.model.context import Hearing
from music_flamingo.serving.errors import ApiError
from music_flamingo.serving.uploads import UPLOAD_LIMITS, Upload, decode_upload, longest_s

DECODER_MODULES = ("music_flamingo.model.chat", "music_flamingo.serving.audio_window")
"""What takes a decoder seconds to import."""
DECODERS = 2
"""Processes for recordings within `QUICK_LIMITS`, and as many for longer ones."""
QUICK_LIMITS = UPLOAD_LIMITS.model_copy(update={"max_duration_s": 120.0})
"""Few bytes may hold twenty minutes, which take seconds: what goes on beyond this is put aside for other processes."""
TOO_LONG = f"audio_{QuarantineReason.TOO_LONG}"
DECODING_S = 60.0
"""Of the processor, for one recording: 20 minutes take 2 to 4 s."""


@dataclass(frozen=True)
class AudioWindow:
    """What the model will hear of a recording."""

    samples: np.ndarray
    """float32 mono at the model's rate."""
    window_s: tuple[float, float]
    duration_s: float


@dataclass(frozen=True)
class WindowFeatures:
    """An audio window as the encoder takes it, in arrays that travel between processes.

    W encoder windows, M mel bins, T frames.
    """

    features_WMT: np.ndarray
    mask_WT: np.ndarray
    num_tokens: int
    window_s: tuple[float, float]
    duration_s: float


@dataclass(frozen=True)
class Ears:
    """From an upload to features, in any process."""

    processor: Any
    """transformers' own, with its tokenizer: one thread at a time."""
    hearing: Hearing
    rule: Rule

    def __call__(self, upload: Upload, limits: DecodeLimits | None = None) -> WindowFeatures | None:
        """Raises ApiError as `window_of_upload` does. None: longer than `limits`."""
        import torch

        torch.set_num_threads(1)
        window = window_of_upload(upload, self.hearing, self.rule, limits)
        return None if window is None else self.features(window)

    def features(self, window: AudioWindow) -> WindowFeatures:
        """Log-mel features, exactly as the processor gives them."""
        from music_flamingo.model.chat import hear

        sound = hear(self.processor, np.asarray(window.samples, dtype=np.float32))
        arrays = sound.features_WMT.numpy(), sound.mask_WT.numpy()
        return WindowFeatures(*arrays, sound.num_tokens, window.window_s, window.duration_s)


def window_of_upload(
    upload: Upload, hearing: Hearing, rule: Rule, limits: DecodeLimits | None = None
) -> AudioWindow | None:
    """Raises ApiError: 400 unreadable, 413 too large, 422 too short or too long. None: longer than `limits`.

    Without `limits` those of a request hold, and a recording may be as long as the model hears.
    """
    whole = UPLOAD_LIMITS.model_copy(update={"max_duration_s": longest_s(hearing.max_audio_s)})
    try:
        samples = decode_upload(upload, hearing.sample_rate_hz, limits or whole)
    except ApiError as error:
        if error.code == TOO_LONG and limits is not None:
            return None
        raise
    return cut(samples, hearing, rule)


def cut(samples: np.ndarray, hearing: Hearing, rule: Rule) -> AudioWindow:
    """The segment that is heard of a whole recording. Raises ApiError when it is too short."""
    try:
        start, end = hearing.window_of(len(samples), rule)
    except UserError as error:
        raise ApiError(422, str(error), "audio_too_short") from error
    rate = hearing.sample_rate_hz
    return AudioWindow(samples[start:end].copy(), (start / rate, end / rate), len(samples) / rate)
