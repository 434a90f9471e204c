"""An API server that restarts, refuses, expires versions and loses answers by a seeded schedule, before a true one.

It stands between the client that is tested and `EmulatedCluster`, whose operators keep a way of their own. Every
request passes, or gets what the phase of this moment gives:

- `restart`: connections are cut and none is taken; then, for a while, 403 and 401 to everybody, and 503;
- `trouble`: 429, 500, 502, 503, 504, or an answer that ends too early;
- `expired`: each watch is told "too old resource version";
- `lost`: a change is made, and its answer does not arrive;
- `cut`: watches and logs end after a few bytes;
- `ended`: what is open ends as if it were whole, as a server that shuts down does; new watches end at once;
- `silent`: requests are taken and never answered.
"""

import asyncio
import json
import random
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

KINDS = ("restart", "trouble", "expired", "lost", "cut", "ended", "silent")
HOP = frozenset({"host", "content-length", "transfer-encoding", "connection"})
ROOM_FILLS_S = 0.15
"""Of a restart, after the server listens again: nobody has any right."""


@dataclass(frozen=True)
class Phase:
    """From when to when, in seconds from the first request, and what the API does then."""

    begin_s: float
    end_s: float
    kind: str


def schedule(seed: int, within_s: float, most: int = 4) -> list[Phase]:
    """Up to `most` phases, one after the other, with rest between them."""
    draw = random.Random(seed)
    count = draw.randint(2, most)
    slot = within_s / count
    phases = []
    for index in range(count):
        begin = index * slot + draw.uniform(0, slot / 4)
        phases.append(Phase(begin, begin + draw.uniform(slot / 4, slot * 0.7), draw.choice(KINDS)))
    return phases


@dataclass
class Asked:
    """One request, as it came."""

    at_s: float
    method: str
    path: str
    streams: bool
    """A watch, or a log that is followed."""


@dataclass
class ShakyApi:
    """Stands before the API at `upstream`."""

    upstream: str
    phases: list[Phase]
    seed: int = 0
    asked: list[Asked] = field(default_factory=list)
    hits: dict[str, int] = field(default_factory=dict)
    """Requests that each kind of phase has met."""
    api: Any = None
    """A client that reaches it."""

    def __post_init__(self) -> None:
        self._draw, self._begun = random.Random(self.seed), 0.0
        self._streams: dict[asyncio.Future[None], asyncio.Transport] = {}

    async def start(self) -> str:
        """Serve; gives the address."""
        self._session = aiohttp.ClientSession(auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None))
        self._runner = web.ServerRunner(
            web.Server(self._handle, handler_cancellation=True, access_log=None), shutdown_timeout=0.1
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Cut what is open."""
        self._cut()
        await self._session.close()
        await self._runner.cleanup()

    @property
    def calm_s(self) -> float:
        """When the last phase has ended, in seconds from the first request."""
        return max((p.end_s for p in self.phases), default=0.0)

    @property
    def now_s(self) -> float:
        """Seconds from the first request."""
        return time.monotonic() - self._begun if self._begun else 0.0

    def idle_rate(self, from_s: float, to_s: float) -> float:
        """Requests a second in a part of the time."""
        return sum(from_s <= asked.at_s < to_s for asked in self.asked) / (to_s - from_s)

    def _phase(self) -> Phase | None:
        return next((p for p in self.phases if p.begin_s <= self.now_s < p.end_s), None)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if not self._begun:
            self._begin()
        query = request.rel_url.query
        streams = query.get("watch", "").lower() == "true" or query.get("follow", "").lower() == "true"
        self.asked.append(Asked(self.now_s, request.method, request.path, streams))
        phase = self._phase()
        if phase:
            self.hits[phase.kind] = self.hits.get(phase.kind, 0) + 1
            if (answer := await self._trouble(phase, request, streams)) is not None:
                return answer
        return await self._pass_on(request, streams, loses=phase is not None and phase.kind == "lost")

    def _begin(self) -> None:
        self._begun = time.monotonic()
        loop = asyncio.get_running_loop()
        for phase in self.phases:
            if phase.kind in ("restart", "cut"):
                loop.call_later(phase.begin_s, self._cut)
            if phase.kind == "ended":
                loop.call_later(phase.begin_s, self._shut_down)

    def _cut(self) -> None:
        for transport in list(self._streams.values()):
            transport.abort()

    def _shut_down(self) -> None:
        for over in list(self._streams):
            if not over.done():
                over.set_result(None)

    async def _trouble(self, phase: Phase, request: web.BaseRequest, streams: bool) -> web.StreamResponse | None:
        left_s = phase.end_s - self.now_s
        if phase.kind == "restart":
            if left_s > ROOM_FILLS_S:
                return _abort(request)
            return _status(self._draw.choice([403, 403, 403, 401, 503]))
        if phase.kind == "trouble":
            if self._draw.random() < 0.15:
                return _abort(request)
            return _status(self._draw.choice([429, 500, 502, 503, 504]))
        if phase.kind == "expired" and streams and "watch" in request.rel_url.query:
            gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version: 1 (9)"}
            return web.Response(text=json.dumps({"type": "ERROR", "object": gone}) + "\n")
        if phase.kind == "silent":
            await asyncio.sleep(3600)
        if phase.kind == "ended" and "watch" in request.rel_url.query:
            return web.Response(text="")
        if phase.kind == "cut" and streams:
            asyncio.get_running_loop().call_later(self._draw.uniform(0.01, 0.05), self._cut)
        return None

    async def _pass_on(self, request: web.BaseRequest, streams: bool, loses: bool) -> web.StreamResponse:
        headers = {k: v for k, v in request.headers.items() if k.lower() not in HOP}
        url = URL(self.upstream + request.raw_path, encoded=True)
        changes = request.method not in ("GET", "HEAD")
        async with self._session.request(request.method, url, headers=headers, data=await request.read()) as answer:
            if loses and changes and self._draw.random() < 0.6:
                await answer.read()
                return _abort(request)
            kept = {k: v for k, v in answer.headers.items() if k.lower() not in HOP}
            if not streams:
                return web.Response(status=answer.status, headers=kept, body=await answer.read())
            return await self._stream(request, answer, kept)

    async def _stream(self, request: web.BaseRequest, answer: Any, headers: dict[str, str]) -> web.StreamResponse:
        transport, over = request.transport, asyncio.get_running_loop().create_future()
        response = web.StreamResponse(status=answer.status, headers=headers)
        assert transport is not None
        self._streams[over] = transport
        try:
            await response.prepare(request)
            while not over.done():
                read = asyncio.ensure_future(answer.content.readany())
                await asyncio.wait({read, over}, return_when=asyncio.FIRST_COMPLETED)
                if not read.done():
                    read.cancel()
                elif chunk := read.result():
                    await response.write(chunk)
                else:
                    break
            await response.write_eof()
        except (ConnectionError, aiohttp.ClientError):
            transport.abort()
        finally:
            del self._streams[over]
        return response


def _abort(request: web.BaseRequest) -> web.StreamResponse:
    if request.transport:
        request.transport.abort()
    return web.Response()


def _status(code: int) -> web.Response:
    return web.json_response({"kind": "Status", "code": code, "message": "starting"}, status=code)
