"""Recordings, requests and running servers for `serving.py`."""

import asyncio
import base64
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import psutil
import soundfile

RATE_HZ = 16000
CLIP_S = 30.0
START_S = 600
VLLM_SETTINGS = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_WORKER_MULTIPROC_METHOD": "fork",
    "VLLM_NO_USAGE_STATS": "1",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
}
"""Threads and eager kernels: what was fastest for a model of this size on two cores."""

Said = tuple[str | None, str]
"""(thinking, answer)."""


@dataclass(frozen=True)
class Clip:
    form: str
    base64: str


@dataclass(frozen=True)
class Server:
    """A server that runs, and the path of its chat route."""

    port: int
    path: str
    process: psutil.Process

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}"

    def cpu_s(self) -> float:
        """Processor seconds of all its processes so far."""
        used_s = 0.0
        for process in (self.process, *self.process.children(recursive=True)):
            with suppress(psutil.Error):
                times = process.cpu_times()
                used_s += times.user + times.system
        return used_s


@dataclass(frozen=True)
class Asked:
    """What a crowd of requests was answered."""

    took_s: float
    """From the first request to the last answer."""
    each_s: list[float]
    said: list[Said]


def clip(seed: int, form: str, length_s: float = CLIP_S) -> Clip:
    """Plucked notes."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(int(length_s * RATE_HZ)) / RATE_HZ
    step_s = rng.uniform(0.2, 0.7)
    pitches_hz = 110 * 2 ** (rng.integers(0, 24, 200) / 12)
    wave = np.sin(2 * np.pi * pitches_hz[(time_s / step_s).astype(int) % 200] * time_s) * np.exp(-6 * (time_s % step_s))
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.4 * wave, RATE_HZ, format=form.upper())
    return Clip(form, base64.b64encode(buffer.getvalue()).decode())


def body(clip: Clip, question: str, **more: object) -> bytes:
    audio = {"type": "input_audio", "input_audio": {"data": clip.base64, "format": clip.form}}
    content = [{"type": "text", "text": question}, audio]
    return json.dumps({"model": "music-flamingo", "messages": [{"role": "user", "content": content}], **more}).encode()


@contextmanager
def mf_server(release: Path, port: int, *options: str) -> Iterator[Server]:
    command = [sys.executable, "-m", "music_flamingo.cli", "serve", "--release", str(release), "--port", str(port)]
    with _running([*command, *options], port, "/v2/health/ready", dict(os.environ)) as process:
        yield Server(port, "/openai/v1/chat/completions", process)


@contextmanager
def vllm_server(python: Path, release: Path, port: int, concurrency: int) -> Iterator[Server]:
    """vLLM on the release's weights, with this package's plugin."""
    command = [str(python.parent / "vllm"), "serve", str(release / "model"), "--enforce-eager", "--port", str(port)]
    command += ["--served-model-name", "music-flamingo", "--reasoning-parser", "music_flamingo"]
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | VLLM_SETTINGS
    with _running([*command, "--max-num-seqs", str(concurrency)], port, "/health", own) as process:
        yield Server(port, "/v1/chat/completions", process)


@contextmanager
def _running(command: list[str], port: int, ready: str, environment: dict[str, str]) -> Iterator[psutil.Process]:
    silent = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=silent, stderr=silent, env=environment, start_new_session=True) as process:
        try:
            for _ in range(START_S):
                if process.poll() is not None:
                    raise RuntimeError(f"it ended with {process.returncode}: {' '.join(command)}")
                with suppress(httpx.HTTPError):
                    httpx.get(f"http://127.0.0.1:{port}{ready}").raise_for_status()
                    break
                time.sleep(1)
            yield psutil.Process(process.pid)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)


def ask_all(server: Server, bodies: Sequence[bytes], concurrency: int) -> Asked:
    """All of them, so many at once."""
    return asyncio.run(_ask_all(server, bodies, concurrency))


async def _ask_all(server: Server, bodies: Sequence[bytes], concurrency: int) -> Asked:
    gate = asyncio.Semaphore(concurrency)
    async with httpx.AsyncClient(timeout=300, limits=httpx.Limits(max_connections=concurrency)) as client:

        async def one(sent: bytes) -> tuple[float, Said]:
            async with gate:
                return await ask(client, server, sent)

        started = time.perf_counter()
        found = await asyncio.gather(*map(one, bodies))
    return Asked(time.perf_counter() - started, [s for s, _ in found], [said for _, said in found])


async def ask(client: httpx.AsyncClient, server: Server, sent: bytes) -> tuple[float, Said]:
    """(seconds, answer)."""
    started = time.perf_counter()
    response = await client.post(server.url, content=sent, headers={"content-type": "application/json"})
    took_s = time.perf_counter() - started
    message = response.raise_for_status().json()["choices"][0]["message"]
    return took_s, (message.get("reasoning_content") or message.get("reasoning"), message["content"])


def first_word_s(server: Server, clip: Clip, question: str) -> float:
    sent, headers = body(clip, question, stream=True), {"content-type": "application/json"}
    started = time.perf_counter()
    with httpx.stream("POST", server.url, content=sent, headers=headers, timeout=60) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                delta = json.loads(line[6:])["choices"][0]["delta"]
                if delta.get("content") or delta.get("reasoning_content") or delta.get("reasoning"):
                    return time.perf_counter() - started
    raise RuntimeError("no word came")
