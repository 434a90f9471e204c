"""Sounds to embeddings, a few encoder windows at a time: what is in hand stays in the processor's cache, and whoever
waits for the model waits for one slice, not for a song.

W windows, M mel bins, T frames, S encoder positions of a window, N audio tokens of a sound, D width of the text model.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch.nn import functional
from transformers.activations import GELUActivation
from transformers.models.musicflamingo.modeling_musicflamingo import apply_rotary_time_emb

from music_flamingo.model.chat import EncoderAudio
from music_flamingo.model.fused_text import FusedText, joined, packed

SLICE_FRAMES = 2400
"""Mel frames that are encoded at once: eight windows of 6 s with hops of 20 ms, or one of 30 s."""


Forward = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class SoundEncoder:
    """Encoder, rotary time embedding and projector, as transformers' `get_audio_features` joins them."""

    def __init__(self, model) -> None:
        self._model, base = model, model.base_model
        self._forward, self._rotary, self._projector = _forward_of(model), base.pos_emb, base.multi_modal_projector
        self._token_s = model.config.audio_frame_step * 4

    @torch.inference_mode()
    def __call__(self, sounds: Sequence[EncoderAudio]) -> list[torch.Tensor]:
        """(N, D) of each sound: what its tokens' places in a prompt are filled with."""
        return torch.cat(list(self.slices(sounds))).split([sound.num_tokens for sound in sounds])

    def slices(self, sounds: Sequence[EncoderAudio]) -> Iterator[torch.Tensor]:
        """The same, piece by piece: joined they are the embeddings of all sounds, one after the other."""
        features_WMT = torch.cat([sound.features_WMT for sound in sounds])
        mask_WT = torch.cat([sound.mask_WT for sound in sounds])
        order_W = torch.cat([torch.arange(len(sound.mask_WT)) for sound in sounds])
        num_windows = max(1, SLICE_FRAMES // features_WMT.shape[-1])
        for start in range(0, len(order_W), num_windows):
            part = slice(start, start + num_windows)
            yield self._encode(features_WMT[part], mask_WT[part], order_W[part])

    @torch.inference_mode()
    def _encode(self, features_WMT: torch.Tensor, mask_WT: torch.Tensor, order_W: torch.Tensor) -> torch.Tensor:
        """`order_W`: which window of its sound each is."""
        device, dtype = self._model.device, self._model.dtype
        mask_WT, order_W = mask_WT.to(device), order_W.to(device)
        hidden = self._forward(features_WMT.to(device, dtype), mask_WT)
        length = hidden.shape[-2]
        times = torch.arange(length, device=device, dtype=torch.float32) * self._token_s
        cos, sin = self._rotary(order_W[:, None] * length * self._token_s + times, seq_len=length)
        embeds = self._projector(apply_rotary_time_emb(hidden, cos, sin))
        _, lengths_W = self._model.base_model.audio_tower._get_feat_extract_output_lengths(mask_WT.sum(-1).long())
        return embeds[torch.arange(length, device=device)[None] < lengths_W[:, None]]


def _forward_of(model) -> Forward:
    """(features (W, M, T), mask (W, T)) -> (W, S, D) encoded: by an own fused pass, else by transformers."""
    tower = model.base_model.audio_tower
    if FusedText.fits(model) and _is_plain(tower):
        return FusedEncoder(tower)

    def forward(features_WMT: torch.Tensor, mask_WT: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = tower(features_WMT, input_features_mask=mask_WT).last_hidden_state
        return hidden

    return forward


def _is_plain(tower) -> bool:
    parts = [part for layer in tower.layers for part in layer.modules()]
    plain = {
        torch.nn.Linear,
        torch.nn.LayerNorm,
        type(tower.layers[0]),
        type(tower.layers[0].self_attn),
        GELUActivation,
    }
    return tower.config.activation_function == "gelu" and {type(part) for part in parts} <= plain


class FusedEncoder:
    """The encoder of Audio Flamingo 3 without its dropouts and checks, its products packed for oneDNN."""

    def __init__(self, tower) -> None:
        self._tower, self._heads = tower, tower.config.encoder_attention_heads
        rows = SLICE_FRAMES // 2
        self._products = [
            (
                joined([layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj], rows),
                joined([layer.self_attn.out_proj], rows),
                packed(layer.fc1.weight, layer.fc1.bias, rows, then="gelu"),
                joined([layer.fc2], rows),
            )
            for layer in tower.layers
        ]

    def __call__(self, features_WMT: torch.Tensor, mask_WT: torch.Tensor) -> torch.Tensor:
        """(W, S, D); where a window's mask ends, what is behind it is not heard."""
        tower = self._tower
        hidden = functional.gelu(tower.conv2(functional.gelu(tower.conv1(features_WMT)))).permute(0, 2, 1)
        hidden = hidden + tower.embed_positions.weight
        num_windows, length, width = hidden.shape
        heard = None
        if not bool(mask_WT.all()):
            lengths_W1 = (mask_WT.sum(-1, keepdim=True) - 1) // 2 + 1
            heard = (torch.arange(length)[None] < lengths_W1)[:, None, None]
        for layer, (qkv, out, widen, narrow) in zip(tower.layers, self._products, strict=True):
            parts = qkv(layer.self_attn_layer_norm(hidden)).view(num_windows, length, 3, self._heads, -1)
            q, k, v = parts.permute(2, 0, 3, 1, 4)
            seen = functional.scaled_dot_product_attention(q, k, v, attn_mask=heard)
            hidden = hidden + out(seen.transpose(1, 2).reshape(num_windows, length, width))
            hidden = hidden + narrow(widen(layer.final_layer_norm(hidden)))
        pairs = hidden[:, : length // 2 * 2].reshape(num_windows, length // 2, 2, width)
        pooled: torch.Tensor = tower.layer_norm(pairs.mean(2))
        return pooled
