"""Packing: conversations of any length one after another in a single row, none seeing another, without padding.

A batch padded to its longest sample computes mostly padding when songs of 30 s lie beside songs of 15 min (750 against
22,500 audio tokens). Here the samples of a batch are one row of N tokens whose positions start anew with each sample,
and attention runs sample by sample: the cost is the sum of the samples' own, and the logits are those of each alone.

N tokens of all samples, S samples, H heads, D width of a head.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, pairwise

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from music_flamingo.model.chat import Sound, Tokens, audio_of

SEGMENTED = "segmented_sdpa"
"""The name of this attention among transformers' own."""


def packed_batch_of(tokens: Sequence[Tokens], sounds: Sequence[Sound]) -> dict[str, torch.Tensor]:
    """input_ids and position_ids (1, N), bounds (S + 1), and the sounds in the order of their samples."""
    lengths = [len(t.ids) for t in tokens]
    return {
        "input_ids": torch.tensor([[i for t in tokens for i in t.ids]]),
        "position_ids": torch.cat([torch.arange(length) for length in lengths])[None],
        "bounds": torch.tensor([0, *accumulate(lengths)]),
        **audio_of(sounds),
    }


def hidden_states(model, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """(1, N, width) hidden states of the language model over a packed batch."""
    with segmented(model):
        return model.base_model(
            input_ids=batch["input_ids"],
            position_ids=batch["position_ids"],
            # no mask is wanted: a mapping is passed on as it is
            attention_mask={"full_attention": None},
            input_features=batch["input_features"],
            input_features_mask=batch["input_features_mask"],
            # a cache would take the row for one sample: the second one is then wrong by 12 logits
            use_cache=False,
            segment_bounds=batch["bounds"].tolist(),
        ).last_hidden_state


@contextmanager
def segmented(model) -> Iterator[None]:
    """The language model attends within segments; its encoder, and its own generation later, stay as they are."""
    config = model.config.text_config
    before = config._attn_implementation
    config._attn_implementation = SEGMENTED
    try:
        yield
    finally:
        config._attn_implementation = before


def _segmented_attention(
    module: torch.nn.Module,
    query_1HND: torch.Tensor,
    key_1HND: torch.Tensor,
    value_1HND: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    segment_bounds: Sequence[int],
    **kwargs,
) -> tuple[torch.Tensor, None]:
    """Causal attention within each segment. Gives (1, N, H, D), as transformers' attention functions do."""
    outputs = [
        sdpa_attention_forward(
            module,
            query_1HND[:, :, start:end],
            key_1HND[:, :, start:end],
            value_1HND[:, :, start:end],
            None,
            **{**kwargs, "is_causal": True},
        )[0]
        for start, end in pairwise(segment_bounds)
    ]
    return torch.cat(outputs, dim=1), None


AttentionInterface.register(SEGMENTED, _segmented_attention)
AttentionMaskInterface.register(SEGMENTED, lambda *args, **kwargs: None)
