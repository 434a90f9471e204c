"""Requests a second of `mf serve` against transformers' `generate`, one request after another, in one run.

    python benchmarks/serving.py [--release data/release] [--requests 320] [--memory 10000]

Both get the same recordings of 30 s (mp3, then wav, in base64) and the same questions, greedily, and say the same
words. The peer decodes, makes features and generates, a request at a time. The server gets 16 requests at once: every
request with a recording of its own, then two, four and eight questions about each. `--memory`: so many requests with
recordings of their own, to a server whose cache is soon full, and what memory it holds meanwhile.
"""

import argparse
import asyncio
import base64
import io
import json
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
from published import publish

from music_flamingo.model.listener import Ask, Listener
from music_flamingo.serving.bundle import ReleaseInfo, open_release
from music_flamingo.serving.uploads import Upload, decode_upload

RATE_HZ = 16000
CLIP_S = 30.0
CONCURRENCY = 16
PORT = 8089
FORMS = ("mp3", "wav")
QUESTIONS_EACH = (1, 2, 4, 8)
MEMORY_CLIP_S = 4.0
MEMORY_CACHE_MIB = 16


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
    command += options
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                httpx.get(f"http://127.0.0.1:{PORT}/v2/health/ready").raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


async def ask_all(bodies: list[bytes], concurrency: int) -> tuple[float, list[float], list[str]]:
    """(seconds in all, seconds of each, answers)."""
    gate = asyncio.Semaphore(concurrency)
    limits = httpx.Limits(max_connections=concurrency)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{PORT}", timeout=120, limits=limits) as client:

        async def one(sent: bytes) -> tuple[float, str]:
            async with gate:
                started = time.perf_counter()
                response = await client.post("/openai/v1/chat/completions", content=sent)
                took_s = time.perf_counter() - started
            return took_s, response.raise_for_status().json()["music_flamingo"]["text"]

        started = time.perf_counter()
        told = await asyncio.gather(*(one(sent) for sent in bodies))
        return time.perf_counter() - started, [t for t, _ in told], [text for _, text in told]


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
) -> tuple[float, list[str]]:
    """(seconds a request, answers) of transformers' generate, one request after another."""
    started, said = time.perf_counter(), []
    for sent, question in asked:
        ask = Ask(decode_upload(Upload.of_text(sent.base64), RATE_HZ), question, (), think)
        said += [heard.text for heard in listener.answer([ask], max_new_tokens=max_new_tokens, batch_size=1)]
    return (time.perf_counter() - started) / len(asked), said


def percentile(values: list[float], part: float) -> float:
    return float(np.percentile(values, 100 * part))


def side_by_side(
    release: Path, info: ReleaseInfo, questions: Sequence[str], requests: int, form: str
) -> tuple[list[str], str]:
    """(rows of the table, what else was seen)."""
    own = asked_of(questions, requests, 1, form)
    listener = Listener.load(release)
    peer(listener, info.think, own[:3], info.max_new_tokens)
    peer_s, said = peer(listener, info.think, own[: len(own) // 4], info.max_new_tokens)
    lines = [f"| {form} | transformers generate, one by one | {1 / peer_s:.1f} | 1.0 | {1000 * peer_s:.0f} | | |"]
    with server(release):
        for each in QUESTIONS_EACH:
            asked = own if each == 1 else asked_of(questions, requests, each, form)
            bodies = [json.dumps(body(*one)).encode() for one in asked]
            asyncio.run(ask_all(bodies[:CONCURRENCY], CONCURRENCY))
            total_s, each_s, texts = asyncio.run(ask_all(bodies, CONCURRENCY))
            if asked is own:
                same = sum(a == b for a, b in zip(texts, said, strict=False))
            rate, median, p95 = len(asked) / total_s, percentile(each_s, 0.5), percentile(each_s, 0.95)
            lines.append(
                f"| {form} | mf serve, {each} questions a recording | {rate:.1f} | {rate * peer_s:.1f} | "
                f"{1000 * median:.0f} | {1000 * p95:.0f} | {p95 / median:.2f} |"
            )
        first_s = [first_word_s(clip(10_000 + i, form), questions[0]) for i in range(20)]
    note = (
        f"{form}: equal words {same} of {len(said)}; first word, alone, new recordings: median "
        f"{1000 * statistics.median(first_s):.0f} ms, largest {1000 * max(first_s):.0f} ms."
    )
    return lines, note


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--release", type=Path, default=Path("data/release"))
    options.add_argument("--requests", type=int, default=320)
    options.add_argument("--memory", type=int, default=0, help="also send so many requests and watch the memory")
    arguments = options.parse_args()
    info = open_release(arguments.release)
    questions = [q.question for q in info.questions if q.question]
    lines = [f"{arguments.requests} requests of {CLIP_S:.0f} s, {CONCURRENCY} at once", ""]
    lines += ["| form | way | requests/s | times the peer | median ms | p95 ms | p95/median |"]
    lines += ["|---|---|---|---|---|---|---|"]
    notes = []
    for form in FORMS:
        rows, note = side_by_side(arguments.release, info, questions, arguments.requests, form)
        lines += rows
        notes += [note]
    lines += ["", *notes]
    if arguments.memory:
        with server(arguments.release, "--cache-mib", str(MEMORY_CACHE_MIB)) as process:
            lines += memory(process, arguments.memory, questions)
    publish("serving", "mf serve against transformers generate", lines, ("torch", "transformers", "kserve"))


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
