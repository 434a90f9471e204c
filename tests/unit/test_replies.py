"""Replies as models write them, and what a teacher is never sent."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import TypeAdapter, ValidationError
from support import songs
from support.teacher_server import teacher

from music_flamingo.core.http import UselessToRepeatError, _refusal
from music_flamingo.quality.agreement import OPEN_FAMILIES
from music_flamingo.scoring.families import OPEN_NAMES, question_families
from music_flamingo.stages.captions import CaptionsConfig
from music_flamingo.teachers import TeacherConfig, TeacherRequest
from music_flamingo.teachers.cache import CallCache, CallTokens
from music_flamingo.teachers.chat_call import Call
from music_flamingo.teachers.failures import FailureWatch
from music_flamingo.teachers.payloads import (
    GuessPayload,
    GuessReply,
    QuestionsReply,
    SongFacts,
    SongPayload,
    WrittenQuestion,
)
from music_flamingo.teachers.replies import finished_items, found_json

NOWHERE = SimpleNamespace(base_url="http://127.0.0.1:9/v1")


def song() -> SongPayload:
    facts = SongFacts.of(songs.make_facts(), 16.0)
    return SongPayload(track_id="w1/0", facts=facts, closed=[], captions=[], title=None)


GOOD = {"text": "It is in C major."}


@pytest.mark.parametrize(
    "written",
    [
        '{"text": "It is in C major."}',
        'Here is the JSON:\n{"text": "It is in C major."}\nI hope this helps.',
        '```json\n{"text": "It is in C major."}\n```',
        'Sure.\n```\n{"text": "It is in C major."}\n```\nDone.',
        '{"text": "It is in C major.",}',
        '<|channel|>analysis<|message|>hm {"a": 1}<|end|><|start|>assistant'
        '<|channel|>final<|message|>{"text": "It is in C major."}<|return|>',
    ],
)
def test_json_is_found_behind_prose_in_a_fence_in_harmony_text_and_with_a_trailing_comma(written):
    assert json.loads(found_json(written)) == GOOD


def test_a_raw_line_end_inside_of_a_string_is_read_as_one():
    assert json.loads(found_json('{"text": "one\ntwo"}')) == {"text": "one\ntwo"}


def test_an_object_inside_of_a_broken_one_is_not_the_reply():
    assert found_json('{"questions": [{"a": 1}, {"b": ') == '{"questions": [{"a": 1}, {"b":'


def question(answer="yes", options=("yes", "no")) -> dict:
    asked = {"family": "f", "type": "multiple_choice", "question": "Is it?", "answer": answer, "rationale": "Heard."}
    return asked | {"options": list(options), "references": [], "wants_distractors": False}


def test_one_bad_question_rejects_itself_and_not_the_reply():
    reply = QuestionsReply.model_validate_json(json.dumps({"questions": [question(), question(answer="perhaps")]}))
    assert len(reply.questions) == 1
    assert reply.num_malformed == 1


def test_a_reply_without_one_good_question_is_no_reply():
    with pytest.raises(ValidationError, match="none of 1 questions fits"):
        QuestionsReply.model_validate_json(json.dumps({"questions": [question(answer="perhaps")]}))


def test_a_cut_reply_keeps_its_finished_items():
    text = json.dumps({"questions": [question(), question()]})[:-20]
    assert len(json.loads(finished_items(text, "questions") or "")["questions"]) == 1
    assert finished_items('{"questions": [{"fam', "questions") is None


def test_no_request_carries_the_tracks_id_or_title(songs_facts):
    facts = SongFacts.of(songs_facts, 16.0)
    payload = SongPayload(track_id="RYANS MAMMOTH/0", facts=facts, closed=[], captions=[], title="Arkansas Traveller")
    for prompt_id in ("qa_temporal", "rich_caption", "short_caption"):
        text = TeacherRequest(prompt_id, payload, QuestionsReply, 1).text
        assert "RYANS" not in text
        assert "Arkansas" not in text


@pytest.fixture
def songs_facts():
    return songs.make_facts()


def test_a_captions_teacher_that_cannot_hear_is_refused_at_parsing():
    endpoint = {"base_url": "http://localhost:1/v1", "api_key_env": None, "timeout_s": 1.0, "max_tries": 1}
    deaf = {"kind": "openai_compatible", "endpoint": endpoint, "audio": None}
    with pytest.raises(ValidationError):
        CaptionsConfig.model_validate({"teacher": deaf, "window_s": 30.0, "shortest_s": 3.0, "seed": 1})


# --- what a teacher may choose from ----------------------------------------------------------------------------------


def test_the_families_of_the_schema_are_those_that_have_rules_and_other():
    assert set(OPEN_NAMES) == set(OPEN_FAMILIES) - {"short_caption", "rich_caption"}
    schema = TeacherRequest("qa_temporal", song(), QuestionsReply, 1).schema
    assert schema["$defs"]["WrittenQuestion"]["properties"]["family"]["enum"] == list(question_families())
    written = TeacherRequest("qa_temporal", song(), QuestionsReply, 1).text
    assert all(f" {name}" in written for name in OPEN_NAMES), "a model is told the names too"


def test_a_family_that_a_teacher_makes_up_is_called_other():
    assert WrittenQuestion.model_validate(question() | {"family": "vibe_of_the_thing"}).family == "other"
    assert WrittenQuestion.model_validate(question() | {"family": "bpm"}).family == "bpm"


def test_a_reader_of_texts_must_choose_an_option_and_else_has_not_read():
    asked = TeacherRequest(
        "answer_without_audio", GuessPayload(question="Is it?", options=["yes", "no"]), GuessReply, 1
    )
    assert asked.schema["properties"]["answer"]["enum"] == ["yes", "no"]
    assert asked.read('{"answer": "Yes."}').answer == "yes"
    with pytest.raises(ValueError, match="none of the options"):
        asked.read('{"answer": "one of the options"}')


# --- cut replies -----------------------------------------------------------------------------------------------------


def call(temperature=0.7) -> Call:
    config = TypeAdapter(TeacherConfig).validate_python(teacher(NOWHERE, None, temperature=temperature))
    request = TeacherRequest("qa_temporal", song(), QuestionsReply, 7)
    return Call(config, request, FailureWatch(config.stop, "x"))


def answered(content, finish_reason="stop", **more) -> dict:
    return {"choices": [{"message": {"content": content}, "finish_reason": finish_reason}], **more}


def cut_reply(*asked) -> dict:
    text = json.dumps({"questions": [*asked, question()]})
    return answered(text[:-30], "length", usage={"prompt_tokens": 100, "completion_tokens": 50})


def test_a_cut_reply_keeps_its_finished_items_and_asks_for_the_rest_of_them():
    first, second = question() | {"question": "Is it one?"}, question() | {"question": "Is it two?"}
    asked = call()
    with pytest.raises(ValueError, match="rest is asked for"):
        asked.read(cut_reply(first))
    sent = asked.content(2).json["messages"]
    assert [m["role"] for m in sent] == ["user", "assistant", "user"]
    assert json.loads(sent[1]["content"]) == {"questions": [first]}
    rest = answered(json.dumps({"questions": [first, second]}), usage={"prompt_tokens": 200, "completion_tokens": 30})
    reply, finished = asked.read(rest)
    assert [q.question for q in reply.questions] == ["Is it one?", "Is it two?"]
    assert finished.tokens == CallTokens(300, 80), "both parts are paid"


def test_finished_items_stay_where_the_rest_never_comes():
    asked = call()
    with pytest.raises(ValueError, match="rest is asked for"):
        asked.read(cut_reply(question()))
    kept = asked.kept()
    assert kept is not None and len(kept[0].questions) == 1 and kept[1].tokens == CallTokens(100, 50)
    assert call().kept() is None


@pytest.mark.parametrize(("temperature", "error"), [(0.0, UselessToRepeatError), (0.7, ValueError)])
def test_a_truncated_reply_is_asked_once_with_more_room_and_at_temperature_0_not_again(temperature, error):
    asked = call(temperature)
    room = asked.content(1).json["max_tokens"]
    with pytest.raises(ValueError, match="longer than max_tokens"):
        asked.read(answered('{"questions": [{"fam', "length"))
    assert asked.content(2).json["max_tokens"] == 2 * room
    with pytest.raises(ValueError, match="longer than max_tokens") as caught:
        asked.read(answered('{"questions": [{"fam', "length"))
    assert type(caught.value) is error and asked.trouble == "truncated"


def test_tokens_that_a_server_does_not_count_are_estimated_and_marked():
    asked = call()
    asked.read(answered(json.dumps({"questions": []})))
    assert asked.is_estimated and asked.spent.prompt > 500 and asked.spent.completion > 0
    counted = call()
    counted.read(answered(json.dumps({"questions": []}), usage={"prompt_tokens": 9, "completion_tokens": 2}))
    assert not counted.is_estimated and counted.spent == CallTokens(9, 2)


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (500, "audio input is not supported - hint: if this is unexpected, you may need to provide the mmproj"),
        (400, "smollm is not a multimodal model"),
        (400, "At most 0 audio(s) may be provided in one request."),
        (503, "This model does not support input_audio"),
    ],
)
def test_a_server_without_ears_is_not_a_busy_one(status, said):
    import httpx

    trouble = _refusal(httpx.Response(status), json.dumps({"error": {"message": said}}).encode())
    assert trouble is not None and (trouble.reason, trouble.again) == ("no_audio", False)
    busy = _refusal(httpx.Response(503), b"audio models are loading, try again")
    assert busy is not None and busy.again


# --- Ctrl-C ----------------------------------------------------------------------------------------------------------

INTERRUPTED = """
import signal, sys, threading, _thread, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background processes ignore it
sys.path.insert(0, {tests!r})
from pathlib import Path
from pydantic import TypeAdapter
from support import songs
from support.teacher_server import TeacherServer, teacher
from music_flamingo.teachers import TeacherConfig, TeacherRequest, over_shards, teaching
from music_flamingo.teachers.payloads import SongFacts, SongPayload, TextReply
with TeacherServer(sleeps_s=0.5) as server:
    config = TypeAdapter(TeacherConfig).validate_python(teacher(server, Path({cache!r}), concurrency=2))
    facts = SongFacts.of(songs.make_facts(), 16.0)
    def work(k):
        payload = SongPayload(track_id=str(k), facts=facts, closed=[], captions=[], title=None)
        return asked.ask(TeacherRequest("rich_caption", payload, TextReply, k))
    def interrupt():
        while sum(server.tries.values()) < 2:
            time.sleep(0.01)
        _thread.interrupt_main()
    threading.Thread(target=interrupt, daemon=True).start()
    try:
        with teaching(config, "captions", Path({cache!r}) / "captions") as asked:
            for _ in over_shards(2, [(0, list(range(40)))], work):
                pass
    except KeyboardInterrupt:
        print("asked", sum(server.tries.values()), "finished", sum(server.finished.values()))
"""


def test_ctrl_c_stops_asking_at_once_and_every_reply_that_was_under_way_is_cached(tmp_path):
    program = INTERRUPTED.format(tests=str(Path(__file__).parents[1]), cache=str(tmp_path))
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    words = ran.stdout.split()
    assert int(words[1]) < 10, "most of the forty calls were never made"
    cache = CallCache(tmp_path)
    assert len(cache) == int(words[3]) == int(words[1]) > 0
    cache.close()
