"""What one client sends costs that client its answer, and nobody else theirs."""

import asyncio
import ipaddress
import json
import struct
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from support.listening import RATE_HZ, save_tiny, tone

from music_flamingo.core.errors import CorruptDataError
from music_flamingo.model.decoding import DecodingRow, _draw
from music_flamingo.model.listener import Listener, ListenerOutput
from music_flamingo.serving import isolation, limits
from music_flamingo.serving.access import Access
from music_flamingo.serving.audio_window import AudioWindow
from music_flamingo.serving.bundle import ReleaseInfo, require_harmless
from music_flamingo.serving.chat import parse_chat
from music_flamingo.serving.connections import BoundedConnection
from music_flamingo.serving.engine import Before, Engine
from music_flamingo.serving.errors import ApiError
from music_flamingo.serving.fairness import CLIENT
from music_flamingo.serving.fetching import is_public
from music_flamingo.serving.formats import NamedSchema, SchemaFormat
from music_flamingo.serving.isolation import Isolated
from music_flamingo.serving.limits import MAX_JSON_ELEMENTS, BodyLimit
from music_flamingo.serving.page_guard import PageGuard
from music_flamingo.serving.scheduler import AdmittedRequest
from music_flamingo.serving.server import MAX_HEADER_BYTES, _bound
from music_flamingo.serving.stream import last
from music_flamingo.serving.tensors import parse_tensors
from music_flamingo.serving.uploads import Upload

QUESTION = "Are drums heard in this music, yes or no?"
INFO = ReleaseInfo(
    status="released",
    reasons=[],
    name="m",
    think=True,
    prompt_id="question",
    prompt_sha256="0" * 64,
    max_new_tokens=12,
    max_audio_s=6.0,
    questions=[],
    teacher="scripted",
    parents={},
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    save_tiny(folder)
    engine = Engine(Listener.load(folder), INFO)
    yield engine
    engine.close()


def request(engine: Engine, **settings) -> AdmittedRequest:
    samples = tone(2.0, 220)
    return engine.prepare(engine.listen(AudioWindow(samples, (0.0, len(samples) / RATE_HZ), 2.0)), QUESTION, **settings)


def ask_together(engine: Engine, requests: list[AdmittedRequest]) -> list:
    async def together() -> list:
        return await asyncio.gather(*(last(engine.stream(r)) for r in requests), return_exceptions=True)

    return asyncio.run(together())


# --- one row of a shared step ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [1e-45, 1e-320, 5e-324, 1e-30])
def test_the_smallest_temperature_says_the_likeliest_word(temperature):
    logits_V = torch.tensor([1.0, -torch.inf, 7.5, 7.25])
    assert _draw(logits_V, DecodingRow.of(temperature, 0)) == 2


def test_the_smallest_temperature_harms_no_other_answer(engine):
    alone = engine.answer_now([request(engine)])
    tiny, other = ask_together(engine, [request(engine, temperature=1e-45), request(engine)])
    assert isinstance(tiny, ListenerOutput) and other == alone[0]


def test_a_constraint_that_fails_in_the_middle_fails_its_own_row_alone(engine):
    def breaks(logits_V, said):
        if len(said) == 3:
            raise ValueError("this grammar came to its end")
        return logits_V

    alone = engine.answer_now([request(engine)])
    asked = [request(engine), replace(request(engine), constraint=breaks), request(engine)]
    first, broken, second = ask_together(engine, asked)
    assert first == second == alone[0]
    assert isinstance(broken, ValueError)


def test_a_constraint_that_allows_nothing_fails_its_own_row_alone(engine):
    nothing = replace(request(engine, temperature=1.0), constraint=lambda logits_V, said: logits_V - torch.inf)
    broken, heard = ask_together(engine, [nothing, request(engine)])
    assert isinstance(broken, Exception)
    assert heard == engine.answer_now([request(engine)])[0]


# --- schemas ---------------------------------------------------------------------------------------------------------


def form(schema: dict) -> SchemaFormat:
    return SchemaFormat(type="json_schema", json_schema=NamedSchema(name="n", schema=schema))


def test_patterns_that_explode_are_refused_in_seconds_and_the_next_schema_is_taken(engine):
    letters = "abcdefghijklmnopqrst"
    hostile = {"type": "string", "allOf": [{"pattern": f".*{letter}.{{5}}.*"} for letter in letters]}
    started_s = time.monotonic()
    with pytest.raises(ApiError, match="patterns take more than") as refused:
        engine.grammars.constraint(form(hostile))
    assert refused.value.code == "bad_schema" and time.monotonic() - started_s < 30
    with pytest.raises(ApiError):  # known by now: not tried again
        engine.grammars.constraint(form(hostile))
    assert engine.grammars.constraint(form({"type": "boolean"})) is not None


@pytest.mark.parametrize("number", [2**64, 2**64 + 1, -(2**70), 10**40])
def test_integers_of_any_size_in_a_schema_are_the_clients_own_error(engine, number):
    try:
        assert engine.grammars.constraint(form({"type": "integer", "maximum": number})) is not None
    except ApiError as error:
        assert (error.status, error.code) == (400, "bad_schema")


# --- bodies ----------------------------------------------------------------------------------------------------------


async def _length(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


def guarded(local_only: bool = False) -> TestClient:
    routes = [Route("/v1/{rest:path}", _length, methods=["POST"]), Route("/ui/", _length, methods=["GET"])]
    app = Starlette(routes=routes)
    app.add_middleware(BodyLimit)
    app.add_middleware(PageGuard, local_only=local_only)
    return TestClient(app)


def test_json_of_very_many_parts_is_refused_before_it_is_parsed():
    part = b'{"type":"text","text":""}'
    refused = guarded().post("/v1/x", content=b"[" + b",".join([part] * 900_000) + b"]")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "too_many_elements")
    assert guarded().post("/v1/x", content=b"[" + b",".join([b"1"] * (MAX_JSON_ELEMENTS - 1)) + b"]").is_success


@pytest.mark.parametrize(("path", "status"), [("/v1/music/facts", 200), ("/v1/models/m:predict", 400), ("/v1/x", 400)])
def test_a_recording_sent_raw_may_hold_any_bytes_where_one_is_taken(path, status):
    sent = guarded().post(path, content=b"{" * (MAX_JSON_ELEMENTS + 1), headers={"content-type": "audio/wav"})
    assert sent.status_code == status


def test_where_no_route_reads_a_body_none_is_kept():
    assert guarded().post("/unknown", content=b"x" * (limits.MAX_UNREAD_BYTES + 1)).status_code == 413


def test_bodies_together_hold_no_more_than_their_limit_and_give_it_back(monkeypatch):
    monkeypatch.setattr(limits, "MAX_HELD_BYTES", 1000)
    monkeypatch.setattr(limits, "RESERVED_BYTES", 0)
    client = guarded()
    assert client.post("/v1/x", content=b"x" * 900).is_success
    refused = client.post("/v1/x", content=b"x" * 1001)
    assert refused.status_code == 503 and refused.headers["retry-after"]
    assert client.post("/v1/x", content=b"x" * 1000).is_success


def test_large_bodies_leave_room_for_small_ones(monkeypatch):
    monkeypatch.setattr(limits, "MAX_HELD_BYTES", 1000)
    monkeypatch.setattr(limits, "RESERVED_BYTES", 400)
    monkeypatch.setattr(limits, "SMALL_BYTES", 100)
    limit = BodyLimit(Starlette())
    large = [limits._Held(limit) for _ in range(2)]
    assert large[0].take(600)
    assert not large[1].take(101)
    assert limits._Held(limit).take(100)


def test_a_body_that_stands_still_is_given_up(monkeypatch):
    monkeypatch.setattr(limits, "STALL_S", 0.05)
    answered: list[dict] = []

    async def never() -> dict:
        await asyncio.sleep(60)
        return {}

    async def send(message: dict) -> None:
        answered.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/x", "headers": []}
    asyncio.run(BodyLimit(Starlette())(scope, never, send))
    assert answered[0]["status"] == 408


POST = {"type": "http", "method": "POST", "path": "/v1/x"}


def test_a_crowd_of_slow_bodies_keeps_no_other_client_and_no_probe_waiting(monkeypatch):
    """A client's bodies are read so many at a time; further ones wait, unread; still further ones are refused."""
    monkeypatch.setattr(limits, "TURN_S", 0.3)
    begun, answered = Counter(), Counter()

    async def app(scope, receive, send) -> None:
        answered[CLIENT.get()] += 1

    async def ask(limit: BodyLimit, client: bytes, *, wait_s: float, headers: list[tuple[bytes, bytes]]) -> None:
        CLIENT.set(client)

        async def receive() -> dict:
            begun[client] += 1
            await asyncio.sleep(wait_s)
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict) -> None:
            answered[message.get("status", 0)] += 1

        await limit({**POST, "headers": headers}, receive, send)

    async def crowd() -> list[float]:
        limit, some = BodyLimit(app), [(b"content-length", b"2")]
        number = limits.MAX_READ_EACH + limits.MAX_UNREAD_EACH + 7
        asked = [asyncio.ensure_future(ask(limit, b"crowd", wait_s=60, headers=some)) for _ in range(number)]
        await asyncio.sleep(0.01)
        assert begun[b"crowd"] == limits.MAX_READ_EACH and answered[429] == 7
        took_s = []
        for client, headers in ((b"other", some), (b"crowd", [])):
            started_s = time.monotonic()
            await ask(limit, client, wait_s=0, headers=headers)
            took_s.append(time.monotonic() - started_s)
        await asyncio.sleep(0.4)
        assert begun[b"crowd"] >= 2 * limits.MAX_READ_EACH, "what is slow keeps none of its own client's waiting"
        for one in asked:
            one.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        assert not limit._reading._turns, "nothing is remembered of who is gone"
        return took_s

    assert max(asyncio.run(crowd())) < 0.25


def test_work_ends_when_its_client_goes_away():
    ended: list[str] = []

    async def app(scope, receive, send) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cancelled")

    messages = [{"type": "http.request", "body": b"{}", "more_body": False}, {"type": "http.disconnect"}]

    async def receive() -> dict:
        return messages.pop(0)

    started_s = time.monotonic()
    asyncio.run(BodyLimit(app)({"type": "http", "method": "POST", "path": "/v1/x", "headers": []}, receive, None))
    assert ended == ["cancelled"] and time.monotonic() - started_s < 10


def test_two_lengths_of_one_body_are_refused():
    refused = guarded().post("/v1/x", content=b"{}", headers={"transfer-encoding": "chunked", "content-length": "2"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "ambiguous_length")


def test_headers_have_a_limit_and_an_address_is_that_of_the_connection(monkeypatch):
    config = SimpleNamespace()
    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    _bound(config)
    assert (config.http, config.ws, config.h11_max_incomplete_event_size) == (
        BoundedConnection,
        "none",
        MAX_HEADER_BYTES,
    )
    assert config.proxy_headers is False
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.7")
    _bound(config)
    assert config.proxy_headers is True


# --- browsers --------------------------------------------------------------------------------------------------------


def test_the_page_runs_its_own_scripts_alone_and_in_no_frame():
    headers = guarded().get("/ui/").headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "Text/Plain; charset=utf-8"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "application/json", "sec-fetch-site": "cross-site"}, 403),
        ({"content-type": "application/json", "sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://testserver"}, 200),
        ({"origin": "https://music.example", "x-forwarded-host": "music.example"}, 200),
        ({"origin": "https://music.example", "sec-fetch-site": "same-origin"}, 200),
        ({"content-type": "application/json", "sec-fetch-site": "same-origin"}, 200),
        ({}, 200),
    ],
)
def test_pages_of_other_sites_cannot_post(headers, status):
    answered = guarded().post("/v1/x", content=b"{}", headers=headers)
    assert answered.status_code == status
    assert answered.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8080", 200),
        ("127.0.0.1:8080", 200),
        ("[::1]:8080", 200),
        ("192.168.1.5", 200),
        ("evil.example:8080", 403),
        ("localhost.evil.example", 403),
    ],
)
def test_a_server_of_this_machine_alone_takes_no_other_name(host, status):
    assert guarded(local_only=True).get("/ui/", headers={"host": host}).status_code == status
    assert guarded().get("/ui/", headers={"host": host}).status_code == 200


# --- keys, tensors, addresses, fields --------------------------------------------------------------------------------


def test_an_indented_comment_is_no_key_and_a_mark_at_the_beginning_is_no_part_of_one(tmp_path):
    keys, plain = tmp_path / "keys", tmp_path / "plain"
    keys.write_bytes(
        b"\xef\xbb\xbf" + b"k" * 20 + b"\n   # a comment that is long enough\n\t#another one of that length\n"
    )
    plain.write_text("k" * 20)
    assert Access.of(keys, None) == Access.of(plain, None)


@pytest.mark.parametrize(
    ("shape", "why"),
    [([2], "has the shape"), ([1, 2], "has the shape"), ([0], "greater than or equal to 1"), ([-1], "equal to 1")],
)
def test_a_tensor_whose_shape_is_not_its_datas_is_refused(shape, why):
    inputs = [{"name": n, "shape": shape, "datatype": "BYTES", "data": ["x"]} for n in ("question", "audio")]
    with pytest.raises(ApiError, match=why):
        parse_tensors(json.dumps({"inputs": inputs}).encode(), binary=False)


@pytest.mark.parametrize(
    "address", ["fec0::1", "168.63.129.16", "192.0.0.192", "64:ff9b::7f00:1", "::ffff:168.63.129.16"]
)
def test_addresses_that_only_look_public_are_not(address):
    assert not is_public(ipaddress.ip_address(address))


def chat(**changes) -> bytes:
    message = {"role": "user", "content": QUESTION}
    return json.dumps({"model": "m", "messages": [message], **changes}).encode()


NEUTRAL = {
    "top_p": 1.0,
    "frequency_penalty": 0,
    "presence_penalty": 0.0,
    "logit_bias": {},
    "logprobs": False,
    "tools": [],
    "tool_choice": "none",
    "store": False,
}


def test_fields_that_change_nothing_are_taken():
    assert parse_chat(chat(**NEUTRAL)).think
    assert parse_chat(chat(top_p=1, chat_template_kwargs={"enable_thinking": False})).think is False


@pytest.mark.parametrize(
    "field", [{"top_p": 0.9}, {"presence_penalty": 0.1}, {"tools": [{"type": "function"}]}, {"store": True}]
)
def test_the_same_fields_with_a_meaning_are_refused_by_name(field):
    with pytest.raises(ApiError) as refused:
        parse_chat(chat(**field))
    assert str(refused.value.param).startswith(next(iter(field)))


def test_a_plain_answer_is_given_to_who_asks_for_one(engine):
    thinking, plain = request(engine), request(engine, think=False)
    assert len(thinking.prompt.ids) > len(plain.prompt.ids)


# --- releases --------------------------------------------------------------------------------------------------------


def safetensors(path: Path, cut: int = 0, more: bytes = b"") -> Path:
    header = json.dumps({"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * (16 - cut) + more)
    return path


def test_cut_or_lengthened_weights_are_refused(tmp_path):
    require_harmless(safetensors(tmp_path / "whole.safetensors"))
    for path in (
        safetensors(tmp_path / "cut.safetensors", cut=1),
        safetensors(tmp_path / "long.safetensors", more=b"\0"),
    ):
        with pytest.raises(CorruptDataError, match="is not a safetensors file"):
            require_harmless(path)


@pytest.mark.parametrize("value", [{"text_config": {"auto_map": {}}}, [{"a": [{"auto_map": 1}]}]])
def test_code_named_at_any_depth_is_refused(tmp_path, value):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(value))
    with pytest.raises(CorruptDataError, match="auto_map"):
        require_harmless(path)


# --- work that takes long --------------------------------------------------------------------------------------------


def test_more_calls_than_may_wait_are_turned_away():
    napping = Isolated(time.sleep, 1, 30.0, max_waiting=1)

    async def crowd() -> list:
        return await asyncio.gather(*(napping.run(0.05) for _ in range(4)), return_exceptions=True)

    said = asyncio.run(crowd())
    napping.close()
    assert said[:2] == [None, None]
    assert [error.status for error in said[2:]] == [429, 429]


def test_a_call_whose_client_left_ends_and_its_process_is_replaced(monkeypatch):
    monkeypatch.setattr(isolation, "LEFT_S", 0.05)
    napping = Isolated(time.sleep, 1, 60.0)
    napping.start()

    async def leave() -> float:
        long = asyncio.ensure_future(napping.run(60.0))
        await asyncio.sleep(0.1)
        long.cancel()
        started_s = time.monotonic()
        await napping.run(0.0)
        return time.monotonic() - started_s

    assert asyncio.run(leave()) < 30
    napping.close()


def test_a_waiting_call_whose_client_left_never_begins():
    napping = Isolated(time.sleep, 1, 60.0)

    async def leave() -> float:
        first = asyncio.ensure_future(napping.run(0.1))
        await asyncio.sleep(0.01)
        second = asyncio.ensure_future(napping.run(60.0))
        await asyncio.sleep(0.01)
        second.cancel()
        await first
        started_s = time.monotonic()
        await napping.run(0.0)
        return time.monotonic() - started_s

    assert asyncio.run(leave()) < 30
    napping.close()


def test_a_schema_is_tried_in_its_own_queue(engine):
    async def try_two() -> None:
        await engine.grammars.check(form({"type": "number"}))
        await engine.grammars.check(None)
        await engine.grammars.check(form({"type": "string", "pattern": "("}))

    asyncio.run(try_two())
    assert engine.grammars.constraint(form({"type": "number"})) is not None
    with pytest.raises(ApiError, match="the schema cannot be used"):
        engine.grammars.constraint(form({"type": "string", "pattern": "("}))


def test_the_same_new_schema_asked_many_times_is_tried_once(engine, monkeypatch):
    tried: list[dict] = []

    async def run(schema: dict) -> str:
        tried.append(schema)
        await asyncio.sleep(0.01)
        return ""

    monkeypatch.setattr(engine.grammars._check, "run", run)

    async def crowd() -> None:
        await asyncio.gather(*(engine.grammars.check(form({"type": "string", "maxLength": 7})) for _ in range(40)))

    asyncio.run(crowd())
    assert len(tried) == 1


# --- long texts ------------------------------------------------------------------------------------------------------


def test_a_long_schema_is_refused_before_it_is_read():
    schema = {"type": "string", "pattern": "a" * 200_000}
    with pytest.raises(ApiError, match="a schema has at most"):
        parse_chat(chat(response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}))


def test_what_was_said_before_is_refused_before_it_is_made_into_tokens(engine):
    started_s = time.monotonic()
    with pytest.raises(ApiError) as refused:
        request(engine, before=Before((("a" * 20_000_000, "b"),)))
    assert refused.value.code == "context_length_exceeded" and time.monotonic() - started_s < 5


def test_a_data_url_with_a_long_head_is_no_data_url():
    started_s = time.monotonic()
    with pytest.raises(ApiError, match="is not fetched"):
        Upload.of_url("data:audio/wav" + ";a=b" * 5_000_000 + ";base64,AAAA")
    assert time.monotonic() - started_s < 5
