"""What `mf serve` and vLLM answer alike, asked by OpenAI's client.

MUSIC_FLAMINGO_ENDPOINT names a running predictor with its prefix (`http://127.0.0.1:8000/v1`), and OPENAI_API_KEY its
key; without it the tests start `mf serve`. The tests marked `vllm` start both on one release and compare every word:

    MF_VLLM_PYTHON=/tmp/vllm/bin/python pytest -m vllm tests/reliability/test_every_predictor.py
"""

import base64
import io
import json
import os
from collections.abc import Iterator

import httpx
import openai
import pytest
import soundfile
from support.benchmark_files import WRITERS
from support.listening import RATE_HZ, heard_well, make_release, tone
from support.on_vllm import NEEDS_VLLM, QUESTIONS, serving_vllm, tagged_release, told
from support.served import QUESTION, serving

from music_flamingo.cli import main
from music_flamingo.evaluation.ledger import Ledger, LedgerEntry
from music_flamingo.serving.client import ask

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


# --- both on one release ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> Iterator[tuple[str, str]]:
    """(base of `mf serve`, base of vLLM), on a release that thinks and answers."""
    release = tagged_release(tmp_path_factory.mktemp("data"))
    with serving_vllm(release / "model") as theirs, serving(release, start_s=600) as ours:
        yield f"{ours}/openai/v1", f"{theirs}/v1"


def asks(question: str, seconds: float = 2.0, pitch_hz: float = 220.0) -> list[dict]:
    buffer = io.BytesIO()
    soundfile.write(buffer, tone(seconds, pitch_hz), RATE_HZ, format="FLAC")
    audio = {"data": base64.b64encode(buffer.getvalue()).decode(), "format": "flac"}
    parts = [{"type": "text", "text": question}, {"type": "input_audio", "input_audio": audio}]
    return [{"role": "user", "content": parts}]


def alike(both: tuple[str, str], messages: list[dict], **fields: object) -> dict:
    """What both answer; they answer the same."""
    with httpx.Client(timeout=120, trust_env=False) as client:
        ours, theirs = (told(client, base, messages, **fields) for base in both)
    assert ours == theirs, (messages[-1], fields)
    return ours


@pytest.mark.vllm
@pytest.mark.timeout(3600)
@NEEDS_VLLM
def test_bare_questions_get_the_same_words_thoughts_and_usage(both):
    """55 questions about 55 sounds; a few answers break their form."""
    answers = [alike(both, asks(q, 2.0 + i % 7, 150 + 11 * i)) for i, q in enumerate(QUESTIONS)]
    assert len(answers) >= 50
    assert sum(bool(a["thoughts"]) for a in answers) >= 40 and len({a["words"] for a in answers}) >= 3
    assert not any("<" in a["words"] for a in answers)
    assert {a["end"] for a in answers} <= {"stop", "length"}


@pytest.mark.vllm
@pytest.mark.timeout(3600)
@NEEDS_VLLM
@pytest.mark.parametrize(
    "fields",
    [
        {"chat_template_kwargs": {"enable_thinking": False}},
        {"max_tokens": 4},
        {"max_tokens": 14},
        {"temperature": 0, "top_p": 1.0, "presence_penalty": 0},
        {"stop": ["</think>"]},
    ],
)
def test_what_a_request_asks_for_is_done_alike(both, fields):
    for number in range(0, 10, 3):
        alike(both, asks(QUESTIONS[number]), **fields)


@pytest.mark.vllm
@pytest.mark.timeout(3600)
@NEEDS_VLLM
def test_conversations_with_sound_are_read_alike(both):
    """A system message, earlier turns, and the sound in the first or the last of them."""
    said, system = {"role": "assistant", "content": "yes"}, {"role": "system", "content": "Answer in a word."}
    plain = {"role": "user", "content": "Is it slow?"}
    alike(both, [system, *asks(QUESTIONS[1])])
    alike(both, [*asks(QUESTIONS[1]), said, plain])
    alike(both, [plain, said, *asks(QUESTIONS[2])])
    alike(both, [system, *asks(QUESTIONS[1]), said, plain, {**said, "content": "no"}, {**plain, "content": "Sure?"}])


@pytest.mark.vllm
@pytest.mark.timeout(3600)
@NEEDS_VLLM
def test_recordings_that_are_too_long_are_cut_alike_up_to_twenty_minutes(both):
    for seconds in (12.0, 13.1, 65.0, 1190.0):
        alike(both, asks(QUESTIONS[0], seconds))


@pytest.mark.vllm
@pytest.mark.timeout(3600)
@NEEDS_VLLM
def test_streams_and_schemas_of_vllm_keep_to_the_parts(both):
    """The parser sorts a stream's words as it sorts a whole answer's; with a schema the first word is held already."""
    with httpx.Client(timeout=120, trust_env=False) as client:
        for number in range(0, 12, 2):
            whole = told(client, both[1], asks(QUESTIONS[number]))
            request = {"model": "music-flamingo", "messages": asks(QUESTIONS[number]), "stream": True}
            lines = client.post(f"{both[1]}/chat/completions", json=request).text.splitlines()
            chunks = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
            deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
            assert "".join(d.get("content") or "" for d in deltas).strip() == whole["words"]
            assert "".join(d.get("reasoning") or "" for d in deltas).strip() == whole["thoughts"]
        schema = {"type": "object", "properties": {"drums": {"enum": ["yes", "no"]}}, "required": ["drums"]}
        form = {"type": "json_schema", "json_schema": {"name": "drums", "schema": schema}}
        held = told(client, both[1], asks(QUESTIONS[0]), response_format=form)
    # a model that never learned JSON may fill its room with white space, which a schema allows
    assert held["words"].startswith("{") and not held["thoughts"]


@pytest.mark.vllm
@pytest.mark.timeout(3600)
@NEEDS_VLLM
def test_mf_ask_says_the_same_of_both(both, tmp_path):
    soundfile.write(tmp_path / "song.wav", tone(3.0), RATE_HZ)
    ours, theirs = (ask(tmp_path / "song.wav", QUESTIONS[0], endpoint=base, release=tmp_path) for base in both)
    plain = ask(tmp_path / "song.wav", QUESTIONS[0], endpoint=both[1].removesuffix("/v1"), release=tmp_path)
    assert (ours.answer, ours.thinking) == (theirs.answer, theirs.thinking) == (plain.answer, plain.thinking)


@pytest.mark.vllm
@pytest.mark.timeout(3600)
@NEEDS_VLLM
def test_mf_evaluate_gets_the_same_answers_of_both(both, tmp_path):
    """Asked bare, as it asks by default: each server's template decides that the model thinks."""
    WRITERS["gtzan"][0](tmp_path / "data")
    for number, path in enumerate(sorted((tmp_path / "data").rglob("*.wav"))):  # two seconds at least are taken
        soundfile.write(path, tone(3.0, 200 + 70 * number), RATE_HZ)
    given = []
    for name, base in zip(("ours", "theirs"), both, strict=True):
        command = ["evaluate", base, "--model-name", "music-flamingo", "--benchmark", "gtzan"]
        command += ["--data", str(tmp_path / "data"), "--out", str(tmp_path / name), "--max-new-tokens", "60"]
        assert main([*command, "--conditions", "noise"]) == 0
        entries = Ledger(tmp_path / name / "gtzan" / "answers.jsonl", LedgerEntry).entries.values()
        given.append({(e.item_id, e.condition): (e.output, e.thoughts, e.finish_reason) for e in entries})
    assert given[0] == given[1] and len(given[0]) == 6
    assert any(thoughts for _, thoughts, _ in given[0].values())
