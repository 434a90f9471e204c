"""Clients that hang up leave their places to others (reliability 5)."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.listening import heard_well, make_release
from support.served import body, post, serving

from music_flamingo.serving.fairness import MAX_IN_HAND

pytestmark = [pytest.mark.reliability, pytest.mark.security]

CHAT = "/openai/v1/chat/completions"
FREE = {"type": "json_schema", "json_schema": {"name": "words", "schema": {"type": "string", "minLength": 2000}}}
"""An answer that may not end before its tokens do."""


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[str]:
    release: Path = make_release(tmp_path_factory.mktemp("data"), *heard_well(), max_new_tokens=8)
    with serving(release) as address:
        yield address


def hang_up(server: str, sent: dict, after_s: float) -> None:
    host, _, port = server.removeprefix("http://").partition(":")
    data = json.dumps(sent).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(data)}\r\n\r\n"
    with socket.create_connection((host, int(port))) as line:
        line.sendall(head.encode() + data)
        time.sleep(after_s)


@pytest.mark.parametrize("stream", [True, False])
def test_clients_that_hang_up_leave_their_places(server, stream):
    asked = body(stream=stream, max_tokens=500, response_format=FREE)
    for number in range(MAX_IN_HAND + 6):
        hang_up(server, asked, after_s=0.01 * (number % 4))
    deadline = time.monotonic() + 40
    while (answer := post(server, body())).status_code == 429 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert answer.status_code == 200
    # many places are free again, not one alone
    with contextlib.ExitStack() as held:
        for _ in range(MAX_IN_HAND // 4):
            sent = httpx.stream("POST", server + CHAT, json=body(stream=True), timeout=60)
            assert held.enter_context(sent).status_code == 200
