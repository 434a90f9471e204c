"""The JSON client against a real server that misbehaves."""

import gzip
import logging
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest
from support.misbehaving import Answer, serving

from music_flamingo.core import http
from music_flamingo.core.errors import ConfigError
from music_flamingo.core.http import Endpoint, Failed, HttpReply, JsonClient, RequestBody, retry_after_s

GOOD = Answer.of({"value": 7})


def endpoint(base_url: str, **changes: object) -> Endpoint:
    plain = {"base_url": base_url, "api_key_env": None, "timeout_s": 5.0, "max_tries": 5}
    return Endpoint.model_validate(plain | {"first_wait_s": 1.0, "max_wait_s": 30.0} | changes)


def read_value(parsed: Any) -> int:
    value = parsed["value"]
    if not isinstance(value, int):
        raise ValueError(f"value is {value!r}")
    return value


def ask(config: Endpoint, waits: list[float], seed: int = 0, call: str = "a") -> HttpReply[int] | Failed:
    with JsonClient(config, seed, sleep=waits.append) as client:
        return client.post("/things", lambda attempt: RequestBody(json={"attempt": attempt}), read_value, call=call)


def test_a_good_reply_is_taken_at_the_first_try() -> None:
    waits: list[float] = []
    with serving([GOOD]) as server:
        assert ask(endpoint(server.base_url), waits) == HttpReply(7, 1)
    assert (server.asked[0].path, server.asked[0].json, waits) == ("/v1/things", {"attempt": 1}, [])


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (Answer(status=429), "http_429"),
        (Answer(status=500), "http_5xx"),
        (Answer(status=503), "http_5xx"),
        (Answer(status=408), "http_408"),
        (Answer(body=b'{"value": 7'), "invalid_json"),
        (Answer(body=b""), "invalid_json"),
        (Answer(body=b"[" * 100_000), "invalid_json"),
        (Answer.of({"worth": 7}), "wrong_shape"),
        (Answer.of([]), "wrong_shape"),
        (Answer.of({"value": "7"}), "wrong_shape"),
        (Answer(hang_up=True), "unreachable"),
    ],
)
def test_trouble_that_may_pass_is_tried_again_up_to_the_limit(bad: Answer, reason: str) -> None:
    with serving([bad, bad, GOOD]) as server:
        assert ask(endpoint(server.base_url), []) == HttpReply(7, 3)
        assert [a.json for a in server.asked] == [{"attempt": n} for n in (1, 2, 3)]
    with serving([bad]) as server:
        failed = ask(endpoint(server.base_url), [])
    assert isinstance(failed, Failed)
    assert (failed.reason, failed.num_tries, len(server.asked)) == (reason, 5, 5)


@pytest.mark.parametrize("status", [307, 400, 401, 404, 422])
def test_a_refusal_that_would_be_the_same_again_is_not_tried_again(status: int) -> None:
    with serving([Answer(status=status, body=b"no such model", headers={"Location": "/v1/other"})]) as server:
        failed = ask(endpoint(server.base_url), [])
    assert isinstance(failed, Failed)
    assert (failed.reason, failed.num_tries, len(server.asked)) == (f"http_{status}", 1, 1)
    assert "no such model" in failed.message and server.base_url in failed.message


@pytest.mark.parametrize("slow", [Answer(delay_s=1.0), Answer(body=b'{"value": 7}', drip_s=0.1)], ids=["late", "drip"])
def test_a_try_ends_when_its_time_is_over(slow: Answer) -> None:
    with serving([slow]) as server:
        failed = ask(endpoint(server.base_url, timeout_s=0.3, max_tries=2), [])
    assert isinstance(failed, Failed) and (failed.reason, failed.num_tries) == ("timeout", 2)


def test_a_server_that_is_not_there_is_unreachable() -> None:
    with serving([GOOD]) as server:
        pass
    failed = ask(endpoint(server.base_url), [])
    assert isinstance(failed, Failed) and failed.reason == "unreachable"


@pytest.mark.security
def test_a_reply_that_swells_when_it_is_unzipped_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_REPLY_BYTES", 100_000)
    bomb = Answer(body=gzip.compress(b" " * 10_000_000), headers={"Content-Encoding": "gzip"})
    with serving([bomb]) as server:
        failed = ask(endpoint(server.base_url), [])
    assert isinstance(failed, Failed) and (failed.reason, failed.num_tries) == ("too_large", 1)


def test_retry_after_is_obeyed_up_to_the_longest_wait() -> None:
    waits: list[float] = []
    busy = [Answer(status=429, headers={"Retry-After": s}) for s in ("2.5", "9999", "soon")]
    with serving([*busy, GOOD]) as server:
        assert ask(endpoint(server.base_url), waits) == HttpReply(7, 4)
    assert waits[:2] == [2.5, 30.0]
    assert 2.0 <= waits[2] <= 4.0  # no time was named: the doubled wait


@pytest.mark.parametrize(
    ("header", "expected"),
    [(None, None), ("", None), ("7", 7.0), ("-3", 0.0), ("nan", None), ("inf", None), ("Tue", None)],
)
def test_retry_after_says_seconds_or_nothing(header: str | None, expected: float | None) -> None:
    assert retry_after_s(header) == expected


def test_retry_after_may_be_a_date() -> None:
    assert retry_after_s(formatdate(time.time() + 60, usegmt=True)) == pytest.approx(60, abs=2)
    assert retry_after_s(formatdate(time.time() - 60, usegmt=True)) == 0.0


def test_waits_double_and_their_jitter_follows_from_seed_and_call() -> None:
    def waits_of(seed: int, call: str) -> list[float]:
        waits: list[float] = []
        with serving([Answer(status=500)]) as server:
            ask(endpoint(server.base_url, max_wait_s=3.0), waits, seed, call)
        return waits

    first = waits_of(1, "a")
    assert all(bound / 2 <= wait <= bound for wait, bound in zip(first, (1.0, 2.0, 3.0, 3.0), strict=True))
    assert first == waits_of(1, "a")
    assert first != waits_of(2, "a") and first != waits_of(1, "b")


@pytest.mark.security
def test_the_key_is_sent_and_appears_in_no_message_and_no_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("THING_KEY", "canary-5f2a")
    caplog.set_level(logging.DEBUG)
    with serving([Answer(status=401, body=b"wrong key: canary-5f2a")]) as server:
        config = endpoint(server.base_url, api_key_env="THING_KEY")
        failed = ask(config, [])
    assert isinstance(failed, Failed)
    assert server.asked[0].headers["Authorization"] == "Bearer canary-5f2a"
    assert all("canary" not in text for text in (failed.message, repr(config), caplog.text))


@pytest.mark.parametrize("value", [None, "", "two\nlines"])
def test_a_missing_or_odd_key_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("THING_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("THING_KEY", value)
    with pytest.raises(ConfigError, match="THING_KEY") as caught:
        JsonClient(endpoint("http://teacher/v1", api_key_env="THING_KEY"), 0)
    assert "lines" not in str(caught.value)


@pytest.mark.parametrize("url", ["teacher/v1", "ftp://teacher", "http://", "http://me:secret@teacher", "http://t/?k=1"])
def test_an_address_that_is_none_or_holds_a_secret_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        endpoint(url)


def test_forms_carry_fields_and_files() -> None:
    form = RequestBody(fields={"kinds[]": ["word", "segment"]}, files={"file": ("a.flac", b"fLaC", "audio/flac")})
    content: Callable[[int], RequestBody] = lambda _: form  # noqa: E731
    with serving([GOOD]) as server, JsonClient(endpoint(server.base_url), 0) as client:
        assert client.post("/audio", content, read_value, call="a") == HttpReply(7, 1)
    body = server.asked[0].body
    assert body.count(b'name="kinds[]"') == 2
    assert b'name="file"; filename="a.flac"\r\nContent-Type: audio/flac' in body and b"fLaC" in body
