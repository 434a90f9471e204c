"""Do work once that several requests wait for, and cancel it when nobody waits any more."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass
class _Shared(Generic[T]):
    task: "asyncio.Task[T]"
    num_waiting: int = 0


class SharedWork(Generic[T]):
    """What is being done, by key. For one event loop."""

    def __init__(self) -> None:
        self._shared: dict[str, _Shared[T]] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._shared

    async def do(self, key: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of `work`, or of the same key's that is under way. Raises what it raises."""
        shared = self._shared.get(key)
        if shared is None:
            shared = self._shared[key] = _Shared(asyncio.ensure_future(work()))
        shared.num_waiting += 1
        try:
            return await asyncio.shield(shared.task)
        finally:
            shared.num_waiting -= 1
            if shared.task.done() or not shared.num_waiting:
                # who comes now begins anew
                if self._shared.get(key) is shared:
                    del self._shared[key]
                shared.task.cancel()
