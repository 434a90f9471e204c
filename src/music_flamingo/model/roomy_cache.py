"""Keys and values with room behind them: a token more is written where it belongs, and those before it are not moved.

transformers' own cache makes a copy of all of them for each token. B rows, H heads, P tokens, K width of a head.
"""

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

ROOM = 64
"""Tokens, at least; a quarter of those that are held where that is more."""


class RoomyLayer(DynamicLayer):
    """One layer's. `keys` and `values` (B, H, P, K) may be set to others, of other rows or another length."""

    keys: torch.Tensor
    values: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self._rooms: list[torch.Tensor | None] = [None, None]

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add those of new tokens; gives all."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        self._rooms = [
            _with(new, held, room)
            for new, held, room in zip((key_states, value_states), (self.keys, self.values), self._rooms, strict=True)
        ]
        end = self.get_seq_length() + key_states.shape[2]
        self.keys, self.values = (room[:, :, :end] for room in self._rooms if room is not None)
        return self.keys, self.values


def _with(new: torch.Tensor, held: torch.Tensor, room: torch.Tensor | None) -> torch.Tensor:
    """Room with what is held, then what is new: `room` itself where it has the former and the place for the latter."""
    start = held.shape[2] if held.numel() else 0
    end = start + new.shape[2]
    is_there = room is not None and held.data_ptr() == room.data_ptr() and len(held) == len(room)
    if room is None or not is_there or end > room.shape[2]:
        room = new.new_empty((*new.shape[:2], end + max(ROOM, end // 4), new.shape[3]))
        if start:
            room[:, :, :start] = held
    room[:, :, start:end] = new
    return room


def roomy_cache(text_config) -> DynamicCache:
    """An empty cache of a language model."""
    cache = DynamicCache(config=text_config)
    cache.layers = [RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache
