"""`mf serve` as a user starts it, and requests as clients send them: shared by the tests of the endpoint."""

import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import numpy as np
import psutil
import soundfile

from support.listening import RATE_HZ, tone

QUESTION = "Are drums heard in this music, yes or no?"
START_S = 90.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(release: Path, *options: str, start_s: float = START_S) -> Iterator[str]:
    """The server's address. In the end its log holds no traceback, and it stops when told."""
    port = free_port()
    log = release.parent / f"server-{port}.log"
    command = [sys.executable, "-m", "music_flamingo.cli", "serve", "--release", str(release), "--port", str(port)]
    with log.open("w") as out:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen([*command, *options], stdout=out, stderr=out, env=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(address, process, log, start_s)
        yield address
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert "Traceback" not in log.read_text()
    finally:
        process.kill()


def _wait_until_ready(address: str, process: subprocess.Popen, log: Path, start_s: float) -> None:
    deadline = time.monotonic() + start_s
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(f"{address}/v2/health/ready").is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise AssertionError(f"not ready within {start_s} s: {log.read_text()}")


def held_bytes() -> int:
    """Memory of this process's children; what several share counts once (decoders are forked from one process)."""
    held = 0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            held += process.memory_full_info().pss
    return held


def wav(samples: np.ndarray, rate_hz: int = RATE_HZ, subtype: str = "PCM_16") -> str:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format="WAV", subtype=subtype)
    return base64.b64encode(buffer.getvalue()).decode()


def body(*parts: dict, **changes) -> dict:
    content = list(parts) or [{"type": "text", "text": QUESTION}, recording(wav(tone()))]
    return {"model": "music-flamingo", "messages": [{"role": "user", "content": content}], **changes}


def recording(data: str) -> dict:
    return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}


def post(server: str, content: bytes | dict, path: str = "/openai/v1/chat/completions", **headers) -> httpx.Response:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return httpx.post(server + path, content=data, headers={"content-type": "application/json", **headers}, timeout=60)


def refused(response: httpx.Response) -> tuple[int, str]:
    """(status, code) of an error that has OpenAI's shape and shows nothing of our insides."""
    assert 400 <= response.status_code < 500, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == ("rate_limit_error" if response.status_code == 429 else "invalid_request_error")
    assert error["message"]
    assert "Traceback" not in response.text and ".py" not in response.text
    assert len(response.text) < 1000
    return response.status_code, error["code"]
