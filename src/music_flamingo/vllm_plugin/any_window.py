"""vLLM's Music Flamingo, whose inputs are checked for the window that the release has, and not for 3,000 mel frames.

Only the shapes that vLLM demands of its inputs change: encoder, projector, RoTE and prompts are vLLM's own.
"""

from typing import Annotated

import torch
from vllm.model_executor.models import audioflamingo3, musicflamingo
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.utils.tensor_schema import TensorShape

Features = Annotated[torch.Tensor | list[torch.Tensor], TensorShape("num_chunks", "nmb", "frames")]
Mask = Annotated[torch.Tensor, TensorShape("num_chunks", "frames")]


class AnyWindowAudioInputs(audioflamingo3.AudioFlamingo3FeatureInputs):  # type: ignore[misc]
    """Audio inputs with a window of any size."""

    input_features: Features
    feature_attention_mask: Mask


class AnyWindowMusicInputs(musicflamingo.MusicFlamingoFeatureInputs):  # type: ignore[misc]
    """Inputs of Music Flamingo with a window of any size."""

    input_features: Features
    feature_attention_mask: Mask


# vLLM's functions look these names up in their own modules
audioflamingo3.AudioFlamingo3FeatureInputs = AnyWindowAudioInputs
musicflamingo.MusicFlamingoFeatureInputs = AnyWindowMusicInputs


@MULTIMODAL_REGISTRY.register_processor(
    musicflamingo.MusicFlamingoMultiModalProcessor,
    info=musicflamingo.MusicFlamingoProcessingInfo,
    dummy_inputs=musicflamingo.MusicFlamingoDummyInputsBuilder,
)
class AnyWindowMusicFlamingo(musicflamingo.MusicFlamingoForConditionalGeneration):  # type: ignore[misc]
    """Serves windows of any length, the published 30 s among them."""
