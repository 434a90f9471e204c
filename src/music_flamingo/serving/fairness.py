"""Share places fairly among clients: a client with many requests in hand waits behind one with few.

A client is known by its key, or by its address's network where there are no keys. Whatever waits in a queue is ranked
by how many requests of its client were in hand when it came; equals in the order of their coming. Both travel with the
request's task (context variables): a queue needs nobody to hand them on.
"""

import asyncio
import heapq
import ipaddress
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

from music_flamingo.serving.errors import ApiError

MAX_IN_HAND = 64
"""More requests than this are turned away with 429, rather than held until their clients give up."""
MAX_IN_HAND_EACH = 48
"""Of one client: a few places are left for the others."""
RETRY_AFTER_S = 2

CLIENT: ContextVar[bytes] = ContextVar("client", default=b"")
RANK: ContextVar[int] = ContextVar("rank", default=0)


def network_of(host: str) -> str:
    """An IPv4 address, or the /64 of an IPv6 one: whoever rents a machine has all of the addresses in that."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    inner = address.ipv4_mapped
    return str(inner or ipaddress.ip_network((address, 64), strict=False))


def busy(message: str) -> ApiError:
    """A refusal that says when to come again."""
    words = f"{message}; try again in {RETRY_AFTER_S} s."
    return ApiError(429, words, "busy", headers={"Retry-After": str(RETRY_AFTER_S)})


class RequestPlaces:
    """Requests in hand, from their parsing to their answer."""

    def __init__(self) -> None:
        self._of_client: Counter[bytes] = Counter()

    @contextmanager
    def take(self) -> Iterator[None]:
        """A place for this task's client. Raises ApiError (429) when all are taken, or too many by this client."""
        client, num_taken = CLIENT.get(), self._of_client.total()
        if num_taken >= MAX_IN_HAND or self._of_client[client] >= MAX_IN_HAND_EACH:
            raise busy(f"{num_taken} requests are in hand already")
        self._of_client[client] += 1
        RANK.set(self._of_client[client])
        try:
            yield
        finally:
            self._of_client[client] -= 1
            if not self._of_client[client]:
                del self._of_client[client]


class Turns:
    """Some tasks at once, the others by rank. For one event loop."""

    def __init__(self, number: int, max_waiting: int) -> None:
        self._num_free, self._max_waiting = number, max_waiting
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and hold it. Raises ApiError (429) when too many wait."""
        if self._num_free:
            self._num_free -= 1
        else:
            await self._wait()
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self) -> None:
        if len(self._waiting) >= self._max_waiting:
            self._waiting = [entry for entry in self._waiting if not entry[2].done()]
            if len(self._waiting) >= self._max_waiting:
                raise busy("too many requests of this kind are in hand")
            heapq.heapify(self._waiting)
        mine = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (RANK.get(), next(self._order), mine))
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():  # it was given just now
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            next_one = heapq.heappop(self._waiting)[2]
            if not next_one.done():
                next_one.set_result(None)
                return
        self._num_free += 1


class ClientTurns:
    """Some tasks of each client at once, its others in the order of their coming. For one event loop."""

    def __init__(self, each: int, max_waiting_each: int) -> None:
        self._each, self._max_waiting = each, max_waiting_each
        self._turns: dict[bytes, Turns] = {}
        self._num_tasks: Counter[bytes] = Counter()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn of this task's client. Raises ApiError (429) when too many of its tasks wait."""
        client = CLIENT.get()
        turns = self._turns.setdefault(client, Turns(self._each, self._max_waiting))
        self._num_tasks[client] += 1
        try:
            async with turns.turn():
                yield
        finally:
            self._num_tasks[client] -= 1
            if not self._num_tasks[client]:
                del self._num_tasks[client], self._turns[client]
