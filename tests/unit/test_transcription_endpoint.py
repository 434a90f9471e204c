"""Lyrics by a transcription server: a real one on loopback, which misbehaves."""

import io
import json
import re

import numpy as np
import pytest
import soundfile
from support.misbehaving import Answer, Asked, serving

from music_flamingo.core.errors import UserError
from music_flamingo.core.http import Endpoint
from music_flamingo.mir import RATE_HZ, Signal
from music_flamingo.mir.transcription_endpoint import (
    MAX_FAILED_IN_A_ROW,
    EndpointLyrics,
    TranscriptionFailedError,
    language_code,
)
from music_flamingo.mir.transcripts import LyricsRules
from music_flamingo.records import Lyrics, Track
from music_flamingo.stages.facts import Toolbox, measure

TRACK = Track.model_construct(id="t", work_id="w", language="hu")
WORDS = [("swing", 0.5, 1.0), ("low", 1.2, 1.6), ("sweet", 3.0, 3.5), ("chariot", 3.6, 4.4)]
REPLY = {
    "task": "transcribe",
    "language": "english",
    "duration": 6.0,
    "text": "swing low sweet chariot",
    "words": [{"word": f" {w}", "start": a, "end": b} for w, a, b in WORDS],
    "segments": [
        {"id": 0, "start": 0.0, "end": 2.0, "text": "swing low", "avg_logprob": float(np.log(0.8))},
        {"id": 1, "start": 2.0, "end": 6.0, "text": "sweet chariot", "avg_logprob": float(np.log(0.6))},
    ],
}
GOOD = Answer.of(REPLY)


def client(base_url: str, **changes: object) -> EndpointLyrics:
    server = {"base_url": base_url, "api_key_env": None, "timeout_s": 5.0, "max_tries": 5}
    server |= {"first_wait_s": 0.0, "max_wait_s": 0.01}
    plain = {"model": "ear-1", "revision": "r1", "window_s": 60.0, "overlap_s": 3.0, "assumed_confidence": 0.5}
    plain |= {"rules": LyricsRules(line_pause_s=1.0, min_confidence=0.3), "seed": 0}
    for name, value in changes.items():
        (server if name in server else plain)[name] = value
    return EndpointLyrics(endpoint=Endpoint.model_validate(server), **plain)  # type: ignore[arg-type]


def signal(duration_s: float = 6.0) -> Signal:
    return Signal(np.full(round(duration_s * RATE_HZ), 0.1, np.float32))


def read(base_url: str, duration_s: float = 6.0, **changes: object) -> Lyrics:
    return client(base_url, **changes).read(TRACK, signal(duration_s), None)


def test_words_lines_language_and_confidence_come_from_the_reply() -> None:
    with serving([GOOD]) as server:
        lyrics = read(server.base_url)
    assert [(w.label, w.start_s, w.end_s) for w in lyrics.words] == WORDS
    assert [line.label for line in lyrics.lines] == ["swing low", "sweet chariot"]
    assert (lyrics.language, lyrics.language_from, lyrics.confidence) == ("en", "model", 0.7)
    assert (lyrics.tool, lyrics.tool_version) == ("transcription_endpoint:ear-1", "r1")


def test_the_request_is_openais() -> None:
    with serving([GOOD]) as server:
        read(server.base_url)
    asked = server.asked[0]
    assert asked.path == "/v1/audio/transcriptions"
    fields = re.findall(rb'name="([^"]+)"\r\n\r\n([^\r]*)', asked.body)
    assert fields == [
        (b"model", b"ear-1"),
        (b"response_format", b"verbose_json"),
        (b"timestamp_granularities[]", b"word"),
        (b"timestamp_granularities[]", b"segment"),
        (b"temperature", b"0"),
    ]
    samples, rate_hz = soundfile.read(io.BytesIO(asked.body[asked.body.index(b"fLaC") :]))
    assert (rate_hz, len(samples)) == (16000, 6 * 16000)


@pytest.mark.reliability
@pytest.mark.parametrize(
    "bad",
    [
        Answer(status=429, headers={"Retry-After": "0.01"}),
        Answer(status=500),
        Answer(delay_s=1.0),
        Answer(body=b'{"words": ['),
        Answer.of({"language": "en"}),
        Answer.of({"words": [{"word": "swing", "start": "soon", "end": 1}]}),
        Answer(body=b'{"words": [{"word": "a", "start": NaN, "end": 1}]}'),
    ],
    ids=["429", "500", "timeout", "invalid json", "nothing said", "wrong type", "not a number"],
)
def test_trouble_is_tried_again_and_then_named(bad: Answer) -> None:
    with serving([bad, bad, GOOD]) as server:
        assert read(server.base_url, timeout_s=0.5).available
        assert len(server.asked) == 3
    with serving([bad]) as server:
        tool = client(server.base_url, timeout_s=0.5, max_tries=2)
        tools = Toolbox(**dict.fromkeys(Toolbox.__dataclass_fields__) | {"lyrics": tool})
        facts = measure(TRACK, signal(), tools)
    assert facts.is_ok and facts.lyrics is None and len(server.asked) == 2
    assert re.match(r"lyrics: TranscriptionFailedError: \w+ after 2 tries", facts.problems[0])


def test_a_server_that_fails_song_after_song_stops_the_stage() -> None:
    with serving([Answer(status=404, body=b"no such model")]) as server:
        tool = client(server.base_url)
        for _ in range(MAX_FAILED_IN_A_ROW - 1):
            with pytest.raises(TranscriptionFailedError, match="http_404"):
                tool.read(TRACK, signal(), None)
        with pytest.raises(UserError, match="no such model"):
            tool.read(TRACK, signal(), None)


def test_a_long_song_is_sent_in_windows_and_its_words_are_joined() -> None:
    """The server hears a word every second, wherever a window begins."""
    starts: list[float] = []

    def answer(number: int, request: Asked) -> Answer:
        samples, _ = soundfile.read(io.BytesIO(request.body[request.body.index(b"fLaC") :]))
        start_s, length_s = round(float(samples[160]) * 100), len(samples) / 16000  # the level says where it is
        starts.append(start_s)
        words = [{"word": f"w{start_s + i}", "start": i + 0.1, "end": i + 0.5} for i in range(int(length_s))]
        return Answer.of({"language": "en", "words": words})

    level = np.repeat(np.arange(41), RATE_HZ) / 100
    with serving(answer) as server:
        tool = client(server.base_url, window_s=15.0, overlap_s=3.0)
        lyrics = tool.read(TRACK, Signal(level.astype(np.float32)), None)
    assert starts == [0, 12, 24, 36]
    assert [w.label for w in lyrics.words] == [f"w{i}" for i in range(41)]
    assert [w.start_s for w in lyrics.words] == pytest.approx(np.arange(41) + 0.1)


def test_a_reply_without_probabilities_is_taken_at_the_assumed_confidence() -> None:
    reply = {"words": REPLY["words"]}
    with serving([Answer.of(reply)]) as server:
        lyrics = read(server.base_url)
    assert (lyrics.confidence, lyrics.language, lyrics.language_from) == (0.5, "hu", "source")


def test_a_words_own_probability_comes_before_its_segments() -> None:
    words = [dict(w, probability=0.9) for w in json.loads(GOOD.body)["words"]]
    with serving([Answer.of(REPLY | {"words": words})]) as server:
        assert read(server.base_url).confidence == 0.9


def test_words_outside_the_window_or_backwards_are_dropped() -> None:
    words = [("", 0, 1), ("late", 7.0, 8.0), ("back", 2.0, 1.0), ("early", -1.0, 0.5), ("long", 5.5, 9.0)]
    reply = {"words": [{"word": w, "start": a, "end": b} for w, a, b in words]}
    with serving([Answer.of(reply)]) as server:
        lyrics = read(server.base_url)
    assert [(w.label, w.start_s, w.end_s) for w in lyrics.words] == [("long", 5.5, 6.0)]


def test_no_words_are_no_lyrics_and_without_a_voice_nobody_is_asked() -> None:
    with serving([Answer.of({"words": [], "language": "english"})]) as server:
        assert read(server.base_url).why_not == "no_words"
        assert client(server.base_url).read(TRACK, signal(), False).why_not == "no_voice"
        assert len(server.asked) == 1


@pytest.mark.parametrize(("said", "code"), [("english", "en"), ("en", "en"), (" German", "de"), ("xx-new", "xx-new")])
def test_languages_by_name_or_code(said: str, code: str) -> None:
    assert language_code(said) == code


def test_a_stock_server_gives_segments_or_the_text_alone_and_its_lines_are_taken() -> None:
    segments = [{"start": 0.5, "end": 2.0, "text": " Swing low.", "avg_logprob": -0.1}]
    with serving([Answer.of({"text": "Swing low.", "segments": segments})]) as server:
        lyrics = read(server.base_url)
    assert [(s.label, s.start_s, s.end_s) for s in lyrics.lines] == [("Swing low.", 0.5, 2.0)]
    assert lyrics.words == [] and lyrics.confidence == pytest.approx(0.9048, abs=1e-4)
    with serving([Answer.of({"text": "swing low sweet chariot"})]) as server:
        lyrics = read(server.base_url)
    assert [(s.label, s.start_s, s.end_s) for s in lyrics.lines] == [("swing low sweet chariot", 0.0, 6.0)]
    assert (lyrics.words, lyrics.confidence) == ([], 0.5)
