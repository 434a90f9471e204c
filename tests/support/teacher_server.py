"""The scripted teacher's server for tests: it counts calls, and can be made to misbehave by a drawn share of calls."""

import json
import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from music_flamingo.core.hashing import sha256_json
from music_flamingo.teachers.server import ScriptedServer, completion

MISDEEDS = ("http_429", "http_500", "timeout", "invalid_json", "wrong_shape")


class TeacherServer(ScriptedServer):
    """`misbehaves`: share of tries for each of MISDEEDS, drawn by call and try, so that a run can be repeated."""

    def __init__(
        self, misbehaves: float = 0.0, sleeps_s: float = 0.0, api_key: str | None = None, port: int = 0
    ) -> None:
        super().__init__("127.0.0.1", port, api_key)
        self.misbehaves, self.sleeps_s, self.hangs_s = misbehaves, sleeps_s, 3.0
        self.tries: Counter[str] = Counter()
        """Tries of each call, by what is asked (a new seed after a bad reply is the same call)."""
        self.finished: Counter[str] = Counter()
        """How often each call was answered well."""
        self.misdeeds: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self._counting = threading.Lock()

    def answer(self, body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        call = sha256_json({k: v for k, v in body.items() if k != "seed"})
        with self._counting:
            self.tries[call] += 1
            number = self.tries[call]
            self.bodies.append(body)
        time.sleep(self.sleeps_s)
        misdeed = self.misdeed(call, number)
        if misdeed is not None:
            with self._counting:
                self.misdeeds[misdeed] += 1
            return self._misbehave(misdeed, body)
        answered = super().answer(body)
        with self._counting:
            self.finished[call] += 1
        return answered

    def misdeed(self, call: str, number: int) -> str | None:
        """What goes wrong with the try `number` of a call."""
        drawn = random.Random(f"{call}:{number}").random()
        place = int(drawn / self.misbehaves) if self.misbehaves else len(MISDEEDS)
        return MISDEEDS[place] if place < len(MISDEEDS) else None

    def _misbehave(self, misdeed: str, body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        if misdeed == "http_429":
            return 429, {"Retry-After": "0.05"}, b'{"error": {"message": "slow down"}}'
        if misdeed == "http_500":
            return 500, {}, b"<html>Internal Server Error</html>"
        if misdeed == "timeout":
            time.sleep(self.hangs_s)
            return 200, {}, b"{}"
        told = completion(body)
        words = '{"text": "never clo' if misdeed == "invalid_json" else '{"another": ["shape"]}'
        told["choices"][0]["message"]["content"] = words
        return 200, {}, json.dumps(told).encode()


def teacher(server: ScriptedServer, cache: Path | None, **changes: Any) -> dict[str, Any]:
    """Parameters of a teacher that asks the server; `endpoint` is merged."""
    endpoint = {
        "base_url": server.base_url,
        "api_key_env": None,
        "timeout_s": 20.0,
        "max_tries": 5,
        "first_wait_s": 0.01,
        "max_wait_s": 0.2,
    }
    values = {
        "kind": "openai_compatible",
        "model": "scripted",
        "revision": "1",
        "temperature": 0.7,
        "max_tokens": 4096,
        "reasoning_effort": None,
        "structured": "response_format",
        "audio": None,
        "concurrency": 8,
        "prices": {"input_per_million": 1.0, "output_per_million": 10.0, "currency": "USD"},
        "stop": {"window_calls": 200, "max_failed_fraction": 0.2},
        "cache": None if cache is None else str(cache),
    }
    return {**values, **changes, "endpoint": {**endpoint, **changes.get("endpoint", {})}}


def for_stage(stage: str, asked: dict[str, Any]) -> dict[str, Any]:
    """The teacher as a stage takes it: one that describes recordings must hear them."""
    return {**asked, "audio": "wav"} if stage == "captions" else asked


def words_of(message: dict[str, Any]) -> str:
    """The text of a message, beside which there may be sound."""
    content = message["content"]
    return content if isinstance(content, str) else "".join(p["text"] for p in content if p["type"] == "text")
