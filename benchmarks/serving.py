"""Requests a second of `mf serve`, of vLLM, and of transformers' `generate`, one after another, in one run.

    python benchmarks/serving.py [--release data/release] [--requests 320] [--vllm PYTHON] [--memory 10000]

All get the same recordings of 30 s (mp3, then wav, in base64) and the same questions, greedily, and say the same words.
`generate` decodes, makes features and generates, a request at a time, before and after the servers: its speed is the
mean of both. The servers get 16 requests at once: every request with a recording of its own, then four and eight
questions about each. Then a song of 15 minutes is asked about in the middle of the 16. `--vllm`: a Python with vLLM and
this package. `--memory`: so many requests with recordings of their own, to a server whose cache is soon full, and what
memory it holds meanwhile.
"""

import argparse
import asyncio
import base64
import io
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import psutil
import soundfile
import torch
from published import publish

from music_flamingo.model.listener import Ask, Listener
from music_flamingo.serving.bundle import ReleaseInfo, open_release
from music_flamingo.serving.detokenizer import split
from music_flamingo.serving.uploads import Upload, decode_upload

RATE_HZ = 16000
CLIP_S = 30.0
CONCURRENCY = 16
PORT = 8089
FORMS = ("mp3", "wav")
QUESTIONS_EACH = (1, 4, 8)
SONG_S = 900.0
MF, VLLM = "mf serve", "vLLM"
PATHS = {MF: "/openai/v1/chat/completions", VLLM: "/v1/chat/completions"}
VLLM_SETTINGS = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_WORKER_MULTIPROC_METHOD": "fork",
    "VLLM_NO_USAGE_STATS": "1",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
}
"""Threads and eager kernels: what was fastest for a model of this size on two cores."""
MEMORY_CLIP_S = 4.0
MEMORY_CACHE_MIB = 16
START_S = 600


@dataclass(frozen=True)
class Clip:
    form: str
    base64: str


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


def asked_of(questions: Sequence[str], count: int, each: int, form: str) -> list[tuple[Clip, str]]:
    """(recording, question), so many questions about each recording; the server has heard none of them before."""
    clips = [clip(1000 * each + number, form) for number in range(-(-count // each))]
    return [(clips[i // each], questions[i % len(questions)]) for i in range(count)]


def body(clip: Clip, question: str, **more: object) -> dict[str, object]:
    audio = {"type": "input_audio", "input_audio": {"data": clip.base64, "format": clip.form}}
    content = [{"type": "text", "text": question}, audio]
    return {"model": "music-flamingo", "messages": [{"role": "user", "content": content}], **more}


@contextmanager
def server(release: Path, *options: str) -> Iterator[psutil.Process]:
    command = [sys.executable, "-m", "music_flamingo.cli", "serve", "--release", str(release), "--port", str(PORT)]
    with running([*command, *options], "/v2/health/ready", dict(os.environ)) as process:
        yield process


@contextmanager
def vllm_server(python: Path, release: Path) -> Iterator[psutil.Process]:
    """vLLM on the release's weights, with this package's plugin."""
    command = [str(python.parent / "vllm"), "serve", str(release / "model"), "--enforce-eager", "--port", str(PORT)]
    command += ["--served-model-name", "music-flamingo", "--reasoning-parser", "music_flamingo"]
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with running([*command, "--max-num-seqs", str(CONCURRENCY)], "/health", {**own, **VLLM_SETTINGS}) as process:
        yield process


@contextmanager
def running(command: list[str], ready: str, environment: dict[str, str]) -> Iterator[psutil.Process]:
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, start_new_session=True
    ) as process:
        try:
            for _ in range(START_S):
                try:
                    httpx.get(f"http://127.0.0.1:{PORT}{ready}").raise_for_status()
                    break
                except httpx.HTTPError:
                    time.sleep(1)
            yield psutil.Process(process.pid)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)


Said = tuple[str | None, str]
"""(thinking, answer)."""


async def ask_all(
    bodies: list[bytes], concurrency: int, way: str = MF, song: bytes | None = None
) -> tuple[float, list[float], list[Said]]:
    """(seconds in all, seconds of each, answers). `song`: asked besides, when a quarter of the others are answered."""
    gate = asyncio.Semaphore(concurrency)
    limits = httpx.Limits(max_connections=concurrency + 1)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{PORT}", timeout=300, limits=limits) as client:

        async def one(number: int, sent: bytes) -> tuple[float, Said]:
            async with gate:
                if number == len(bodies) // 4 and song is not None:
                    songs.append(asyncio.ensure_future(client.post(PATHS[way], content=song)))
                started = time.perf_counter()
                response = await client.post(PATHS[way], content=sent, headers={"content-type": "application/json"})
                took_s = time.perf_counter() - started
            message = response.raise_for_status().json()["choices"][0]["message"]
            thinking = message.get("reasoning_content") or message.get("reasoning")
            return took_s, (thinking, message["content"])

        songs: list[asyncio.Future[httpx.Response]] = []
        started = time.perf_counter()
        told = await asyncio.gather(*(one(number, sent) for number, sent in enumerate(bodies)))
        total_s = time.perf_counter() - started
        for answer in songs:
            (await answer).raise_for_status()
        return total_s, [t for t, _ in told], [said for _, said in told]


def first_word_s(clip: Clip, question: str) -> float:
    sent = body(clip, question, stream=True)
    started = time.perf_counter()
    with httpx.stream("POST", f"http://127.0.0.1:{PORT}/openai/v1/chat/completions", json=sent, timeout=60) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                delta = json.loads(line[6:])["choices"][0]["delta"]
                if delta.get("content") or delta.get("reasoning_content"):
                    return time.perf_counter() - started
    raise RuntimeError("no word came")


def peer(
    listener: Listener, think: bool, asked: list[tuple[Clip, str]], max_new_tokens: int
) -> tuple[float, list[Said]]:
    """(seconds a request, answers) of transformers' generate, one request after another."""
    started, said = time.perf_counter(), []
    for sent, question in asked:
        ask = Ask(decode_upload(Upload.of_text(sent.base64), RATE_HZ), question, (), think)
        (heard,) = listener.answer([ask], max_new_tokens=max_new_tokens, batch_size=1)
        said.append(split(heard.text))
    return (time.perf_counter() - started) / len(asked), said


def percentile(values: list[float], part: float) -> float:
    return float(np.percentile(values, 100 * part))


def side_by_side(
    arguments: argparse.Namespace, info: ReleaseInfo, questions: Sequence[str], form: str
) -> tuple[list[str], list[str]]:
    """(rows of the table, what else was seen)."""
    own = asked_of(questions, arguments.requests, 1, form)
    listener = Listener.load(arguments.release)
    torch.set_num_threads(1)  # as the server does: two that wait for each other are slower, the more so beside others
    peer(listener, info.think, own[:3], info.max_new_tokens)
    half = len(own) // 2
    before_s, said = peer(listener, info.think, own[:half], info.max_new_tokens)
    found: dict[tuple[str, int], tuple[float, list[float], list[Said]]] = {}
    notes = []
    with server(arguments.release):
        found |= {(MF, each): asked_by(MF, questions, own, each, form) for each in QUESTIONS_EACH}
        first_s = [first_word_s(clip(10_000 + i, form), questions[0]) for i in range(20)]
        notes += [
            f"{form}: first word, alone, new recordings: median {1000 * statistics.median(first_s):.0f} ms, largest "
            f"{1000 * max(first_s):.0f} ms. {song_meanwhile(questions, form, arguments.requests)}"
        ]
    if arguments.vllm:
        with vllm_server(arguments.vllm, arguments.release):
            found |= {(VLLM, each): asked_by(VLLM, questions, own, each, form) for each in QUESTIONS_EACH}
    after_s, rest = peer(listener, info.think, own[half:], info.max_new_tokens)
    said, peer_s = said + rest, (before_s + after_s) / 2
    lines = [f"| {form} | transformers generate, one by one | {1 / peer_s:.1f} | 1.0 | | {1000 * peer_s:.0f} | | |"]
    for (way, each), (total_s, each_s, answers) in found.items():
        rate, median, p95 = len(own) / total_s, percentile(each_s, 0.5), percentile(each_s, 0.95)
        of_vllm = f"{found[VLLM, each][0] / total_s:.2f}" if way == MF and arguments.vllm else ""
        lines.append(
            f"| {form} | {way}, {each} questions a recording | {rate:.1f} | {rate * peer_s:.1f} | {of_vllm} | "
            f"{1000 * median:.0f} | {1000 * p95:.0f} | {p95 / median:.2f} |"
        )
        if each == 1:
            same = sum(a == b for a, b in zip(answers, said, strict=True))
            notes.append(f"{form}: {way} says the words of generate {same} of {len(said)} times.")
    return lines, notes


def asked_by(
    way: str, questions: Sequence[str], own: list[tuple[Clip, str]], each: int, form: str
) -> tuple[float, list[float], list[Said]]:
    asked = own if each == 1 else asked_of(questions, len(own), each, form)
    warm = [json.dumps(body(*one)).encode() for one in asked_of(questions, CONCURRENCY, 3, form)]
    asyncio.run(ask_all(warm, CONCURRENCY, way))
    return asyncio.run(ask_all([json.dumps(body(*one)).encode() for one in asked], CONCURRENCY, way))


def song_meanwhile(questions: Sequence[str], form: str, requests: int) -> str:
    """How much longer the slowest of the others takes when a song is asked about meanwhile."""
    song = json.dumps(body(clip(30_000, form, SONG_S) if form == "mp3" else clip(30_000, "flac", SONG_S), questions[0]))
    took_s = []
    for number, sent in enumerate((None, song.encode())):
        clips = [clip(40_000 + 1000 * number + i, form) for i in range(requests)]
        bodies = [json.dumps(body(c, questions[i % len(questions)])).encode() for i, c in enumerate(clips)]
        took_s.append(asyncio.run(ask_all(bodies, CONCURRENCY, MF, sent))[1])
    alone, beside = took_s
    return (
        f"A song of 15 minutes meanwhile: median {1000 * percentile(alone, 0.5):.0f} -> "
        f"{1000 * percentile(beside, 0.5):.0f} ms, slowest {1000 * max(alone):.0f} -> {1000 * max(beside):.0f} ms."
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--release", type=Path, default=Path("data/release"))
    options.add_argument("--requests", type=int, default=320)
    options.add_argument("--forms", nargs="*", default=FORMS, choices=FORMS)
    options.add_argument("--vllm", type=Path, help="a Python with vLLM and this package")
    options.add_argument("--memory", type=int, default=0, help="also send so many requests and watch the memory")
    arguments = options.parse_args()
    info = open_release(arguments.release)
    questions = [q.question for q in info.questions if q.question]
    lines = [f"{arguments.requests} requests of {CLIP_S:.0f} s, {CONCURRENCY} at once", ""]
    lines += ["| form | way | requests/s | times generate | times vLLM | median ms | p95 ms | p95/median |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    notes = []
    for form in arguments.forms:
        rows, noted = side_by_side(arguments, info, questions, form)
        lines += rows
        notes += noted
    lines += ["", *(f"- {note}" for note in notes)]
    if arguments.memory:
        with server(arguments.release, "--cache-mib", str(MEMORY_CACHE_MIB)) as process:
            lines += memory(process, arguments.memory, questions)
    publish("serving", "mf serve against vLLM and transformers generate", lines, ("torch", "transformers", "kserve"))


def memory(process: psutil.Process, requests: int, questions: list[str]) -> list[str]:
    """Resident memory of the server and its decoders over many requests with recordings of their own."""
    lines = [f"Recordings of {MEMORY_CLIP_S:.0f} s, each asked about once, a cache of {MEMORY_CACHE_MIB} MiB:", ""]
    lines += ["| requests | MiB | of it decoders | requests/s |", "|---|---|---|---|"]
    step = max(requests // 10, 1)
    for start in range(0, requests, step):
        sent = [
            json.dumps(body(clip(i, "wav", MEMORY_CLIP_S), questions[i % len(questions)])).encode()
            for i in range(start, start + step)
        ]
        took_s, _, _ = asyncio.run(ask_all(sent, CONCURRENCY))
        own, decoders = resident_mib(process), sum(map(resident_mib, process.children(recursive=True)))
        lines.append(f"| {start + step} | {own + decoders:.0f} | {decoders:.0f} | {step / took_s:.0f} |")
    return ["", *lines]


def resident_mib(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 2**20


if __name__ == "__main__":
    main()
