"""Connections that say nothing, or read nothing, end; the others are answered."""

import asyncio
import contextlib
import socket

import pytest
import uvicorn
from fastapi import FastAPI
from timing_asgi import TimingMiddleware

from music_flamingo.serving import connections
from music_flamingo.serving.connections import BoundedConnection
from music_flamingo.serving.limits import BodyLimit
from music_flamingo.serving.server import _leave_out_timings

LARGE = b"x" * 2**16


async def app(scope, receive, send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/endless":
        while not await _is_gone(receive):
            await send({"type": "http.response.body", "body": LARGE, "more_body": True})
    await send({"type": "http.response.body", "body": b"yes"})


async def _is_gone(receive) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.0001):
            return (await receive())["type"] == "http.disconnect"
    return False


@contextlib.asynccontextmanager
async def listening():
    config = uvicorn.Config(app, port=0, log_config=None, lifespan="off", http=BoundedConnection, ws="none")
    server = uvicorn.Server(config)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        running = asyncio.ensure_future(server.serve([bound]))
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield server, bound.getsockname()[1]
        finally:
            server.should_exit = server.force_exit = True
            await running


async def answer_of(port: int, sent: bytes = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    try:
        return await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost:"])
def test_a_connection_without_a_whole_request_ends(monkeypatch, sent):
    monkeypatch.setattr(connections, "HEADERS_S", 0.1)

    async def wait() -> None:
        async with listening() as (_, port):
            with contextlib.suppress(ConnectionError):
                assert await answer_of(port, sent) == b""
            assert b"200 OK" in await answer_of(port)

    asyncio.run(wait())


def test_headers_that_trickle_do_not_start_the_time_anew(monkeypatch):
    monkeypatch.setattr(connections, "HEADERS_S", 0.3)

    async def trickle() -> int:
        async with listening() as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\n")
            for number in range(100):
                writer.write(b"A: b\r\n")
                await asyncio.sleep(0.02)
                if reader.at_eof() or reader.exception():
                    return number
        return 100

    assert asyncio.run(trickle()) < 50


def test_the_longest_idle_connection_makes_room_for_a_new_one(monkeypatch):
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 5)

    async def crowd() -> tuple[int, bytes]:
        async with listening() as (server, port):
            idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
            await asyncio.sleep(0.05)
            held = len(server.server_state.connections)
            said = await answer_of(port)
            for _, writer in idle:
                writer.close()
        return held, said

    held, said = asyncio.run(crowd())
    assert held <= 5
    assert b"200 OK" in said


def test_a_connection_that_was_answered_since_is_not_the_longest_idle(monkeypatch):
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 5)

    async def crowd() -> bytes:
        async with listening() as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
            for _ in range(2):
                writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                assert await reader.readuntil(b"0\r\n\r\n")
                idle += [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
                await asyncio.sleep(0.05)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            said = await asyncio.wait_for(reader.read(), 5)
            for _, other in idle:
                other.close()
            return said

    assert b"200 OK" in asyncio.run(crowd())


def test_a_crowd_of_one_address_makes_room_for_itself(monkeypatch):
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 5)

    async def crowd() -> bytes:
        async with listening() as (server, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
            idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
            await asyncio.sleep(0.05)
            assert len(server.server_state.connections) <= 5
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            said = await asyncio.wait_for(reader.read(), 5)
            for _, other in idle:
                other.close()
            return said

    assert b"200 OK" in asyncio.run(crowd())


def test_an_answer_that_nobody_reads_ends(monkeypatch):
    monkeypatch.setattr(connections, "UNREAD_S", 0.2)

    async def ignore() -> int:
        async with listening() as (server, port):
            with socket.socket() as client:
                client.connect(("127.0.0.1", port))
                client.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
                for _ in range(100):
                    await asyncio.sleep(0.05)
                    if not server.server_state.connections and not server.server_state.tasks:
                        return 0
            return len(server.server_state.connections)

    assert asyncio.run(ignore()) == 0


def test_kserves_timings_are_left_out_and_every_other_middleware_stays():
    served = FastAPI()
    served.add_middleware(BodyLimit)
    served.add_middleware(TimingMiddleware, client=None, metric_namer=None)
    _leave_out_timings(served)
    assert [own.cls for own in served.user_middleware] == [BodyLimit]
