"""Dimensions of a tiny MusicFlamingo, without torch, so that parameters load quickly."""

from pydantic import BaseModel, ConfigDict

from music_flamingo.core.ranges import Count, Positive


class TinySize(BaseModel):
    """The tiny model's dimensions."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    width: Count
    """Of encoder and language model alike."""
    encoder_layers: Count
    language_layers: Count
    heads: Count
    key_value_heads: Count
    feed_forward: Count
    """Of the language model; the encoder's is four times the width."""
    vocabulary: Count
    mel_bins: Count
    fft_samples: Count
    hop_samples: Count
    window_s: Count
    """The encoder's window (published: 30)."""
    max_audio_s: Count
    """The model hears this much of a track; a multiple of `window_s`."""
    context_tokens: Count
    init_std: Positive
    """0.02, the usual value, never learned to hear from scratch; 0.08 did."""
