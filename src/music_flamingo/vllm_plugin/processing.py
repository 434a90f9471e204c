"""Prompts and recordings as the model's inputs: log-mel windows, and as many audio tokens between their marks.

vLLM calls transformers' processor with texts or without, from version to version. That one expands the audio token in
the text, and refuses a sound without a text; `Sounds` takes both, and works the same features out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from transformers import BatchFeature
from transformers.models.musicflamingo import MusicFlamingoConfig, MusicFlamingoProcessor
from vllm.multimodal.inputs import MultiModalFieldConfig
from vllm.multimodal.parse import MultiModalDataParser
from vllm.multimodal.processing import (
    BaseDummyInputsBuilder,
    BaseMultiModalProcessor,
    BaseProcessingInfo,
    PromptReplacement,
    PromptUpdateDetails,
)

from .windowing import RULE_KEY, SoundWindows, audio_tokens


class Sounds:
    """Stands for transformers' MusicFlamingoProcessor where vLLM calls it."""

    def __init__(self, processor: MusicFlamingoProcessor, windows: SoundWindows) -> None:
        self.processor, self.windows = processor, windows

    def __call__(self, text: Any = None, audio: Any = None, audios: Any = None, **options: Any) -> BatchFeature:
        """Ids of the text, if there is one, and the features of the recordings, if there are any.

        The audio token in the text stays one; vLLM replaces it.
        """
        inputs = BatchFeature()
        sounds = audios if audio is None else audio
        if sounds:
            inputs.update(self._features([np.asarray(sound, dtype=np.float32) for sound in sounds]))
        if text is not None:
            special = options.get("add_special_tokens", True)
            ids = self.processor.tokenizer(text, add_special_tokens=special)["input_ids"]
            inputs["input_ids"] = [ids] if isinstance(text, str) else ids
        return inputs

    def _features(self, sounds: Sequence[np.ndarray]) -> dict[str, torch.Tensor]:
        extractor = self.processor.feature_extractor
        heard = [sound[slice(*self.windows.heard(len(sound)))] for sound in sounds]
        chunks = [[sound[start:end] for start, end in self.windows.chunks(len(sound))] for sound in heard]
        out = extractor(
            [chunk for of_sound in chunks for chunk in of_sound],
            sampling_rate=extractor.sampling_rate,
            return_attention_mask=True,
            padding="max_length",
            return_tensors="pt",
        )
        counts = [len(of_sound) for of_sound in chunks]
        tokens_W = audio_tokens(out["attention_mask"].sum(-1))
        return {
            "input_features": out["input_features"],
            "input_features_mask": out["attention_mask"],
            "chunk_counts": torch.tensor(counts),
            "num_audio_tokens": torch.stack([part.sum() for part in tokens_W.split(counts)]),
        }


class MusicFlamingoInfo(BaseProcessingInfo):  # type: ignore[misc]
    """What vLLM asks of a model's processor before there is a request."""

    def get_hf_config(self) -> MusicFlamingoConfig:
        """The configuration of the checkpoint."""
        return self.ctx.get_hf_config(MusicFlamingoConfig)

    def get_hf_processor(self, **kwargs: object) -> Sounds:
        """What stands for transformers' processor."""
        processor = self.ctx.get_hf_processor(MusicFlamingoProcessor, **kwargs)
        rules = getattr(self.get_hf_config(), RULE_KEY, None) or {}
        return Sounds(processor, SoundWindows.of(processor, rules))

    def get_data_parser(self) -> MultiModalDataParser:
        """Recordings come in at the model's rate, resampled by soxr."""
        rate_hz = self.get_hf_processor().processor.feature_extractor.sampling_rate
        return MultiModalDataParser(
            target_sr=rate_hz,
            target_channels=1,
            audio_resample_method="soxr",
            expected_hidden_size=self._get_expected_hidden_size(),
        )

    def get_supported_mm_limits(self) -> Mapping[str, int | None]:
        """One recording a prompt, as the model was trained."""
        return {"audio": 1}


class MusicFlamingoDummies(BaseDummyInputsBuilder):  # type: ignore[misc]
    """The longest recording, by which vLLM measures memory."""

    def get_dummy_text(self, mm_counts: Mapping[str, int]) -> str:
        """One audio token a recording."""
        return self.info.get_hf_processor().processor.audio_token * mm_counts.get("audio", 0)

    def get_dummy_mm_data(self, seq_len: int, mm_counts: Mapping[str, int], mm_options: Mapping[str, Any]) -> Any:
        """Silence of the longest length that is heard."""
        length, number = self.info.get_hf_processor().windows.max_samples, mm_counts.get("audio", 0)
        return {"audio": self._get_dummy_audios(length=length, num_audios=number, overrides=mm_options.get("audio"))}


class MusicFlamingoInputs(BaseMultiModalProcessor):  # type: ignore[misc]
    """Features of the windows of each recording (flat), their masks, and the counts by which they are told apart."""

    def _call_hf_processor(self, *args: Any, **kwargs: Any) -> BatchFeature:
        """Of vLLM 0.24: that it is overridden makes it call `Sounds`, and not the parts of transformers' processor."""
        return super()._call_hf_processor(*args, **kwargs)

    def _hf_processor_applies_updates(self, *args: Any, **kwargs: Any) -> bool:
        """Of vLLM 0.24: the audio token in the prompt is still one."""
        return False

    def _get_mm_fields_config(self, hf_inputs: BatchFeature, hf_processor_mm_kwargs: Mapping[str, object]) -> Any:
        counts = hf_inputs.get("chunk_counts", torch.empty(0, dtype=torch.long))
        return {
            "input_features": MultiModalFieldConfig.flat_from_sizes("audio", counts),
            "input_features_mask": MultiModalFieldConfig.flat_from_sizes("audio", counts),
            "chunk_counts": MultiModalFieldConfig.batched("audio"),
            "num_audio_tokens": MultiModalFieldConfig.batched("audio"),
        }

    def _get_prompt_updates(
        self, mm_items: Any, hf_processor_mm_kwargs: Mapping[str, object], out_mm_kwargs: Any
    ) -> Sequence[PromptReplacement]:
        processor = self.info.get_hf_processor().processor
        audio_id = processor.audio_token_id
        numbers = out_mm_kwargs.get_data().get("num_audio_tokens")

        def sound(item: int) -> PromptUpdateDetails:
            ids = [processor.audio_bos_token_id, *[audio_id] * int(numbers[item]), processor.audio_eos_token_id]
            return PromptUpdateDetails.select_token_id(ids, embed_token_id=audio_id)

        return [PromptReplacement(modality="audio", target=[audio_id], replacement=sound)]
