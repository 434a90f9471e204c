"""Sequence packing with block-diagonal attention (no padding).

A batch padded to its longest sample computes mostly padding when songs of 30 s and of 15 min share it (750 against
22,500 audio tokens). Here the samples of a batch are one row of N tokens whose positions start anew with each sample,
and attention runs sample by sample: the cost is the sum of the samples' own, and the logits are those of each alone.
A sample may also be one sound with several questions that see the sound and not each other: the sound is then worked
on once, and every question has the logits it would have if it were asked alone.

N tokens of all samples, S samples, H heads, D width of a head.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from music_flamingo.model.chat import ChatTokens, EncoderAudio, audio_of

SEGMENTED = "segmented_sdpa"
"""The name of this attention among transformers' own."""


@dataclass(frozen=True)
class PackedSample:
    """One sample's place in the row: `start` to `split` is seen causally, `split` to `end` through the mask."""

    start: int
    split: int
    end: int
    mask: torch.Tensor | None
    """(1, 1, end - split, end - start), True where a token is seen; None where `split` is `end`."""


def packed_batch_of(tokens: Sequence[ChatTokens], sounds: Sequence[EncoderAudio]) -> dict[str, torch.Tensor]:
    """input_ids, position_ids and segments (1, N), bounds (S + 1), and the sounds in the order of their samples.

    `segments` is 0 for what all of a sample sees, and the number of the question for words that only it sees.
    """
    lengths = [len(t.ids) for t in tokens]
    return {
        "input_ids": torch.tensor([[i for t in tokens for i in t.ids]]),
        "position_ids": torch.tensor([[i for t in tokens for i in _positions(t)]]),
        "segments": torch.tensor([[i for t in tokens for i in _segments(t)]]),
        "bounds": torch.tensor([0, *accumulate(lengths)]),
        **audio_of(sounds),
    }


def _positions(tokens: ChatTokens) -> list[int]:
    """From 0 on; every question that stands apart begins where the sound ends."""
    edges = [*tokens.apart_from, len(tokens.ids)]
    return [*range(edges[0]), *(edges[0] + i for start, end in pairwise(edges) for i in range(end - start))]


def _segments(tokens: ChatTokens) -> list[int]:
    edges = [*tokens.apart_from, len(tokens.ids)]
    return [0] * edges[0] + [n for n, (start, end) in enumerate(pairwise(edges), 1) for _ in range(end - start)]


def _parts(bounds: Sequence[int], segments_N: torch.Tensor) -> list[PackedSample]:
    parts = []
    for start, end in pairwise(bounds):
        mine = segments_N[start:end]
        num_shared = int((mine == 0).sum())
        split = start + num_shared
        mask = _mask(mine, num_shared) if split < end else None
        parts.append(PackedSample(start, split, end, mask))
    return parts


def _mask(segments_L: torch.Tensor, num_shared: int) -> torch.Tensor:
    """Of the questions of one sample: each token sees the shared ones and those of its own question before it."""
    place = torch.arange(len(segments_L), device=segments_L.device)
    asked, asked_place = segments_L[num_shared:, None], place[num_shared:, None]
    return (((segments_L == 0) | (segments_L == asked)) & (place <= asked_place))[None, None]


def hidden_states(model, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """(1, N, width) hidden states of the language model over a packed batch."""
    # and stays so: with checkpointing a layer is computed again in the backward pass. Without parts it is plain sdpa
    model.config.text_config._attn_implementation = SEGMENTED
    return model.base_model(
        input_ids=batch["input_ids"],
        position_ids=batch["position_ids"],
        # no mask is wanted: a mapping is passed on as it is
        attention_mask={"full_attention": None},
        input_features=batch["input_features"],
        input_features_mask=batch["input_features_mask"],
        # a cache would take the row for one sample: the second one is then wrong by 12 logits
        use_cache=False,
        attention_parts=_parts(batch["bounds"].tolist(), batch["segments"][0]),
    ).last_hidden_state


def _segmented_attention(
    module: torch.nn.Module,
    query_1HND: torch.Tensor,
    key_1HND: torch.Tensor,
    value_1HND: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    attention_parts: Sequence[PackedSample] | None = None,
    **kwargs,
) -> tuple[torch.Tensor, None]:
    """Attention within each part. Gives (1, N, H, D), as transformers' attention functions do."""
    if attention_parts is None:
        return sdpa_attention_forward(module, query_1HND, key_1HND, value_1HND, attention_mask, **kwargs)
    outputs = []
    for part in attention_parts:
        for start, end, mask in ((part.start, part.split, None), (part.split, part.end, part.mask)):
            if start < end:
                outputs.append(
                    sdpa_attention_forward(
                        module,
                        query_1HND[:, :, start:end],
                        key_1HND[:, :, part.start : end],
                        value_1HND[:, :, part.start : end],
                        mask,
                        **{**kwargs, "is_causal": mask is None},
                    )[0]
                )
    return torch.cat(outputs, dim=1), None


AttentionInterface.register(SEGMENTED, _segmented_attention)
AttentionMaskInterface.register(SEGMENTED, sdpa_mask)
