"""Sample answers from the policy by transformers: one prefill per prompt, its KV cache shared by its answers.

B answers, U prompts, P prompt tokens, C answer tokens, D width, V vocabulary. An answer's chance is its own: it hangs
neither on the answers drawn with it, nor on the rank that draws it, nor on an interruption before it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessor

from music_flamingo.model.chat import pad
from music_flamingo.training.scale.distributed import reached, within


@dataclass(frozen=True)
class Sampling:
    """Options of sampling: temperature, length limit, special token ids, and ids that are never drawn."""

    temperature: float
    max_new_tokens: int
    pad_id: int
    end_id: int
    never: tuple[int, ...]
    """Token ids that are never drawn: those that stand for sound."""


class Chance(LogitsProcessor):
    """Noise under which the likeliest token is a draw from the softmax at this temperature (Gumbel-max; Maddison et
    al. 2014), each row by a generator of its own."""

    def __init__(self, temperature: float, seeds: Sequence[int], device: torch.device) -> None:
        self._temperature = temperature
        self._generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        noise_BV = torch.empty_like(scores, dtype=torch.float32)
        for row_V, generator in zip(noise_BV, self._generators, strict=True):
            row_V.exponential_(generator=generator)
        smallest = torch.finfo(torch.float32).tiny
        return scores / self._temperature - noise_BV.clamp(min=smallest).log()


def seed_of(*names: int) -> int:
    """Seeds that have nothing to do with each other, however near their names are."""
    return int.from_bytes(sha256("/".join(map(str, names)).encode()).digest()[:8]) >> 1


@torch.no_grad()
def draw(
    model,
    prompts: Sequence[Sequence[int]],
    embed: Callable[[Any, torch.Tensor], torch.Tensor],
    prompt_of_B: Sequence[int],
    seeds_B: Sequence[int],
    sampling: Sampling,
) -> list[list[int]]:
    """Token ids of one answer for each of `prompt_of_B` (places in `prompts`), up to and with the end mark.

    `embed`: model, ids (U, P) -> embeddings (U, P, D) with the sounds in their places.
    """
    longest = max(map(len, prompts))
    device = reached(model).device
    ids_UP = torch.tensor([pad(list(ids), longest, sampling.pad_id, "left") for ids in prompts], device=device)
    mask_UP = torch.tensor([pad([1] * len(ids), longest, 0, "left") for ids in prompts], device=device)

    def read(inner):
        # all but the last token: generation reads that one, and goes on from the cache
        return inner.base_model(
            inputs_embeds=embed(inner, ids_UP)[:, :-1],
            attention_mask=mask_UP[:, :-1],
            position_ids=(mask_UP.cumsum(-1) - 1).clamp(min=0)[:, :-1],
            use_cache=True,
        ).past_key_values

    cache = within(model, read)
    owner = torch.tensor(prompt_of_B, device=device)
    cache.batch_select_indices(owner)
    drawn_BL = reached(model).generate(
        input_ids=ids_UP[owner],
        attention_mask=mask_UP[owner],
        past_key_values=cache,
        logits_processor=[Chance(sampling.temperature, seeds_B, device)],
        generation_config=GenerationConfig(
            do_sample=False,
            max_new_tokens=sampling.max_new_tokens,
            pad_token_id=sampling.pad_id,
            eos_token_id=sampling.end_id,
            suppress_tokens=list(sampling.never),
        ),
    )
    return [until_end(ids, sampling.end_id) for ids in drawn_BL[:, longest:].tolist()]


def until_end(ids: list[int], end_id: int) -> list[int]:
    """Cut token ids after the first end token; unchanged without one."""
    return ids[: ids.index(end_id) + 1] if end_id in ids else ids
