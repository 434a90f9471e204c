"""The endpoint against those who mean it harm: swelling recordings, odd numbers, and what its log then holds
(reliability 4, 5 and 11).
"""

import base64
import io
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from support.listening import heard_well, make_release, tone
from support.served import QUESTION, body, held_bytes, post, recording, refused, serving, wav

pytestmark = [pytest.mark.reliability, pytest.mark.security]

MARK = "okapi-in-the-rain"
PROPERTY = settings(max_examples=25, deadline=None, database=None, derandomize=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[str]:
    release: Path = make_release(tmp_path_factory.mktemp("data"), *heard_well(), max_new_tokens=8)
    with serving(release) as address:
        yield address


def answers_still(server: str) -> None:
    assert post(server, body()).status_code == 200


# --- recordings that swell (4) ---------------------------------------------------------------------------------------


def silence(hours: float, rate_hz: int = 16_000) -> str:
    buffer = io.BytesIO()
    minute = np.zeros(60 * rate_hz, dtype=np.int16)
    with soundfile.SoundFile(buffer, "w", rate_hz, 1, format="FLAC", subtype="PCM_16") as file:
        for _ in range(int(hours * 60)):
            file.write(minute)
    return base64.b64encode(buffer.getvalue()).decode()


def test_hours_in_a_small_file_are_refused_before_memory_grows(server):
    bomb = silence(6)
    assert len(bomb) < 8 * 2**20 < 6 * 3600 * 16_000 * 2
    answers_still(server)
    most, over = [0], threading.Event()

    def watch() -> None:
        while not over.is_set():
            most[0] = max(most[0], held_bytes())
            time.sleep(0.01)

    before = held_bytes()
    watching = threading.Thread(target=watch)
    watching.start()
    answer = post(server, body({"type": "text", "text": QUESTION}, recording(bomb)))
    over.set()
    watching.join()
    assert refused(answer) == (422, "audio_too_long")
    assert most[0] - before < 300 * 2**20
    answers_still(server)


# --- numbers and shapes (5) ------------------------------------------------------------------------------------------

NUMBERS = st.one_of(
    st.sampled_from(["NaN", "-Infinity", "Infinity", "1e999", "-0", "-1", "4097", "1e9", "0.5", "9" * 5000, '"8"']),
    st.integers().map(str),
    st.floats().map(str),
)


@PROPERTY
@given(field=st.sampled_from(["max_tokens", "max_completion_tokens", "temperature", "seed", "n"]), number=NUMBERS)
def test_any_number_is_taken_or_refused_by_its_field(server, field, number):
    text = json.dumps(body(**{field: "HERE"})).replace('"HERE"', number)
    answer = post(server, text.encode())
    assert answer.status_code == 200 or refused(answer)[0] == 400, answer.text


@PROPERTY
@given(data=st.one_of(st.text(max_size=60), st.binary(max_size=60).map(lambda b: base64.b64encode(b).decode()[:-1])))
def test_odd_base64_is_refused(server, data):
    answer = post(server, body({"type": "text", "text": QUESTION}, recording(data)))
    assert refused(answer)[0] in (400, 422)


@PROPERTY
@given(depth=st.integers(1, 40_000), opening=st.sampled_from(["[", '{"a":']), field=st.sampled_from(["seed", "stop"]))
def test_deep_json_is_refused(server, depth, opening, field):
    text = json.dumps(body(**{field: "HERE"})).replace('"HERE"', opening * depth)
    assert refused(post(server, text.encode()))[0] == 400


@pytest.mark.parametrize("count", [0, 2, 200])
def test_another_number_of_recordings_than_one_is_refused(server, count):
    parts = [recording(wav(tone(0.2)))] * count
    assert refused(post(server, body({"type": "text", "text": QUESTION}, *parts)))[0] == 400


# --- what is written down (11) ---------------------------------------------------------------------------------------


def test_refused_requests_leave_none_of_their_words_in_the_log(server, tmp_path_factory):
    marked = {"type": "text", "text": f"Is this the {MARK}?"}
    for sent in (
        json.dumps(body(marked, recording(MARK))).encode(),
        json.dumps(body(marked, recording(base64.b64encode(MARK.encode()).decode()))).encode(),
        json.dumps(body(model=MARK)).encode(),
        json.dumps(body(**{MARK: 1})).encode(),
        json.dumps(body(marked, {"type": "audio_url", "audio_url": {"url": f"http://{MARK}/"}})).encode(),
        json.dumps(body(response_format={"type": "json_schema", "json_schema": {"name": MARK, "schema": 1}})).encode(),
        f'{{"{MARK}'.encode(),
    ):
        refused(post(server, sent))
        post(server, sent, "/v1/models/music-flamingo:predict")
        post(server, sent, "/v2/models/music-flamingo/infer")
    post(server, MARK.encode(), "/v1/music/facts")
    logs = list(Path(tmp_path_factory.getbasetemp()).rglob("server-*.log"))
    encoded = base64.b64encode(MARK.encode()).decode()
    assert logs
    assert not any(MARK in log.read_text() or encoded in log.read_text() for log in logs)
