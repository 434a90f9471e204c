"""SIGTERM: what was taken is finished, streams included; nothing new is taken. No process outlives the server."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from support.listening import heard_well, make_release
from support.served import START_S, _wait_until_ready, body, free_port

pytestmark = pytest.mark.reliability

FREE = {"type": "json_schema", "json_schema": {"name": "words", "schema": {"type": "string", "minLength": 2000}}}
"""An answer that may not end before its tokens do."""
LONG = {"max_tokens": 600, "response_format": FREE}


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Path:
    return make_release(tmp_path_factory.mktemp("data"), *heard_well(), max_new_tokens=40)


@pytest.fixture
def server(release, tmp_path) -> Iterator[tuple[subprocess.Popen, str]]:
    port, log = free_port(), tmp_path / "server.log"
    command = [sys.executable, "-m", "music_flamingo.cli", "serve", "--release", str(release), "--port", str(port)]
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, "OMP_NUM_THREADS": "1"})
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(address, process, log, START_S)
        yield process, address
        assert "Traceback" not in log.read_text()
    finally:
        process.kill()


def is_taken(address: str) -> bool:
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def test_a_stream_that_has_begun_is_finished(server):
    process, address = server
    told = []
    with httpx.stream(
        "POST", f"{address}/openai/v1/chat/completions", json=body(stream=True, **LONG), timeout=60
    ) as answer:
        for line in answer.iter_lines():
            if line:
                told.append(line.removeprefix("data: "))
            if len(told) == 3:
                process.send_signal(signal.SIGTERM)
    assert told[-1] == "[DONE]"
    assert json.loads(told[-2])["choices"][0]["finish_reason"] == "length"
    assert len(told) > 50
    assert process.wait(20) == 0


def test_requests_in_hand_are_answered_and_new_ones_find_nobody(server):
    process, address = server
    answers: list[httpx.Response] = []

    def ask() -> None:
        answers.append(httpx.post(f"{address}/openai/v1/chat/completions", json=body(**LONG), timeout=60))

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for each in asking:
        each.start()
    deadline = time.monotonic() + 20
    while "music_flamingo_batch_size_count 0" in httpx.get(f"{address}/metrics").text and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    while is_taken(address) and process.poll() is None:
        time.sleep(0.01)
    for each in asking:
        each.join(30)
    assert [answer.status_code for answer in answers] == [200] * 4
    assert process.wait(20) == 0


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_server(server, end):
    process, address = server
    assert httpx.post(f"{address}/openai/v1/chat/completions", json=body(), timeout=60).status_code == 200
    children = psutil.Process(process.pid).children(recursive=True)
    decoders = [child for child in children if child.parent().pid != process.pid]
    assert decoders
    for each in decoders:  # as one that hangs in native code
        each.suspend()
    process.send_signal(end)
    process.wait(60)
    assert not psutil.wait_procs(children, 60)[1]
