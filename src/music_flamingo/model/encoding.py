"""Sounds to embeddings, a few encoder windows at a time: what is in hand stays in the processor's cache, and whoever
waits for the model waits for one slice, not for a song.

W windows, M mel bins, T frames, S encoder positions of a window, N audio tokens of a sound, D width of the text model.
"""

import copy
from collections.abc import Iterator, Sequence

import torch
from transformers.models.musicflamingo.modeling_musicflamingo import apply_rotary_time_emb

from music_flamingo.model.chat import EncoderAudio
from music_flamingo.model.fused_text import FusedText, packed

SLICE_FRAMES = 2400
"""Mel frames that are encoded at once: eight windows of 6 s with hops of 20 ms, or one of 30 s."""


class SoundEncoder:
    """Encoder, rotary time embedding and projector, as transformers' `get_audio_features` joins them."""

    def __init__(self, model) -> None:
        self._model, base = model, model.base_model
        self._tower, self._rotary, self._projector = base.audio_tower, base.pos_emb, base.multi_modal_projector
        self._token_s = model.config.audio_frame_step * 4
        if FusedText.fits(model):
            self._tower, self._projector = _with_packed(self._tower), _with_packed(self._projector)

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
        hidden = self._tower(features_WMT.to(device, dtype), input_features_mask=mask_WT).last_hidden_state
        length = hidden.shape[-2]
        times = torch.arange(length, device=device, dtype=torch.float32) * self._token_s
        cos, sin = self._rotary(order_W[:, None] * length * self._token_s + times, seq_len=length)
        embeds = self._projector(apply_rotary_time_emb(hidden, cos, sin))
        _, lengths_W = self._model.base_model.audio_tower._get_feat_extract_output_lengths(mask_WT.sum(-1).long())
        return embeds[torch.arange(length, device=device)[None] < lengths_W[:, None]]


class _Packed(torch.nn.Module):
    def __init__(self, layer: torch.nn.Linear) -> None:
        super().__init__()
        self.forward = packed(layer.weight, layer.bias, SLICE_FRAMES // 2)  # type: ignore[method-assign]


def _with_packed(module: torch.nn.Module) -> torch.nn.Module:
    """A copy whose linear layers are packed for oneDNN."""
    module = copy.deepcopy(module)
    for part in list(module.modules()):
        for name, layer in part.named_children():
            if type(layer) is torch.nn.Linear:
                setattr(part, name, _Packed(layer))
    return module
