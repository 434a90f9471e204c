"""Requests a second of `mf serve`, of vLLM, and of transformers' `generate`, in turns of one run.

    python benchmarks/serving.py [--release data/release] [--rounds 6] [--vllm PYTHON] [--memory 10000]

All get recordings of 30 s (mp3, then wav, in base64) and the same questions, greedily. `generate` does in this process
what an answer takes, base64 and decoding and features included, a request at a time in one thread. The servers get 16
requests at once: each with a recording of its own, then four and eight questions about each. All run all the time, and
each round asks one after the other, in an order that turns: what else the machine does meets all of them. Times are
medians of the rounds' ratios, within a round; processor time is that of all processes of a server. Then a song of 15
minutes is asked about in the middle of 16 others. `--vllm`: a Python with vLLM and this package. `--memory`: so many
requests with recordings of their own, to a server whose cache is soon full, and what memory it holds meanwhile; that
alone with `--forms` and nothing behind it.
"""

import argparse
import asyncio
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import psutil
import torch
from published import publish
from serving_ways import (
    CLIP_S,
    Asked,
    Clip,
    Said,
    Server,
    ask,
    ask_all,
    body,
    clip,
    first_word_s,
    mf_server,
    vllm_server,
)

from music_flamingo.model.listener import Ask, Listener
from music_flamingo.serving.bundle import ReleaseInfo, open_release
from music_flamingo.serving.detokenizer import split
from music_flamingo.serving.uploads import Upload, decode_upload

CONCURRENCY = 16
PORTS = {"mf serve": 8089, "vLLM": 8090}
FORMS = ("mp3", "wav")
QUESTIONS_EACH = (1, 4, 8)
GENERATED = 16
"""Of a round's requests: `generate` takes them one by one."""
SONG_S = 900.0
SONG_ROUNDS = 4
SONG_REQUESTS = 160
FIRST_WORDS = 20
MEMORY_CLIP_S = 4.0
MEMORY_CACHE_MIB = 16

Case = tuple[str, str, int]
"""(form, way, questions a recording)."""


@dataclass
class Found:
    """What the rounds gave, by case."""

    rates: dict[Case, list[float]] = field(default_factory=lambda: defaultdict(list))
    cpu_ms: dict[Case, list[float]] = field(default_factory=lambda: defaultdict(list))
    rounds_s: dict[Case, list[list[float]]] = field(default_factory=lambda: defaultdict(list))
    same: dict[Case, list[bool]] = field(default_factory=lambda: defaultdict(list))

    def add(self, case: Case, asked: Asked, cpu_s: float) -> None:
        self.rates[case].append(len(asked.said) / asked.took_s)
        self.cpu_ms[case].append(1000 * cpu_s / len(asked.said))
        self.rounds_s[case].append(asked.each_s)

    def ratio(self, case: Case, other: Case) -> float:
        return statistics.median(a / b for a, b in zip(self.rates[case], self.rates[other], strict=True))

    def row(self, case: Case) -> str:
        form, way, each = case
        pooled = [s for seconds in self.rounds_s[case] for s in seconds]
        # a round's own median: between rounds the machine was not the same
        even = [s / statistics.median(seconds) for seconds in self.rounds_s[case] for s in seconds]
        rival = (form, "vLLM", each)
        of_vllm = f"{self.ratio(case, rival):.2f}" if way == "mf serve" and rival in self.rates else ""
        p95 = "" if way == "generate" else f"{np.percentile(even, 95):.2f}"
        return (
            f"| {form} | {way} | {each} | {statistics.median(self.rates[case]):.1f} | "
            f"{self.ratio(case, (form, 'generate', 1)):.1f} | {of_vllm} | {statistics.median(self.cpu_ms[case]):.1f} | "
            f"{1000 * statistics.median(pooled):.0f} | {p95} |"
        )


class Generate:
    """transformers' `generate`, one request after another."""

    def __init__(self, release: Path, info: ReleaseInfo) -> None:
        self._listener, self._info = Listener.load(release), info
        torch.set_num_threads(1)  # as the server does: two that wait for each other are slower, the more so under load

    def answer(self, asked: Sequence[tuple[Clip, str]]) -> Asked:
        began, each_s, said = time.perf_counter(), [], list[Said]()
        for sent, question in asked:
            started = time.perf_counter()
            samples = decode_upload(Upload.of_text(sent.base64), self._listener.sample_rate_hz)
            ask = Ask(samples, question, (), self._info.think)
            (heard,) = self._listener.answer([ask], max_new_tokens=self._info.max_new_tokens, batch_size=1)
            said.append(split(heard.text))
            each_s.append(time.perf_counter() - started)
        return Asked(time.perf_counter() - began, each_s, said)


def asked_of(questions: Sequence[str], count: int, each: int, form: str, seed: int) -> list[tuple[Clip, str]]:
    """(recording, question), so many questions about each recording; the servers have heard none of them before."""
    clips = [clip(1000 * seed + number, form) for number in range(-(-count // each))]
    return [(clips[i // each], questions[i % len(questions)]) for i in range(count)]


def three_ways(
    servers: dict[str, Server], generate: Generate, questions: Sequence[str], arguments: argparse.Namespace
) -> Found:
    found, seed = Found(), 0
    for number in range(-1, arguments.rounds):  # the first is to warm up
        for form in arguments.forms:
            for each in QUESTIONS_EACH:
                seed += 1
                asked = asked_of(questions, arguments.requests, each, form, seed)
                ways = ["generate", *servers] if each == 1 else list(servers)
                turned = ways[number % len(ways) :] + ways[: number % len(ways)]
                told = {way: _turn(way, servers, generate, asked) for way in turned}
                if number < 0:
                    continue
                for way, (answers, cpu_s) in told.items():
                    found.add((form, way, each), answers, cpu_s)
                    if each == 1:
                        pairs = zip(answers.said, told["generate"][0].said, strict=False)
                        found.same[form, way, 1] += [a == b for a, b in pairs]
    return found


def _turn(
    way: str, servers: dict[str, Server], generate: Generate, asked: Sequence[tuple[Clip, str]]
) -> tuple[Asked, float]:
    """(answers, processor seconds)."""
    if way == "generate":
        before_s = time.process_time()
        return generate.answer(asked[:GENERATED]), time.process_time() - before_s
    bodies = [body(*one) for one in asked]
    before_s = servers[way].cpu_s()
    return ask_all(servers[way], bodies, CONCURRENCY), servers[way].cpu_s() - before_s


def first_words(server: Server, questions: Sequence[str], form: str) -> str:
    taken_s = [first_word_s(server, clip(900_000 + i, form), questions[0]) for i in range(FIRST_WORDS)]
    return f"median {1000 * statistics.median(taken_s):.0f} ms, largest {1000 * max(taken_s):.0f} ms"


def song_meanwhile(server: Server, questions: Sequence[str], form: str) -> str:
    """How much longer the others take while a song is in hand, in rounds with and without it."""
    song = body(clip(800_000, "mp3" if form == "mp3" else "flac", SONG_S), questions[0])
    taken: dict[bool, list[float]] = {False: [], True: []}
    songs_s = []
    for number in range(2 * SONG_ROUNDS):
        is_song = number % 2 == 1
        asked = asked_of(questions, SONG_REQUESTS, 1, form, 700 + 10 * number + FORMS.index(form))
        bodies = [body(*one) for one in asked]
        each_s, song_s = asyncio.run(_meanwhile(server, bodies, song if is_song else None))
        taken[is_song] += each_s
        songs_s += [song_s] if is_song else []
        song = body(clip(800_001 + number, "mp3" if form == "mp3" else "flac", SONG_S), questions[0])
    alone, beside = taken[False], taken[True]
    at = np.linspace(0, 100, 101)
    later_ms = 1000 * (np.percentile(beside, at) - np.percentile(alone, at))
    return (
        f"a song of 15 minutes meanwhile ({statistics.median(songs_s):.1f} s): median {1000 * np.median(alone):.0f} -> "
        f"{1000 * np.median(beside):.0f} ms, p95 {later_ms[95]:+.0f} ms, "
        f"slowest of {len(beside)} {later_ms[-1]:+.0f} ms"
    )


async def _meanwhile(server: Server, bodies: Sequence[bytes], song: bytes | None) -> tuple[list[float], float]:
    """(seconds of the others, of the song). The song is sent when some of the others are answered."""
    gate, songs = asyncio.Semaphore(CONCURRENCY), list[asyncio.Future[tuple[float, Said]]]()
    async with httpx.AsyncClient(timeout=300, limits=httpx.Limits(max_connections=CONCURRENCY + 1)) as client:

        async def one(number: int, sent: bytes) -> float:
            async with gate:
                if number == CONCURRENCY and song is not None:
                    songs.append(asyncio.ensure_future(ask(client, server, song)))
                return (await ask(client, server, sent))[0]

        each_s = await asyncio.gather(*(one(number, sent) for number, sent in enumerate(bodies)))
        return list(each_s), (await songs[0])[0] if songs else 0.0


def memory(release: Path, requests: int, questions: Sequence[str]) -> list[str]:
    """Resident memory of the server and its decoders over many requests with recordings of their own."""
    lines = [f"Recordings of {MEMORY_CLIP_S:.0f} s, each asked about once, a cache of {MEMORY_CACHE_MIB} MiB:", ""]
    lines += ["| requests | MiB | of it decoders | requests/s |", "|---|---|---|---|"]
    step = max(requests // 10, 1)
    with mf_server(release, PORTS["mf serve"], "--cache-mib", str(MEMORY_CACHE_MIB)) as server:
        for start in range(0, requests, step):
            sounds = (clip(i, "wav", MEMORY_CLIP_S) for i in range(start, start + step))
            bodies = [body(sound, questions[i % len(questions)]) for i, sound in enumerate(sounds)]
            took_s = ask_all(server, bodies, CONCURRENCY).took_s
            own, decoders = _mib(server.process), sum(map(_mib, server.process.children(recursive=True)))
            lines.append(f"| {start + step} | {own + decoders:.0f} | {decoders:.0f} | {step / took_s:.0f} |")
            print(lines[-1], flush=True)  # a run of hours need not end to have been of use
    return ["", *lines]


def _mib(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 2**20


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--release", type=Path, default=Path("data/release"))
    options.add_argument("--rounds", type=int, default=6)
    options.add_argument("--requests", type=int, default=64, help="of a server in a round")
    options.add_argument("--forms", nargs="*", default=FORMS, choices=FORMS)
    options.add_argument("--vllm", type=Path, help="a Python with vLLM and this package")
    options.add_argument("--memory", type=int, default=0, help="also send so many requests and watch the memory")
    arguments = options.parse_args()
    info = open_release(arguments.release)
    questions = [q.question for q in info.questions if q.question]
    notes = []
    with ExitStack() as running:
        servers = {"mf serve": running.enter_context(mf_server(arguments.release, PORTS["mf serve"]))}
        if arguments.vllm:
            rival = vllm_server(arguments.vllm, arguments.release, PORTS["vLLM"], CONCURRENCY)
            servers["vLLM"] = running.enter_context(rival)
        load_before = psutil.getloadavg()[0]
        found = three_ways(servers, Generate(arguments.release, info), questions, arguments)
        loads = f"load of the machine (1 minute) {load_before:.1f} before, {psutil.getloadavg()[0]:.1f} after"
        for form in arguments.forms:
            for way, server in servers.items():
                same = found.same[form, way, 1]
                notes += [f"{form}: {way} says the words of generate {sum(same)} of {len(same)} times."]
                notes += [
                    f"{form}: first word of {way}, alone, new recordings: {first_words(server, questions, form)}."
                ]
    with mf_server(arguments.release, PORTS["mf serve"]) as server:
        notes += [f"{form}: {song_meanwhile(server, questions, form)}." for form in arguments.forms]
    lines = [f"{arguments.rounds} rounds of {arguments.requests} requests of {CLIP_S:.0f} s, {CONCURRENCY} at once; "]
    lines[0] += f"{loads}.\n"
    lines += [
        "| form | way | questions each | requests/s | times generate | times vLLM | CPU ms | median ms | p95/median |"
    ]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    lines += [found.row(case) for case in sorted(found.rates)]
    lines += ["", *(f"- {note}" for note in notes)]
    if arguments.memory:
        lines += memory(arguments.release, arguments.memory, questions)
    others = "vLLM and transformers generate" if arguments.vllm else "transformers generate"
    publish("serving", f"mf serve against {others}", lines, ("torch", "transformers", "kserve"))


if __name__ == "__main__":
    main()
