"""Cache of encoded recordings, keyed by the upload's content, in bounded memory.

Several questions about one song decode, measure and encode it once: what is kept is the window that the model hears,
as embeddings of its audio tokens, not the audio.
"""

from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any

import torch

from music_flamingo.model.chat import EncoderAudio
from music_flamingo.serving.shared_work import SharedWork

CACHE_MIB = 256
"""Some thousand windows of the tiny model; 17 windows of 30 s of the published one in bfloat16 are 85 MB."""


class CachedWindow:
    """One segment of a recording: its log-mel features until the model has encoded them, then their embeddings."""

    def __init__(self, sound: EncoderAudio, window_s: tuple[float, float], duration_s: float, token_bytes: int) -> None:
        self.num_tokens = sound.num_tokens
        self.num_bytes = sound.num_tokens * token_bytes
        """Once encoded; before that a place among the requests in hand bounds it."""
        self.window_s = window_s
        self.duration_s = duration_s
        self._sound: EncoderAudio | None = sound
        self._embedding_ND: torch.Tensor | None = None

    @property
    def is_encoded(self) -> bool:
        """Whether the audio embedding was computed."""
        return self._embedding_ND is not None

    def sound(self) -> EncoderAudio:
        """Log-mel features, before encoding."""
        assert self._sound is not None
        return self._sound

    def embedding(self) -> torch.Tensor:
        """The audio embedding of shape (N audio tokens, D model width)."""
        assert self._embedding_ND is not None
        return self._embedding_ND

    def encoded(self, embedding_ND: torch.Tensor) -> None:
        """Keep the embedding and drop the features."""
        # a copy: a view would hold the embeddings of all that were encoded together
        self._embedding_ND, self._sound = embedding_ND.clone(), None


class RecordingCache:
    """Least recently used out first. Requests with the same new recording make it once. For one event loop."""

    def __init__(self, max_bytes: int = CACHE_MIB * 2**20) -> None:
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self._kept: OrderedDict[str, CachedWindow] = OrderedDict()
        self._making: SharedWork[CachedWindow] = SharedWork()

    def knows(self, key: str) -> bool:
        """Whether it is kept, or being made."""
        return key in self._kept or key in self._making

    async def get(self, key: str, make: Callable[[], Coroutine[Any, Any, CachedWindow]]) -> CachedWindow:
        """`make` may raise: then nothing is kept. It is cancelled when nobody waits for it any more."""

        async def made() -> CachedWindow:
            recording = await make()
            self._keep(key, recording)
            return recording

        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        return await self._making.do(key, made)

    def _keep(self, key: str, recording: CachedWindow) -> None:
        self._kept[key] = recording
        self.num_bytes += recording.num_bytes
        while self.num_bytes > self.max_bytes and len(self._kept) > 1:
            self.num_bytes -= self._kept.popitem(last=False)[1].num_bytes
