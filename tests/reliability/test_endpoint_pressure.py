"""The endpoint when too much is asked of it, and when its decoders are killed (reliability 5 and 6)."""

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest
from support.listening import heard_well, make_release, tone
from support.served import QUESTION, body, post, recording, refused, serving, wav

from music_flamingo.serving.fairness import MAX_IN_HAND, MAX_IN_HAND_EACH, RETRY_AFTER_S
from music_flamingo.serving.scheduler import MAX_BATCH

pytestmark = [pytest.mark.reliability, pytest.mark.security]

CHAT = "/openai/v1/chat/completions"
LONG = {"type": "json_schema", "json_schema": {"name": "words", "schema": {"type": "string", "minLength": 2000}}}
"""An answer that may not end before its tokens do."""


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Path:
    return make_release(tmp_path_factory.mktemp("data"), *heard_well(), max_new_tokens=8)


@pytest.fixture(scope="module")
def server(release) -> Iterator[str]:
    with serving(release) as address:
        yield address


def sound(pitch_hz: float, length_s: float = 2.0) -> dict:
    return body({"type": "text", "text": QUESTION}, recording(wav(tone(length_s, pitch_hz=pitch_hz))))


def test_more_than_there_are_places_for_is_429_with_a_time_to_come_again(server):
    count = MAX_IN_HAND + MAX_BATCH
    asked = json.dumps(body(max_tokens=300, response_format=LONG)).encode()
    with ThreadPoolExecutor(count) as pool:
        answers = list(pool.map(lambda _: post(server, asked), range(count)))
        found = Counter(answer.status_code for answer in answers)
    assert set(found) == {200, 429}
    assert found[200] >= MAX_IN_HAND_EACH, "one client; some places are left for the others"
    for answer in answers:
        if answer.status_code == 429:
            assert refused(answer) == (429, "busy")
            assert answer.headers["retry-after"] == str(RETRY_AFTER_S)
    assert post(server, body()).status_code == 200
    text = httpx.get(f"{server}/metrics").text
    assert f'music_flamingo_errors_total{{reason="busy"}} {found[429]}.0' in text


def test_each_key_has_its_minute_and_the_log_has_none(release, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("first-key-of-the-tests\nsecond-key-of-the-tests\n")
    with serving(release, "--api-keys", str(keys), "--requests-per-minute", "3") as address:
        assert refused(post(address, body()))[0] == 401
        first, second = ({"Authorization": f"Bearer {key}"} for key in keys.read_text().split())
        assert [post(address, body(), **first).status_code for _ in range(3)] == [200] * 3
        over = post(address, body(), **first)
        assert refused(over)[0] == 429
        assert 1 <= int(over.headers["retry-after"]) <= 60
        assert post(address, body(), **second).status_code == 200
        assert httpx.get(f"{address}/v2/health/ready").status_code == 200
        log = "".join(path.read_text() for path in release.parent.glob("server-*.log"))
        assert "key-of-the-tests" not in log


def decoders(server: str) -> list[psutil.Process]:
    port = server.rpartition(":")[2]
    running = [p for p in psutil.Process().children() if p.status() != psutil.STATUS_ZOMBIE]
    (process,) = (p for p in running if port in p.cmdline())
    return [p for p in process.children(recursive=True) if "forkserver" in " ".join(p.cmdline())]


def test_decoders_that_are_killed_are_replaced(server):
    assert post(server, sound(300)).status_code == 200
    for process in decoders(server):
        process.kill()
    assert post(server, sound(301)).status_code == 200
    assert decoders(server)


def test_decoders_killed_at_their_work_cost_no_one_a_wrong_answer(server):
    requests = [sound(400 + number, length_s=60.0) for number in range(8)]
    with ThreadPoolExecutor(len(requests)) as pool:
        waiting = [pool.submit(post, server, request) for request in requests]
        post(server, sound(399))
        for process in decoders(server):
            process.kill()
        answers = [future.result() for future in waiting]
    # a recording is tried twice
    assert {answer.status_code for answer in answers} <= {200, 422}
    for request, answer in zip(requests, answers, strict=True):
        again = post(server, request)
        assert again.status_code == 200
        if answer.status_code == 200:
            assert answer.json()["music_flamingo"] == again.json()["music_flamingo"]
