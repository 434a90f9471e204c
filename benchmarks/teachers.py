"""What the teacher client costs: calls a second and CPU a call, against a server on loopback that answers at once.

    python benchmarks/teachers.py            # half a minute; writes benchmarks/results/<date>-teachers.md

The server runs in a process of its own and gives a canned reply, so that what is measured is rendering, key, HTTP,
validation, cache and count. A language model takes seconds; the client must not be what limits it.
"""

import argparse
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from published import publish
from pydantic import TypeAdapter

from music_flamingo.audio.flac import encode_flac
from music_flamingo.teachers import Reply, Teacher, TeacherConfig, TeacherRequest, open_teacher, over_shards
from music_flamingo.teachers.cache import CallCache, CallTokens, Finished
from music_flamingo.teachers.payloads import TextReply, WindowPayload
from music_flamingo.teachers.server import ScriptedServer

REPLY = {
    "choices": [{"message": {"content": json.dumps({"text": "word " * 60})}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 300, "completion_tokens": 90},
}


class CannedServer(ScriptedServer):
    """Answers at once, whatever is asked."""

    def answer(self, body: dict) -> tuple[int, dict[str, str], bytes]:
        return 200, {}, json.dumps(REPLY).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=6000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--cache-calls", type=int, default=0, help="also fill a cache with so many calls")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        server = CannedServer("127.0.0.1", 0)
        print(server.base_url, flush=True)
        server.serve_forever()
    table = measure(arguments.calls, arguments.concurrency)
    if arguments.cache_calls:
        table += ["", *measure_cache(arguments.cache_calls)]
    notes = ["server: a canned reply of 60 words, in a process of its own on loopback, on the same cores"]
    publish("teachers", "What the teacher client costs", table, notes=notes)


def measure(num_calls: int, concurrency: int) -> list[str]:
    lines = ["| calls | concurrency | calls/s | client CPU ms a call |", "|---|---|---|---|"]
    flac = encode_flac(np.random.default_rng(0).normal(0, 0.1, 30 * 16000).astype(np.float32))
    with served() as base_url, tempfile.TemporaryDirectory() as folder:
        for name, cache, audio, share in (
            ("text, kept in the cache", "text", None, 1.0),
            ("text, all found in the cache", "text", None, 1.0),
            ("text, no cache", None, None, 1.0),
            (f"30 s of sound as FLAC ({len(flac) / 1e6:.1f} MB), kept in the cache", "sound", flac, 0.1),
        ):
            teacher = open_teacher(config(base_url, concurrency, Path(folder) / cache if cache else None))
            lines.append(row(name, teacher, requests(int(num_calls * share), audio), concurrency))
            print(lines[-1], flush=True)
            teacher.close()
    return lines


def measure_cache(num_calls: int) -> list[str]:
    """Kept and found calls a second, one thread, as the cache fills; replies of 400 characters."""
    lines = ["| calls in the cache | kept/s | found/s | GB |", "|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        cache, filled = CallCache(Path(folder)), 0
        for goal in sorted({num_calls // 100, num_calls // 10, num_calls}):
            keys = [hashlib.sha256(str(k).encode()).hexdigest() for k in range(filled, goal)]
            started_s = time.perf_counter()
            for key in keys:
                cache.put(key, "model", "qa_temporal", Finished("x" * 400, "", CallTokens(500, 100)))
            kept_s = time.perf_counter() - started_s
            asked = random.Random(goal).choices(keys, k=10_000)
            started_s = time.perf_counter()
            assert all(cache.get(key) for key in asked)
            found_s = time.perf_counter() - started_s
            num_bytes = sum(path.stat().st_size for path in Path(folder).iterdir())
            rates = f"{len(keys) / kept_s:.0f} | {len(asked) / found_s:.0f}"
            lines.append(f"| {goal} | {rates} | {num_bytes / 1e9:.2f} |")
            print(lines[-1], flush=True)
            filled = goal
        cache.close()
    return lines


def row(name: str, teacher: Teacher, asked: list[TeacherRequest[TextReply]], concurrency: int) -> str:
    started_s, cpu_s = time.perf_counter(), time.process_time()
    for _, replies in over_shards(concurrency, ((0, asked) for _ in range(1)), partial(_ask, teacher)):
        assert len(replies) == len(asked)
    wall_s, spent_s = time.perf_counter() - started_s, time.process_time() - cpu_s
    return f"| {name} | {concurrency} | {len(asked) / wall_s:.0f} | {1000 * spent_s / len(asked):.2f} |"


def _ask(teacher: Teacher, request: TeacherRequest[Reply]) -> Reply:
    return teacher.ask(request)


def requests(number: int, audio: bytes | None) -> list[TeacherRequest[TextReply]]:
    return [
        TeacherRequest(
            "initial_caption",
            WindowPayload(
                track_id=f"track-{k}",
                start_s=0.0,
                end_s=30.0,
                has_drums=True,
                texture="chords",
                lead_envelope="decaying",
                dynamics_trend="steady",
            ),
            TextReply,
            k,
            audio,
        )
        for k in range(number)
    ]


def config(base_url: str, concurrency: int, cache: Path | None) -> TeacherConfig:
    endpoint = {"base_url": base_url, "api_key_env": None, "timeout_s": 60.0, "max_tries": 5}
    values = {
        "kind": "openai_compatible",
        "endpoint": {**endpoint, "first_wait_s": 0.5, "max_wait_s": 30.0},
        "model": "scripted",
        "revision": "1",
        "temperature": 0.7,
        "max_tokens": 4096,
        "reasoning_effort": None,
        "structured": "response_format",
        "audio": "flac",
        "concurrency": concurrency,
        "prices": {"input_per_million": 1.0, "output_per_million": 1.0, "currency": "USD"},
        "stop": {"window_calls": 200, "max_failed_fraction": 0.2},
        "cache": str(cache) if cache else None,
    }
    made: TeacherConfig = TypeAdapter(TeacherConfig).validate_json(json.dumps(values))
    return made


@contextmanager
def served() -> Iterator[str]:
    command = [sys.executable, __file__, "--serve"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
