"""The endpoint by the clients that people have: openai, kserve, curl; with keys, streams, schemas and metrics."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import numpy as np
import openai
import pytest
from support.listening import heard_well, make_release, tone
from support.served import QUESTION, body, post, recording, refused, serving, wav

from music_flamingo.serving.formats import CAPTION_SCHEMA

pytestmark = pytest.mark.reliability

KEY = "a-key-for-the-tests-only"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("data")
    (folder / "keys").write_text(KEY + "\n")
    with serving(make_release(folder, *heard_well(), max_new_tokens=40), "--api-keys", str(folder / "keys")) as address:
        yield address


@pytest.fixture(scope="module")
def client(server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server}/openai/v1", api_key=KEY, max_retries=0)


def messages(data: str, form: str = "wav") -> list:
    audio = {"type": "input_audio", "input_audio": {"data": data, "format": form}}
    return [{"role": "user", "content": [{"type": "text", "text": QUESTION}, audio]}]


def test_openais_client_reads_how_much_was_heard(client):
    told = client.chat.completions.create(model="music-flamingo", messages=messages(wav(tone())))
    assert told.usage.prompt_tokens_details.audio_tokens == 75


def test_openais_client_lists_the_model(client):
    assert [model.id for model in client.models.list()] == ["music-flamingo"]


def test_openais_client_raises_its_own_errors(client, server):
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="other", messages=messages(wav(tone())))
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{server}/openai/v1", api_key="no").models.list()


def test_a_structured_caption_has_the_eleven_categories(client):
    form = {"type": "json_schema", "json_schema": {"name": "caption", "schema": CAPTION_SCHEMA}}
    asked = messages(wav(tone()))
    told = client.chat.completions.create(
        model="music-flamingo", messages=asked, response_format=form, max_tokens=900, temperature=0.7, seed=1
    )
    if told.choices[0].finish_reason == "stop":
        jsonschema.validate(json.loads(told.choices[0].message.content), CAPTION_SCHEMA)
    assert told.choices[0].message.content.startswith('{"genre":"')


@pytest.mark.parametrize("schema", [{"type": "nothing"}, {"$ref": "#/nowhere"}, {"type": "string", "pattern": "("}])
def test_a_schema_that_is_none_is_refused(server, schema):
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    response = post(server, body(response_format=form), **{"X-Api-Key": KEY})
    assert refused(response) == (400, "bad_schema")


def test_kserves_client_asks_by_both_protocols(server):
    from kserve import InferenceRESTClient, RESTConfig
    from kserve.protocol.infer_type import InferInput, InferRequest

    headers = {"X-Api-Key": KEY}
    data = wav(tone())

    async def asked(protocol: str, request: object) -> object:
        client = InferenceRESTClient(RESTConfig(protocol=protocol))
        return await client.infer(server, request, model_name="music-flamingo", headers=headers)

    first = asyncio.run(asked("v1", {"instances": [{"question": QUESTION, "audio": {"b64": data}}]}))
    inputs = [InferInput(name, [1], "BYTES", [text]) for name, text in (("question", QUESTION), ("audio", data))]
    second = asyncio.run(asked("v2", InferRequest("music-flamingo", inputs)))
    by_name = {output.name: output for output in second.outputs}
    assert by_name["text"].data == [first["predictions"][0]["text"]]
    assert by_name["listened_s"].shape == [1, 2]
    assert np.allclose(by_name["listened_s"].data, first["predictions"][0]["listened_s"])


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b'{"inputs": 3}', b'{"inputs": []}',
     b'{"inputs": [{"name": "question", "shape": [1], "datatype": "BYTES", "data": ["a"]}]}',
     b'{"inputs": [{"name": "question", "shape": [1], "datatype": "FP32", "data": [1]}, {}]}'],
)  # fmt: skip
def test_a_bad_v2_body_is_refused(server, content):
    response = post(server, content, "/v2/models/music-flamingo/infer", **{"X-Api-Key": KEY})
    assert refused(response)[0] == 400


def test_curl_asks_as_the_readme_says(server, tmp_path):
    path = tmp_path / "asked.json"
    path.write_text(json.dumps(body(recording(wav(tone())), {"type": "text", "text": QUESTION})))
    command = ["curl", "-s", f"{server}/openai/v1/chat/completions", "-H", "content-type: application/json"]
    done = subprocess.run([*command, "-H", f"Authorization: Bearer {KEY}", "-d", f"@{path}"], capture_output=True)
    assert json.loads(done.stdout)["choices"][0]["message"]["role"] == "assistant"


def test_prometheus_reads_what_was_done(server, client):
    client.chat.completions.create(model="music-flamingo", messages=messages(wav(tone())))
    post(server, b"{", **{"X-Api-Key": KEY})
    import httpx

    text = httpx.get(f"{server}/metrics").text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("music_flamingo_"))
    for name in ("new_tokens_total", "audio_seconds_total", "time_to_first_word_seconds_count", "batch_size_count"):
        assert float(values[f"music_flamingo_{name}"]) > 0
    assert float(values['music_flamingo_errors_total{reason="malformed_json"}']) >= 1
    assert float(values['music_flamingo_recordings_total{cache="known"}']) >= 1


def test_nothing_of_a_request_is_written_to_the_log(server, client, tmp_path_factory):
    secret = "zebra-crossing"
    asked = messages(wav(tone()))
    asked[0]["content"][0]["text"] = f"Is this the {secret}?"
    client.chat.completions.create(model="music-flamingo", messages=asked)
    logs = list(Path(tmp_path_factory.getbasetemp()).rglob("server-*.log"))
    assert logs and not any(secret in log.read_text() or KEY in log.read_text() for log in logs)
