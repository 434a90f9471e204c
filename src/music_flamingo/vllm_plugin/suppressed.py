"""Tokens that a release never says: `suppress_tokens` of its generation_config.json, which vLLM does not read."""

from typing import Any

import torch
from vllm.v1.sample.logits_processor import LogitsProcessor

from . import ARCHITECTURE


class SuppressedTokens(LogitsProcessor):  # type: ignore[misc]
    """Takes the checkpoint's suppressed tokens out of every draw; does nothing to other models."""

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        config = vllm_config.model_config
        ids: list[int] = []
        if ARCHITECTURE in (config.architectures or []):
            ids = config.try_get_generation_config().get("suppress_tokens") or []
        self._ids = torch.tensor(ids, dtype=torch.long, device=device)

    def is_argmax_invariant(self) -> bool:
        """Whether greedy answers stay the same: they do not where a suppressed token is the likeliest."""
        return not len(self._ids)

    def update_state(self, batch_update: Any) -> None:
        """The same for every request."""

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """Logits with minus infinity for each suppressed token."""
        return logits.index_fill_(-1, self._ids, float("-inf")) if len(self._ids) else logits
