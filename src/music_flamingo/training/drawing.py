"""Draws answers from the policy by transformers: each prompt is read once, and its cache serves all answers to it.

B answers, U prompts, P prompt tokens, C answer tokens, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import GenerationConfig

from music_flamingo.model.chat import pad


@dataclass(frozen=True)
class Sampling:
    temperature: float
    max_new_tokens: int
    pad_id: int
    end_id: int
    never: tuple[int, ...]
    """Token ids that are never drawn: those that stand for sound."""


@torch.no_grad()
def draw(
    model, prompts: Sequence[Sequence[int]], embed, prompt_of_B: Sequence[int], sampling: Sampling
) -> list[list[int]]:
    """Token ids of one answer for each of `prompt_of_B` (places in `prompts`), up to and with the end mark.

    `embed`: ids (U, P) -> embeddings (U, P, D) with the sounds in their places.
    """
    longest = max(map(len, prompts))
    device = model.device
    ids_UP = torch.tensor([pad(list(ids), longest, sampling.pad_id, "left") for ids in prompts], device=device)
    mask_UP = torch.tensor([pad([1] * len(ids), longest, 0, "left") for ids in prompts], device=device)
    # all but the last token: generation reads that one, and goes on from the cache
    cache = model.base_model(
        inputs_embeds=embed(ids_UP)[:, :-1],
        attention_mask=mask_UP[:, :-1],
        position_ids=(mask_UP.cumsum(-1) - 1).clamp(min=0)[:, :-1],
        use_cache=True,
    ).past_key_values
    owner = torch.tensor(prompt_of_B, device=device)
    cache.batch_select_indices(owner)
    drawn_BL = model.generate(
        input_ids=ids_UP[owner],
        attention_mask=mask_UP[owner],
        past_key_values=cache,
        generation_config=GenerationConfig(
            do_sample=True,
            temperature=sampling.temperature,
            top_k=0,
            max_new_tokens=sampling.max_new_tokens,
            pad_token_id=sampling.pad_id,
            eos_token_id=sampling.end_id,
            suppress_tokens=list(sampling.never),
        ),
    )
    return [until_end(ids, sampling.end_id) for ids in drawn_BL[:, longest:].tolist()]


def until_end(ids: list[int], end_id: int) -> list[int]:
    return ids[: ids.index(end_id) + 1] if end_id in ids else ids
