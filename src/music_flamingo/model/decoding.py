"""Continuous batching: rows join a running batch between two tokens and leave when they end.

B rows, L tokens of a prompt, P tokens in the cache (rows begin where their padding ends), D width, V vocabulary.
Each row has its own temperature, seed and constraint. What a row says does not depend on who else is in the batch, but
for the last bits of its logits, since a larger matrix product adds in another order.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import pad
from transformers import DynamicCache

from music_flamingo.model.chat import ChatTokens
from music_flamingo.model.fused_text import FusedText
from music_flamingo.model.roomy_cache import roomy_cache

Constraint = Callable[[torch.Tensor, Sequence[int]], torch.Tensor]
"""(logits (V,), ids said so far) -> logits with what may not come next at minus infinity."""

MAX_MASK = 2**24
"""Places of an attention mask (rows, L, L). One prompt alone needs none."""
PIECE_TOKENS, MIN_PIECE_TOKENS = 512, 32
"""Of a long prompt that is read in pieces."""
PIECE_PAIRS = 2**20
"""Of a piece's tokens with those before them: by these attention takes its time."""

Forward = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, DynamicCache], torch.Tensor]
"""(embeddings (B, L, D), mask (B, P), positions (B, L), cache) -> (B, V) logits of what follows the last token."""


@dataclass
class DecodingRow:
    """One answer being written."""

    temperature: float
    generator: torch.Generator
    constraint: Constraint | None
    ids: list[int]
    """Said so far."""

    @classmethod
    def of(cls, temperature: float, seed: int, constraint: Constraint | None = None) -> "DecodingRow":
        """Start an empty row that samples at `temperature` with a generator seeded by `seed`."""
        return cls(temperature, torch.Generator().manual_seed(seed), constraint, [])


def forward_of(model) -> Forward:
    """How this model reads tokens: its own fused pass where it has one, else that of transformers."""
    if FusedText.fits(model):
        return FusedText(model)

    def forward(embeds: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: DynamicCache) -> torch.Tensor:
        hidden = model.base_model.language_model(
            inputs_embeds=embeds, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
        ).last_hidden_state[:, -1]
        return model.lm_head(hidden).float()

    return forward


class RunningBatch:
    """`join`, then again and again: `choose` a token for each row, `go_on` with the rows that are not at their end."""

    def __init__(self, model, suppressed: Sequence[int], forward: Forward | None = None) -> None:
        self.model = model
        self._forward = forward or forward_of(model)
        self.rows: list[DecodingRow] = []
        self._suppressed = torch.tensor(list(suppressed), device=model.device, dtype=torch.long)
        self._cache: DynamicCache | None = None
        self._mask_BP = torch.zeros(0, 0, dtype=torch.long, device=model.device)
        self._logits_BV = torch.zeros(0, model.config.text_config.vocab_size, device=model.device)

    @torch.inference_mode()
    def join(
        self, prompts: Sequence[ChatTokens], sounds_ND: Sequence[torch.Tensor], rows: Sequence[DecodingRow]
    ) -> None:
        """Read prompts, with their encoded sounds, and add their rows."""
        for together in _read_together([len(prompt.ids) for prompt in prompts]):
            self._read(prompts[together], sounds_ND[together])
        self.rows.extend(rows)

    def join_in_pieces(self, prompt: ChatTokens, sound_ND: torch.Tensor, row: DecodingRow) -> Iterator[None]:
        """The same for one long prompt, a piece each time that it is gone on with; the row joins with the last."""
        with torch.inference_mode():
            embeds_1LD = self._embed(prompt, sound_ND)[None]
            cache = roomy_cache(self.model.config.text_config)
            mask_1L = torch.ones(1, len(prompt.ids), dtype=torch.long, device=embeds_1LD.device)
        start = 0
        while start < len(prompt.ids):
            with torch.inference_mode():
                part = embeds_1LD[:, start : start + _piece_tokens(start)]
                end = start + part.shape[1]
                positions = torch.arange(start, end, device=part.device)[None]
                logits_1V = self._forward(part, mask_1L[:, :end], positions, cache)
            start = end
            yield
        self._merge(cache, mask_1L, logits_1V)
        self.rows.append(row)

    def _read(self, prompts: Sequence[ChatTokens], sounds_ND: Sequence[torch.Tensor]) -> None:
        longest = max(len(prompt.ids) for prompt in prompts)
        embeds = [self._embed(prompt, sound_ND) for prompt, sound_ND in zip(prompts, sounds_ND, strict=True)]
        embeds_BLD = torch.stack([pad(e, (0, 0, longest - len(e), 0)) for e in embeds])
        lengths = torch.tensor([[len(e)] for e in embeds], device=embeds_BLD.device)
        mask_BL = (torch.arange(longest, device=embeds_BLD.device)[None] >= longest - lengths).long()
        cache = roomy_cache(self.model.config.text_config)
        positions_BL = (mask_BL.cumsum(-1) - 1).clamp(min=0)
        logits_BV = self._forward(embeds_BLD, mask_BL, positions_BL, cache)
        self._merge(cache, mask_BL, logits_BV)

    @torch.inference_mode()
    def choose(self) -> list[int | Exception]:
        """The next token of each row, written into `row.ids`; or why this row, and no other, has none."""
        self._logits_BV[:, self._suppressed] = -torch.inf
        highest_B, likeliest_B = self._logits_BV.max(-1)
        is_number = highest_B.isfinite().tolist()
        chosen: list[int | Exception] = []
        for index, (row, token) in enumerate(zip(self.rows, likeliest_B.tolist(), strict=True)):
            try:
                if not is_number[index]:
                    raise FloatingPointError("the model's logits are no numbers")
                if row.constraint is not None or row.temperature:
                    token = _draw(self._logits_BV[index], row)
            except Exception as error:  # what one row asks for fails that row alone
                chosen.append(error)
                continue
            row.ids.append(token)
            chosen.append(token)
        return chosen

    @torch.inference_mode()
    def go_on(self, keep: Sequence[int]) -> None:
        """Drop the other rows, and have the model read the last token of those that stay."""
        self.keep(keep)
        if not self.rows:
            return
        last_B = torch.tensor([row.ids[-1] for row in self.rows], device=self.model.device)
        embeds_B1D = self.model.base_model.get_input_embeddings()(last_B[:, None])
        positions_B1 = self._mask_BP.sum(-1, keepdim=True)
        self._mask_BP = pad(self._mask_BP, (0, 1), value=1)
        assert self._cache is not None
        self._logits_BV = self._forward(embeds_B1D, self._mask_BP, positions_B1, self._cache)

    def keep(self, indices: Sequence[int]) -> None:
        """Only these rows stay; columns in which none of them has anything go too."""
        if len(indices) == len(self.rows):
            return
        self.rows = [self.rows[i] for i in indices]
        chosen = torch.tensor(list(indices), dtype=torch.long, device=self._mask_BP.device)
        self._mask_BP, self._logits_BV = self._mask_BP[chosen], self._logits_BV[chosen]
        if not self.rows:
            self._cache = None
            return
        assert self._cache is not None
        start = int(self._mask_BP.any(0).long().argmax())
        self._mask_BP = self._mask_BP[:, start:]
        for layer in self._cache.layers:
            layer.keys, layer.values = layer.keys[chosen, :, start:], layer.values[chosen, :, start:]

    def _embed(self, prompt: ChatTokens, sound_ND: torch.Tensor) -> torch.Tensor:
        ids_L = torch.tensor(prompt.ids, device=self.model.device)
        words_LD = self.model.base_model.get_input_embeddings()(ids_L)
        is_sound_L = ids_L == self.model.config.audio_token_id
        return words_LD.masked_scatter(is_sound_L[:, None].expand_as(words_LD), sound_ND.to(words_LD.dtype))

    def _merge(self, cache: DynamicCache, mask_BL: torch.Tensor, logits_BV: torch.Tensor) -> None:
        if self._cache is None:
            self._cache, self._mask_BP, self._logits_BV = cache, mask_BL, logits_BV
            return
        length = max(self._mask_BP.shape[1], mask_BL.shape[1])
        for own, new in zip(self._cache.layers, cache.layers, strict=True):
            own.keys = torch.cat([_to_length(own.keys, length), _to_length(new.keys, length)])
            own.values = torch.cat([_to_length(own.values, length), _to_length(new.values, length)])
        masks = [pad(mask, (length - mask.shape[1], 0)) for mask in (self._mask_BP, mask_BL)]
        self._mask_BP, self._logits_BV = torch.cat(masks), torch.cat([self._logits_BV, logits_BV])


def _piece_tokens(start: int) -> int:
    """How many tokens are read in one piece behind so many."""
    return min(PIECE_TOKENS, max(MIN_PIECE_TOKENS, PIECE_PAIRS // (start + PIECE_TOKENS)))


def _read_together(lengths: Sequence[int]) -> Iterator[slice]:
    """Neighbours, as long as their mask is not too large."""
    start = 0
    for end in range(1, len(lengths) + 1):
        if end == len(lengths) or (end + 1 - start) * max(lengths[start : end + 1]) ** 2 > MAX_MASK:
            yield slice(start, end)
            start = end


def _to_length(states_BHPK: torch.Tensor, length: int) -> torch.Tensor:
    """Padded on the left."""
    return pad(states_BHPK, (0, 0, length - states_BHPK.shape[2], 0))


def _draw(logits_V: torch.Tensor, row: DecodingRow) -> int:
    if row.constraint is not None:
        logits_V = row.constraint(logits_V, row.ids)
    if not row.temperature:
        return int(logits_V.argmax())
    logits_V = logits_V.cpu().double()
    # from the highest down: the smallest temperature that is a number gives the likeliest token, and never NaN
    probabilities = ((logits_V - logits_V.max()) / row.temperature).softmax(-1)
    return int(torch.multinomial(probabilities, 1, generator=row.generator))
