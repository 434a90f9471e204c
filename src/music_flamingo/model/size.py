"""Dimensions of a tiny MusicFlamingo, without torch, so that parameters load quickly."""

from pydantic import BaseModel, ConfigDict


class TinySize(BaseModel):
    """The tiny model's dimensions."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    width: int
    """Of encoder and language model alike."""
    encoder_layers: int
    language_layers: int
    heads: int
    key_value_heads: int
    feed_forward: int
    """Of the language model; the encoder's is four times the width."""
    vocabulary: int
    mel_bins: int
    fft_samples: int
    hop_samples: int
    window_s: int
    """The encoder's window (published: 30)."""
    max_audio_s: int
    """The model hears this much of a track; a multiple of `window_s`."""
    context_tokens: int
    init_std: float
    """0.02, the usual value, never learned to hear from scratch; 0.08 did."""
