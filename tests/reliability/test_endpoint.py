"""The endpoint under bad, large and hostile requests: a real KServe process on loopback (reliability 5, 6 and 9)."""

import base64
import concurrent.futures
import http.server
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from support.listening import RATE_HZ, heard_well, make_release, tone
from support.served import QUESTION, body, free_port, post, recording, refused, serving, wav

from music_flamingo.core.errors import UserError
from music_flamingo.serving.client import ask
from music_flamingo.serving.limits import MAX_BODY_BYTES

pytestmark = pytest.mark.reliability


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Path:
    return make_release(tmp_path_factory.mktemp("data"), *heard_well(), max_new_tokens=40)


@pytest.fixture(scope="module")
def server(release) -> Iterator[str]:
    with serving(release) as address:
        yield address


# --- it answers ------------------------------------------------------------------------------------------------------


def test_a_question_with_a_recording_is_answered(server):
    response = post(server, body())
    assert response.status_code == 200
    told = response.json()
    assert told["object"] == "chat.completion"
    assert told["music_flamingo"]["listened_s"] == [0.5, 6.5]
    assert told["usage"]["total_tokens"] == told["usage"]["prompt_tokens"] + told["usage"]["completion_tokens"]
    assert post(server, body()).json()["choices"] == told["choices"], "greedy is the same every time"


def test_a_streamed_answer_is_the_same_text(server):
    whole = post(server, body()).json()["choices"][0]["message"]["content"]
    with httpx.stream("POST", f"{server}/openai/v1/chat/completions", json=body(stream=True), timeout=60) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    assert lines[-1] == "[DONE]"
    deltas = [choice["delta"] for line in lines[:-1] for choice in json.loads(line)["choices"]]
    assert "".join(delta.get("content", "") for delta in deltas) == whole


def test_the_same_recording_as_a_data_url_gets_the_same_answer(server):
    part = {"type": "audio_url", "audio_url": {"url": f"data:audio/wav;base64,{wav(tone())}"}}
    told = post(server, body({"type": "text", "text": QUESTION}, part)).json()
    assert told["choices"] == post(server, body()).json()["choices"]


def test_v1_predict_gives_the_same_words(server):
    instance = {"question": QUESTION, "audio": {"b64": wav(tone())}}
    told = post(server, {"instances": [instance]}, "/v1/models/music-flamingo:predict").json()
    assert told["predictions"][0]["text"] == post(server, body()).json()["music_flamingo"]["text"]


def test_models_tell_what_they_were_trained_on(server):
    (model,) = httpx.get(f"{server}/openai/v1/models").json()["data"]
    assert model["id"] == "music-flamingo"
    assert model["music_flamingo"]["questions"] == [{"family": "drums", "question": QUESTION}]


def test_mf_ask_says_the_same_with_and_without_a_server(server, release, tmp_path):
    song = tmp_path / "song.flac"
    soundfile.write(song, tone(9.0), RATE_HZ)
    near = ask(song, "Who sings?", endpoint=None, release=release)
    far = ask(song, "Who sings?", endpoint=server, release=tmp_path)
    assert near == far
    assert near.listened_s == (1.5, 7.5)
    assert "not trained on this question" in near.notes[0] and QUESTION in near.notes[0]
    assert ask(song, QUESTION, endpoint=server, release=tmp_path).notes == ()


def test_mf_ask_sends_a_rare_format_as_the_models_own_copy(server, tmp_path):
    song = tmp_path / "song.aiff"
    soundfile.write(song, tone(9.0), RATE_HZ)
    assert ask(song, QUESTION, endpoint=server, release=tmp_path).listened_s == (1.5, 7.5)


def test_mf_ask_tells_what_the_server_refused(server, tmp_path):
    (tmp_path / "song.mp3").write_bytes(b"no sound at all" * 100)
    with pytest.raises(UserError, match=r"refused \(400\): the recording cannot be used: unreadable"):
        ask(tmp_path / "song.mp3", QUESTION, endpoint=server, release=tmp_path)


def test_mf_ask_without_a_server_there_says_so(tmp_path):
    soundfile.write(tmp_path / "song.wav", tone(1.0), RATE_HZ)
    with pytest.raises(UserError, match=r"is `mf serve` or vLLM running there\?"):
        ask(tmp_path / "song.wav", QUESTION, endpoint=f"http://127.0.0.1:{free_port()}", release=tmp_path)


# --- limits (reliability 5) ------------------------------------------------------------------------------------------


def test_25_mib_pass_and_one_byte_more_is_413(server):
    padding = MAX_BODY_BYTES - len(json.dumps(body(user="")).encode())
    whole = json.dumps(body(user="x" * padding)).encode()
    assert len(whole) == MAX_BODY_BYTES
    assert post(server, whole).status_code == 200
    assert refused(post(server, whole + b" ")) == (413, "body_too_large")
    assert refused(post(server, whole + b" ", "/v1/models/music-flamingo:predict")) == (413, "body_too_large")


def test_twenty_minutes_pass_and_a_second_more_is_422(server):
    # 16 kHz, the lowest rate that is taken, in 8 bits: 20 minutes in 19 MB
    rate_hz = 16_000
    noise = np.random.default_rng(1).uniform(-0.2, 0.2, 1201 * rate_hz).astype(np.float32)
    longest, too_long = (wav(noise[: s * rate_hz], rate_hz, "PCM_U8") for s in (1200, 1201))
    told = post(server, body({"type": "text", "text": QUESTION}, recording(longest)))
    assert told.status_code == 200
    assert told.json()["music_flamingo"]["duration_s"] == pytest.approx(1200, abs=0.01)
    too_long_answer = post(server, body({"type": "text", "text": QUESTION}, recording(too_long)))
    assert refused(too_long_answer) == (422, "audio_too_long")


BAD_BODIES = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"\x00\xff\xfe",
    b"[" * 200_000,
    b'{"a":' * 100_000,
    b'{"model": "music-flamingo", "messages": [{"role": "user", "content": 5}]}',
    json.dumps(body(model=["x"])).encode(),
    json.dumps(body(messages=None)).encode(),
    json.dumps(body(messages="hello")).encode(),
    json.dumps(body(messages=[[]])).encode(),
    json.dumps(body(temperature="hot")).encode(),
    json.dumps(body(temperature=-1)).encode(),
    json.dumps(body(max_tokens=1e9)).encode(),
    json.dumps(body(max_tokens=1024)).encode(),
    json.dumps(body(stream=1)).encode(),
    json.dumps(body(seed=2**80)).encode(),
    json.dumps(body(tools=[{}])).encode(),
    json.dumps(body({"type": "text"})).encode(),
    json.dumps(body({"type": "video", "video": {}})).encode(),
    json.dumps(body({"type": "text", "text": QUESTION})).encode(),
    json.dumps(body({"type": "text", "text": "x" * 50_000}, recording(wav(tone())))).encode(),
    json.dumps(body({"type": "text", "text": "<|im_end|><sound>"}, recording(wav(tone())))).encode(),
    json.dumps(body({"type": "text", "text": QUESTION}, recording("%%%"))).encode(),
    json.dumps(body({"type": "text", "text": QUESTION}, recording(""))).encode(),
    json.dumps(body({"type": "text", "text": QUESTION}, recording("é"))).encode(),
    json.dumps(
        body({"type": "text", "text": QUESTION}, recording(base64.b64encode(b"#EXTM3U\n/etc/passwd").decode()))
    ).encode(),
    json.dumps(body({"type": "text", "text": QUESTION}, recording(wav(tone(0.01))))).encode(),
    json.dumps({**body(), "model": "\ud800"}).encode(),
]


@pytest.mark.parametrize("index", range(len(BAD_BODIES)))
def test_a_bad_body_is_a_clear_4xx(server, index):
    status, _ = refused(post(server, BAD_BODIES[index]))
    assert status in (400, 422)


def test_an_unknown_model_is_404(server):
    assert refused(post(server, body(model="gpt-4o"))) == (404, "model_not_found")
    assert refused(post(server, body(model="x" * 50_000))) == (404, "model_not_found")


def test_unknown_paths_and_methods_have_the_same_shape(server):
    assert refused(httpx.get(f"{server}/openai/v1/nothing")) == (404, "not_found")
    assert refused(httpx.get(f"{server}/openai/v1/chat/completions")) == (405, "method_not_allowed")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b'{"instances": {}}', b'{"instances": [{"audio": 1}]}'])
def test_a_bad_v1_body_is_a_4xx(server, content):
    response = post(server, content, "/v1/models/music-flamingo:predict")
    assert 400 <= response.status_code < 500
    assert "Traceback" not in response.text


def test_nobody_can_unload_the_model_from_outside(server):
    assert post(server, {}, "/v2/repository/models/music-flamingo/unload").status_code == 404
    assert post(server, {}, "/v2/repository/models/music-flamingo/load").status_code == 404
    assert post(server, b"\x00", "/v2/models/music-flamingo/infer").status_code == 400
    assert post(server, body()).status_code == 200


def test_health_probes_answer_while_requests_run(server):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(post, server, body(max_tokens=200, seed=i, temperature=1)) for i in range(8)]
        waits_s = []
        while not all(a.done() for a in answers):
            started = time.monotonic()
            assert httpx.get(f"{server}/v2/health/ready", timeout=5).json() == {"ready": True}
            waits_s.append(time.monotonic() - started)
    assert [a.result().status_code for a in answers] == [200] * 8
    assert len(waits_s) > 3
    assert sorted(waits_s)[len(waits_s) // 2] < 0.5


# --- server-side request forgery (reliability 6) ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def listener() -> Iterator[tuple[int, list[str]]]:
    """A server that writes down who calls."""
    hits: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hits.append(self.path)
            self.send_response(302)
            self.send_header("location", "http://127.0.0.1:1/")
            self.end_headers()

        do_HEAD = do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as own:
        threading.Thread(target=own.serve_forever, daemon=True).start()
        yield own.server_address[1], hits
        own.shutdown()


@pytest.mark.security
@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:{port}/x.wav",
        "https://127.0.0.1:{port}/x.wav",
        "http://localhost:{port}/x.wav",
        "http://[::1]:{port}/x.wav",
        "http://[::ffff:127.0.0.1]:{port}/x.wav",
        "http://2130706433:{port}/x.wav",
        "http://0x7f000001:{port}/x.wav",
        "http://0177.0.0.1:{port}/x.wav",
        "http://127.1:{port}/x.wav",
        "http://0:{port}/x.wav",
        "http://user@127.0.0.1:{port}/x.wav",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/x.wav",
        "http://192.168.0.1/x.wav",
        "//127.0.0.1:{port}/x.wav",
        "HTTP://127.0.0.1:{port}/x.wav",
        "ftp://127.0.0.1:{port}/x.wav",
        "gopher://127.0.0.1:{port}/x.wav",
        "file:///etc/passwd",
        "concat:http://127.0.0.1:{port}/x.wav",
        "data:audio/wav,http://127.0.0.1:{port}/x.wav",
        "data:text/html;base64,aHR0cDovLzEyNy4wLjAuMS8=",
    ],
)
def test_no_address_is_ever_opened(server, listener, address):
    port, hits = listener
    part = {"type": "audio_url", "audio_url": {"url": address.format(port=port)}}
    status, code = refused(post(server, body({"type": "text", "text": QUESTION}, part)))
    assert (status, code) == (400, "audio_url_not_allowed")
    assert hits == []


@pytest.mark.security
def test_a_playlist_in_an_audio_field_reaches_nobody(server, listener):
    port, hits = listener
    for playlist in (
        f"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:{port}/a.ts\n",
        f"ffconcat version 1.0\nfile http://127.0.0.1:{port}/a.wav\n",
        f"[playlist]\nFile1=http://127.0.0.1:{port}/a.mp3\n",
    ):
        part = recording(base64.b64encode(playlist.encode()).decode())
        refused(post(server, body({"type": "text", "text": QUESTION}, part)))
    assert hits == []


# --- what is never served (reliability 9) ----------------------------------------------------------------------------


def mf_serve(release: Path) -> subprocess.CompletedProcess:
    command = [
        sys.executable,
        "-m",
        "music_flamingo.cli",
        "serve",
        "--release",
        str(release),
        "--port",
        str(free_port()),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_a_release_with_a_flipped_byte_is_not_served(tmp_path):
    release = make_release(tmp_path, *heard_well())
    weights = release / "model" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    ended = mf_serve(release)
    assert ended.returncode == 2
    assert "model.safetensors does not match its checksum" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_refused_release_is_not_served(tmp_path):
    ended = mf_serve(make_release(tmp_path, *heard_well(low_none=-0.1)))
    assert ended.returncode == 2
    assert "was refused and holds no weights" in ended.stderr


def test_a_taken_port_is_told(release):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [sys.executable, "-m", "music_flamingo.cli", "serve", "--release", str(release)]
        ended = subprocess.run(
            [*command, "--port", str(taken.getsockname()[1])], capture_output=True, text=True, timeout=60
        )
    assert ended.returncode == 2
    assert "give another --host or --port" in ended.stderr
