"""The dimensions of a MusicFlamingo and their counts of parameters and floating-point operations. No torch.

A multiplication with its addition counts as two operations. L tokens of a sample, D width, V vocabulary.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from music_flamingo.model.size import TinySize

Part = Literal["encoder", "projector", "language", "head"]
PARTS: tuple[Part, ...] = ("encoder", "projector", "language", "head")

KERNEL = 3
"""Of both convolutions of the encoder."""


@dataclass(frozen=True)
class Linear:
    """One matrix, by the name that the model's own layer has."""

    part: Part
    name: str
    inputs: int
    outputs: int
    has_bias: bool

    @property
    def parameters(self) -> int:
        """Number of parameters: outputs x (inputs + 1 with a bias)."""
        return self.outputs * (self.inputs + self.has_bias)


@dataclass(frozen=True)
class Shape:
    """Dimensions of the audio encoder, the projector and the language model."""

    mel_bins: int
    encoder_layers: int
    encoder_width: int
    encoder_feed_forward: int
    encoder_positions: int
    """Of a window; two mel frames before and half an audio token after each."""
    language_layers: int
    width: int
    feed_forward: int
    heads: int
    key_value_heads: int
    head_width: int
    vocabulary: int
    window_s: float
    context_tokens: int

    @classmethod
    def of_config(cls, config: Any, window_s: float) -> "Shape":
        """Of a MusicFlamingoConfig; the window's length stands in the processor."""
        audio, text = config.audio_config, config.text_config
        return cls(
            mel_bins=audio.num_mel_bins,
            encoder_layers=audio.num_hidden_layers,
            encoder_width=audio.hidden_size,
            encoder_feed_forward=audio.intermediate_size,
            encoder_positions=audio.max_source_positions,
            language_layers=text.num_hidden_layers,
            width=text.hidden_size,
            feed_forward=text.intermediate_size,
            heads=text.num_attention_heads,
            key_value_heads=text.num_key_value_heads,
            head_width=getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads,
            vocabulary=text.vocab_size,
            window_s=window_s,
            context_tokens=text.max_position_embeddings,
        )

    @classmethod
    def of_tiny(cls, size: TinySize, sample_rate_hz: int) -> "Shape":
        """`vocabulary` is the most that its tokenizer will find; with few words it finds less."""
        return cls(
            mel_bins=size.mel_bins,
            encoder_layers=size.encoder_layers,
            encoder_width=size.width,
            encoder_feed_forward=4 * size.width,
            encoder_positions=size.window_s * sample_rate_hz // size.hop_samples // 2,
            language_layers=size.language_layers,
            width=size.width,
            feed_forward=size.feed_forward,
            heads=size.heads,
            key_value_heads=size.key_value_heads,
            head_width=size.width // size.heads,
            vocabulary=size.vocabulary,
            window_s=size.window_s,
            context_tokens=size.context_tokens,
        )

    @property
    def window_tokens(self) -> int:
        """Audio tokens of a full window (published: 750)."""
        return self.encoder_positions // 2

    def audio_tokens(self, audio_s: float) -> int:
        """Audio tokens that `audio_s` seconds become after the projector."""
        return round(audio_s / self.window_s * self.window_tokens)

    def windows(self, audio_s: float) -> int:
        """A last window that is not full costs the encoder as much as a full one: it is padded."""
        return max(1, -(-round(audio_s * 1000) // round(self.window_s * 1000)))

    def linears(self) -> Iterator[Linear]:
        """Every matrix that a token passes, without embeddings and convolutions."""
        e, d = self.encoder_width, self.width
        for n in range(self.encoder_layers):
            at = f"model.audio_tower.layers.{n}"
            for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
                yield Linear("encoder", f"{at}.self_attn.{name}", e, e, name != "k_proj")
            yield Linear("encoder", f"{at}.fc1", e, self.encoder_feed_forward, True)
            yield Linear("encoder", f"{at}.fc2", self.encoder_feed_forward, e, True)
        yield Linear("projector", "model.multi_modal_projector.linear_1", e, d, True)
        yield Linear("projector", "model.multi_modal_projector.linear_2", d, d, True)
        query, pair = self.heads * self.head_width, self.key_value_heads * self.head_width
        for n in range(self.language_layers):
            at = f"model.language_model.layers.{n}"
            yield Linear("language", f"{at}.self_attn.q_proj", d, query, True)
            yield Linear("language", f"{at}.self_attn.k_proj", d, pair, True)
            yield Linear("language", f"{at}.self_attn.v_proj", d, pair, True)
            yield Linear("language", f"{at}.self_attn.o_proj", query, d, False)
            for name in ("gate_proj", "up_proj"):
                yield Linear("language", f"{at}.mlp.{name}", d, self.feed_forward, False)
            yield Linear("language", f"{at}.mlp.down_proj", self.feed_forward, d, False)
        yield Linear("head", "lm_head", d, self.vocabulary, False)

    def parameters(self) -> dict[str, int]:
        """By part; the embeddings of words stand with the language model."""
        e, d = self.encoder_width, self.width
        counts = {part: sum(one.parameters for one in self.linears() if one.part == part) for part in PARTS}
        counts["encoder"] += e * (self.mel_bins * KERNEL + 1) + e * (e * KERNEL + 1)  # convolutions
        counts["encoder"] += self.encoder_positions * e + (2 * self.encoder_layers + 1) * 2 * e  # positions, norms
        counts["language"] += self.vocabulary * d + (2 * self.language_layers + 1) * d
        return {str(part): count for part, count in counts.items()}

    def adapters(self, rank: int, targets: str) -> int:
        """Parameters of LoRA next to the matrices whose whole names `targets` matches."""
        return sum(rank * (m.inputs + m.outputs) for m in self.linears() if re.fullmatch(targets, m.name))

    # --- operations of one forward pass ---

    def encoder_operations(self, windows: int) -> float:
        """Floating-point operations of one forward pass of the encoder over `windows` windows."""
        e, positions = self.encoder_width, self.encoder_positions
        convolutions = 2 * KERNEL * e * (2 * positions * self.mel_bins + positions * e)
        return windows * (convolutions + positions * self._per_token("encoder") + self._encoder_attention())

    def projector_operations(self, audio_tokens: int) -> float:
        """Floating-point operations of one forward pass of the projector."""
        return audio_tokens * self._per_token("projector")

    def language_operations(self, tokens: int) -> float:
        """Of the matrices, for so many tokens, wherever they stand."""
        return tokens * self._per_token("language")

    def attention_operations(self, length: int, after: int = 0) -> float:
        """Of causal attention over `length` tokens that follow `after` others."""
        pairs = length * after + length * length / 2
        return 4 * pairs * self.heads * self.head_width * self.language_layers

    def head_operations(self, tokens: int) -> float:
        """Floating-point operations of the language-model head over `tokens` tokens."""
        return tokens * self._per_token("head")

    def _encoder_attention(self) -> float:
        """Both ways, so that every position meets every other."""
        return 4 * self.encoder_positions**2 * self.encoder_width * self.encoder_layers

    def _per_token(self, part: Part) -> int:
        return sum(2 * m.inputs * m.outputs for m in self.linears() if m.part == part)


PUBLISHED = Shape(
    mel_bins=128,
    encoder_layers=32,
    encoder_width=1280,
    encoder_feed_forward=5120,
    encoder_positions=1500,
    language_layers=28,
    width=3584,
    feed_forward=18944,
    heads=28,
    key_value_heads=4,
    head_width=128,
    vocabulary=151_672,
    window_s=30.0,
    context_tokens=24_576,
)
"""Whisper-large-v3's encoder and Qwen2.5-7B with the seven tokens that the family adds; the context is the paper's
24k."""
