"""Whole songs through the endpoint, at the published grid: windows of 30 s, up to 20 minutes, a context of 24,000."""

import base64
import io
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import numpy as np
import pytest
import soundfile
from support.listening import RATE_HZ, give_model, heard_well, make_release, tone
from support.served import QUESTION, body, held_bytes, post, recording, refused, serving, wav

from music_flamingo.model.context import MARKS, QUESTION_TOKENS

pytestmark = [pytest.mark.reliability, pytest.mark.timeout(300)]

CONTEXT = 24_000
GRID = {"width": 16, "heads": 2, "key_value_heads": 1, "feed_forward": 32, "fft_samples": 400, "hop_samples": 160}
GRID |= {"window_s": 30, "max_audio_s": 1200, "context_tokens": CONTEXT}
TOKENS_A_SECOND = 25
MAX_NEW_TOKENS = 8
HEARD_S = (CONTEXT - MARKS - QUESTION_TOKENS - MAX_NEW_TOKENS) / TOKENS_A_SECOND
MAX_GROWTH_MIB = 1500
ALONE = 200
MAX_LATER_S = 0.3


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[str]:
    data = tmp_path_factory.mktemp("data")
    give_model(data, "grpo_model", seed=0, **GRID)
    with serving(make_release(data, *heard_well(), max_new_tokens=MAX_NEW_TOKENS)) as address:
        yield address


def song(minutes: float) -> dict:
    """A tone that swells and fades, as FLAC."""
    time_s = np.arange(round(60 * minutes * RATE_HZ)) / RATE_HZ
    samples = 0.3 * np.sin(2 * np.pi * 220 * time_s) * (0.6 + 0.4 * np.sin(2 * np.pi * time_s / 30))
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE_HZ, format="FLAC", subtype="PCM_16")
    data = base64.b64encode(buffer.getvalue()).decode()
    sound = {"type": "input_audio", "input_audio": {"data": data, "format": "flac"}}
    return body({"type": "text", "text": QUESTION}, sound)


def answered(server: str, content: dict) -> dict:
    response = post(server, content)
    assert response.status_code == 200, response.text
    return response.json()


def test_a_song_of_a_quarter_of_an_hour_is_heard_whole(server):
    told = answered(server, song(15))
    assert told["music_flamingo"]["listened_s"] == [0.0, 900.0]
    assert told["music_flamingo"]["duration_s"] == 900.0
    assert told["usage"]["prompt_tokens_details"]["audio_tokens"] == 900 * TOKENS_A_SECOND
    assert told["usage"]["audio_seconds"] == 900.0


def test_of_twenty_minutes_the_middle_that_the_context_holds_is_heard_and_named(server):
    told = answered(server, song(20))
    start, end = told["music_flamingo"]["listened_s"]
    assert told["music_flamingo"]["duration_s"] == 1200.0
    assert end - start == pytest.approx(HEARD_S, abs=0.1)
    assert (start + end) / 2 == pytest.approx(600, abs=0.1)
    usage = told["usage"]
    assert usage["total_tokens"] <= CONTEXT
    assert usage["prompt_tokens_details"]["audio_tokens"] == pytest.approx(HEARD_S * TOKENS_A_SECOND, abs=1)


def test_the_model_says_how_much_it_hears(server):
    told = httpx.get(f"{server}/openai/v1/models").json()["data"][0]["music_flamingo"]
    assert told["max_audio_s"] == pytest.approx(HEARD_S, abs=0.1)


def test_more_than_twenty_minutes_are_refused(server):
    assert refused(post(server, song(20.02))) == (422, "audio_too_long")


def test_long_songs_leave_room_for_others_and_memory_is_given_back(server):
    """Two at once, with a short question between them."""
    short = body({"type": "text", "text": QUESTION}, recording(wav(tone())))
    before_mib = held_mib()
    long = [threading.Thread(target=answered, args=(server, song(minutes))) for minutes in (12, 13)]
    for thread in long:
        thread.start()
    answered(server, short)
    for thread in long:
        thread.join()
    assert held_mib() - before_mib < MAX_GROWTH_MIB
    answered(server, short)


@pytest.mark.slow
def test_no_other_answer_is_kept_waiting_by_a_song_that_is_heard_whole(server):
    """Four clients ask one question after another, before the song and until it is answered."""
    alone_s: list[float] = []
    answers_s(server, lambda: len(alone_s) >= ALONE, alone_s)
    heard: list[dict] = []
    asking = threading.Thread(target=lambda: heard.append(answered(server, song(15))))
    asking.start()
    beside_s = answers_s(server, lambda: not asking.is_alive(), [])
    assert heard[0]["music_flamingo"]["listened_s"] == [0.0, 900.0] and len(beside_s) > ALONE
    assert max(beside_s) - max(alone_s) < MAX_LATER_S


def answers_s(server: str, is_over: Callable[[], bool], taken_s: list[float]) -> list[float]:
    """Seconds of each answer, by four clients at once."""

    def ask_on(number: int) -> None:
        short = body({"type": "text", "text": QUESTION}, recording(wav(tone(2.0 + number, 200 + 90 * number))))
        while not is_over():
            began_s = time.perf_counter()
            answered(server, short)
            taken_s.append(time.perf_counter() - began_s)

    clients = [threading.Thread(target=ask_on, args=(number,)) for number in range(4)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return taken_s


def held_mib() -> float:
    return held_bytes() / 2**20
