"""Several continuations of one prompt in one row: the prompt and its audio are encoded once.

B continuations of U different prompts, K of them at most of one prompt, P prompt tokens, C tokens of a continuation,
L = P + K * C, D width. GRPO asks each question G times, and a prompt is mostly sound: in rows of their own G answers
would read the same sound G times, in every forward and every backward. Here a continuation sees its prompt and
itself, by an attention mask and positions that go on from the prompt's; the hidden states are those of rows alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Continued:
    """Prompts padded left, continuations padded right, row by row; rows with the same `prompt_of` have one prompt."""

    prompt_ids_BP: torch.Tensor
    prompt_mask_BP: torch.Tensor
    said_ids_BC: torch.Tensor
    said_mask_BC: torch.Tensor
    prompt_of_B: Sequence[int]


@dataclass(frozen=True)
class Shared:
    """The rows of the prompts: ids and positions (U, L), an additive mask (U, 1, L, L), and where the B stand."""

    ids_UL: torch.Tensor
    positions_UL: torch.Tensor
    mask_U1LL: torch.Tensor
    prompts_U: list[int]
    row_B: list[int]
    place_B: list[int]
    prompt_tokens: int


def share(rows: Continued, pad_id: int, dtype: torch.dtype) -> Shared:
    """Lay continuations next to each other behind their prompts."""
    prompts = list(dict.fromkeys(rows.prompt_of_B))
    row_B = [prompts.index(prompt) for prompt in rows.prompt_of_B]
    place_B = [row_B[:b].count(row_B[b]) for b in range(len(row_B))]
    first = [row_B.index(u) for u in range(len(prompts))]
    places = max(place_B) + 1
    prompt_ids, prompt_mask = rows.prompt_ids_BP[first], rows.prompt_mask_BP[first].bool()
    ids_UL = torch.cat([prompt_ids, _blocks(rows.said_ids_BC, row_B, place_B, places, pad_id)], dim=1)
    valid_UL = torch.cat([prompt_mask, _blocks(rows.said_mask_BC.bool(), row_B, place_B, places, False)], dim=1)
    said_tokens = rows.said_ids_BC.shape[1]
    going_on = prompt_mask.sum(-1, keepdim=True) + torch.arange(said_tokens, device=ids_UL.device).repeat(places)
    positions_UL = torch.cat([(prompt_mask.cumsum(-1) - 1).clamp(min=0), going_on], dim=1)
    mask = _mask(valid_UL, prompt_mask.shape[1], said_tokens, dtype)
    return Shared(ids_UL, positions_UL, mask, prompts, row_B, place_B, prompt_mask.shape[1])


def _blocks(values_BC: torch.Tensor, row_B: list[int], place_B: list[int], places: int, filler) -> torch.Tensor:
    """(U, K * C): each continuation in its place behind its prompt."""
    blocks_UKC = values_BC.new_full((max(row_B) + 1, places, values_BC.shape[1]), filler)
    blocks_UKC[row_B, place_B] = values_BC
    return blocks_UKC.flatten(1)


def _mask(valid_UL: torch.Tensor, prompt_tokens: int, said_tokens: int, dtype: torch.dtype) -> torch.Tensor:
    """0 where a token sees another: an earlier one of its prompt or of its own continuation; else the lowest value."""
    length = valid_UL.shape[1]
    at_L = torch.arange(length, device=valid_UL.device)
    block_L = torch.where(at_L < prompt_tokens, -1, (at_L - prompt_tokens).div(said_tokens, rounding_mode="floor"))
    own_LL = (block_L[None] == -1) | (block_L[None] == block_L[:, None])
    sees_ULL = valid_UL[:, None] & (own_LL & (at_L[None] <= at_L[:, None]))
    # padding sees itself: a row of the softmax without any entry would be NaN
    sees_ULL = sees_ULL | torch.eye(length, dtype=torch.bool, device=valid_UL.device)
    return torch.where(sees_ULL, 0.0, torch.finfo(dtype).min).to(dtype)[:, None]


def hidden_before(model, embeds_ULD: torch.Tensor, shared: Shared) -> torch.Tensor:
    """(B, C, D): for each token of each continuation the hidden state that it is said from."""
    hidden_ULD = model.base_model(
        inputs_embeds=embeds_ULD,
        attention_mask=shared.mask_U1LL,
        position_ids=shared.positions_UL,
        use_cache=False,
    ).last_hidden_state
    places = max(shared.place_B) + 1
    blocks_UKCD = hidden_ULD[:, shared.prompt_tokens :].unflatten(1, (places, -1))
    last_U1D = hidden_ULD[:, shared.prompt_tokens - 1 : shared.prompt_tokens]
    last_UK1D = last_U1D[:, None].expand(-1, places, -1, -1)
    return torch.cat([last_UK1D, blocks_UKCD[:, :, :-1]], dim=2)[shared.row_B, shared.place_B]
