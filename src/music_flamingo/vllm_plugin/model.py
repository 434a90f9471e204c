"""Music Flamingo: transformers' encoder, RoTE and projector, and vLLM's Qwen2.

W encoder windows (of all recordings of a batch together), M mel bins, T mel frames, L encoder steps, D width.
The three small parts are transformers' own, so that their numbers are; the language model, where the time goes, is
vLLM's with its kernels, parallelism, quantisation and LoRA.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import nn
from transformers.models.audioflamingo3.modeling_audioflamingo3 import AudioFlamingo3Encoder
from transformers.models.musicflamingo.modeling_musicflamingo import (
    MusicFlamingoMultiModalProjector,
    MusicFlamingoRotaryEmbedding,
    apply_rotary_time_emb,
)
from vllm.config import VllmConfig
from vllm.model_executor.models.interfaces import SupportsLoRA, SupportsMultiModal, SupportsPP
from vllm.model_executor.models.module_mapping import MultiModelKeys
from vllm.model_executor.models.utils import (
    AutoWeightsLoader,
    WeightsMapper,
    init_vllm_registered_model,
    maybe_prefix,
)
from vllm.multimodal import MULTIMODAL_REGISTRY

from .processing import MusicFlamingoDummies, MusicFlamingoInfo, MusicFlamingoInputs
from .windowing import audio_tokens

STEP_FRAMES = 4
"""Mel frames of one encoder step."""


@MULTIMODAL_REGISTRY.register_processor(MusicFlamingoInputs, info=MusicFlamingoInfo, dummy_inputs=MusicFlamingoDummies)
class MusicFlamingoOnVllm(nn.Module, SupportsMultiModal, SupportsPP, SupportsLoRA):  # type: ignore[misc]
    """Serves windows of any length: 30 s as published (Music Flamingo and Audio Flamingo Next), and smaller."""

    packed_modules_mapping: ClassVar = {
        "qkv_proj": ["q_proj", "k_proj", "v_proj"],
        "gate_up_proj": ["gate_proj", "up_proj"],
    }
    hf_to_vllm_mapper = WeightsMapper(
        orig_to_new_prefix={
            # as transformers' modules are called: training hands weights over by these
            "model.language_model.": "language_model.model.",
            "model.audio_tower.": "audio_tower.",
            "model.multi_modal_projector.": "multi_modal_projector.",
            "lm_head.": "language_model.lm_head.",
            # as transformers 5.22 saved them
            "language_model.model.model.": "language_model.model.",
        }
    )
    """Published names stay as they are."""

    @classmethod
    def get_placeholder_str(cls, modality: str, i: int) -> str | None:
        """The audio token, where a chat template takes text alone."""
        return "<sound>" if modality.startswith("audio") else None

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__()
        config = vllm_config.model_config.hf_config
        self.config = config
        with self._mark_tower_model(vllm_config, "audio"):
            self.audio_tower = AudioFlamingo3Encoder(config.audio_config)
            self.multi_modal_projector = MusicFlamingoMultiModalProjector(config)
            self.pos_emb = MusicFlamingoRotaryEmbedding(config)
        with self._mark_language_model(vllm_config):
            self.language_model = init_vllm_registered_model(
                vllm_config=vllm_config,
                hf_config=config.text_config,
                prefix=maybe_prefix(prefix, "language_model"),
                architectures=["Qwen2ForCausalLM"],
            )
        self.make_empty_intermediate_tensors = self.language_model.make_empty_intermediate_tensors

    def get_mm_mapping(self) -> MultiModelKeys:
        """Prefixes of the parts."""
        return MultiModelKeys.from_string_field(
            language_model="language_model.", connector="multi_modal_projector.", tower_model="audio_tower."
        )

    def embed_multimodal(
        self, input_features: Any = None, input_features_mask: Any = None, chunk_counts: Any = None, **_: object
    ) -> list[torch.Tensor]:
        """Embeddings (tokens, D) of each recording's audio tokens."""
        if input_features is None:
            return []
        counts = [int(count) for count in chunk_counts]
        return self._sounds(_joined(input_features), _joined(input_features_mask), counts)

    def _sounds(self, features_WMT: torch.Tensor, mask_WT: torch.Tensor, counts: list[int]) -> list[torch.Tensor]:
        weight = self.audio_tower.conv1.weight
        features_WMT, mask_WT = features_WMT.to(weight), mask_WT.to(weight.device)
        hidden_WLD = self.audio_tower(features_WMT, input_features_mask=mask_WT, return_dict=True).last_hidden_state
        times_WL = self._times(counts, hidden_WLD.shape[1], hidden_WLD.device)
        cos, sin = self.pos_emb(times_WL, seq_len=hidden_WLD.shape[1])
        hidden_WLD = self.multi_modal_projector(apply_rotary_time_emb(hidden_WLD, cos, sin))
        lengths = audio_tokens(mask_WT.sum(-1).long()).tolist()
        parts = [window[:length] for window, length in zip(hidden_WLD, lengths, strict=True)]
        starts = [sum(counts[:number]) for number in range(len(counts))]
        return [torch.cat(parts[start : start + count]) for start, count in zip(starts, counts, strict=True)]

    def _times(self, counts: list[int], num_steps: int, device: torch.device) -> torch.Tensor:
        """(W, L) seconds since its recording's beginning of each encoder step."""
        step_s = self.config.audio_frame_step * STEP_FRAMES
        windows_W = torch.cat([torch.arange(count, device=device, dtype=torch.float32) for count in counts])
        offsets_L = torch.arange(num_steps, device=device, dtype=torch.float32) * step_s
        return windows_W[:, None] * num_steps * step_s + offsets_L

    def forward(
        self,
        input_ids: torch.Tensor,
        positions: torch.Tensor,
        intermediate_tensors: Any = None,
        inputs_embeds: torch.Tensor | None = None,
        **_: object,
    ) -> Any:
        """Hidden states of the language model."""
        if intermediate_tensors is not None:
            inputs_embeds = None
        return self.language_model.model(input_ids, positions, intermediate_tensors, inputs_embeds=inputs_embeds)

    def compute_logits(self, hidden_states: torch.Tensor) -> torch.Tensor | None:
        """Logits of the next token."""
        return self.language_model.compute_logits(hidden_states)

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> set[str]:
        """Load weights under published names or transformers' own; raises ValueError for a name that is neither."""
        return AutoWeightsLoader(self).load_weights(weights, mapper=self.hf_to_vllm_mapper)


def _joined(values: torch.Tensor | list[torch.Tensor]) -> torch.Tensor:
    return torch.cat(list(values)) if isinstance(values, list | tuple) else values
