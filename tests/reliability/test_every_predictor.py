"""What `mf serve` and vLLM answer alike, asked by OpenAI's client.

MUSIC_FLAMINGO_ENDPOINT names a running predictor with its prefix (`http://127.0.0.1:8000/v1`), and OPENAI_API_KEY its
key; without it the tests start `mf serve`.
"""

import base64
import io
import json
import os
from collections.abc import Iterator

import openai
import pytest
import soundfile
from support.listening import RATE_HZ, heard_well, make_release, tone
from support.served import QUESTION, serving

pytestmark = [pytest.mark.reliability, pytest.mark.timeout(600)]

KEY = "a-key-for-the-tests-only"


@pytest.fixture(scope="module")
def client(tmp_path_factory) -> Iterator[openai.OpenAI]:
    if given := os.environ.get("MUSIC_FLAMINGO_ENDPOINT"):
        yield openai.OpenAI(base_url=given, api_key=os.environ.get("OPENAI_API_KEY", "none"), max_retries=0)
        return
    folder = tmp_path_factory.mktemp("data")
    (folder / "keys").write_text(KEY + "\n")
    with serving(make_release(folder, *heard_well(), max_new_tokens=40), "--api-keys", str(folder / "keys")) as address:
        yield openai.OpenAI(base_url=f"{address}/openai/v1", api_key=KEY, max_retries=0)


@pytest.fixture(scope="module")
def model(client) -> str:
    (only,) = client.models.list()
    return only.id


def asked(kind: str = "wav") -> list:
    buffer = io.BytesIO()
    soundfile.write(buffer, tone(), RATE_HZ, format=kind.upper())
    audio = {"data": base64.b64encode(buffer.getvalue()).decode(), "format": kind}
    parts = [{"type": "text", "text": QUESTION}, {"type": "input_audio", "input_audio": audio}]
    return [{"role": "user", "content": parts}]


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "ogg"])
def test_a_recording_of_any_form_is_answered(client, model, kind):
    told = client.chat.completions.create(model=model, messages=asked(kind), max_tokens=40, temperature=0)
    assert told.choices[0].message.content is not None
    assert told.choices[0].finish_reason in ("stop", "length")
    assert told.usage.total_tokens == told.usage.prompt_tokens + told.usage.completion_tokens


def test_the_same_request_gets_the_same_words(client, model):
    request = {"model": model, "messages": asked(), "max_tokens": 40}
    for settings in ({"temperature": 0}, {"temperature": 1.0, "seed": 7}):
        first, second = (client.chat.completions.create(**request, **settings) for _ in range(2))
        assert first.choices[0].message.content == second.choices[0].message.content


def test_a_stream_is_the_whole_answer_in_pieces(client, model):
    request = {"model": model, "messages": asked(), "max_tokens": 40, "temperature": 0}
    whole = client.chat.completions.create(**request).choices[0].message
    stream = list(client.chat.completions.create(**request, stream=True, stream_options={"include_usage": True}))
    deltas = [chunk.choices[0].delta for chunk in stream if chunk.choices]
    assert "".join(delta.content or "" for delta in deltas).strip() == whole.content.strip()
    assert len(deltas) > 5
    assert stream[-1].usage.completion_tokens > 0


def test_no_more_tokens_are_said_than_allowed(client, model):
    told = client.chat.completions.create(model=model, messages=asked(), max_tokens=3, temperature=0)
    assert told.usage.completion_tokens <= 3


def test_a_schema_is_answered_with_its_json(client, model):
    schema = {"type": "object", "properties": {"drums": {"enum": ["yes", "no"]}}, "required": ["drums"]}
    schema["additionalProperties"] = False
    form = {"type": "json_schema", "json_schema": {"name": "drums", "schema": schema}}
    told = client.chat.completions.create(model=model, messages=asked(), response_format=form, max_tokens=60)
    assert json.loads(told.choices[0].message.content)["drums"] in ("yes", "no")


def test_refusals_are_the_clients_own_errors(client, model):
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="other", messages=asked())
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model=model, messages=asked(), max_tokens=-1)
