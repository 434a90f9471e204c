"""A teacher over HTTP, against a real server on loopback: replies, tries, cache, usage, the end of patience."""

import base64
import json
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError
from support import songs
from support.teacher_server import TeacherServer, teacher

from music_flamingo.audio.clips import cut
from music_flamingo.audio.flac import decode_flac
from music_flamingo.core.errors import ConfigError, UserError
from music_flamingo.core.params import load_params
from music_flamingo.prompts import load
from music_flamingo.records import TeacherStamp
from music_flamingo.teachers import (
    TeacherConfig,
    TeacherFailedError,
    TeacherRequest,
    ask,
    open_teacher,
    over_shards,
    stamp,
    teaching,
)
from music_flamingo.teachers.cache import CallCache, CallTokens, Finished
from music_flamingo.teachers.chat_call import Call, body, call_key
from music_flamingo.teachers.config import FailureLimit
from music_flamingo.teachers.failures import FailureWatch, TeacherUnusableError
from music_flamingo.teachers.payloads import SongFacts, SongPayload, TextReply, WindowText, closed_questions
from music_flamingo.teachers.replies import found_json
from music_flamingo.teachers.requests import anonymous
from music_flamingo.teachers.scripted import ScriptedTeacher
from music_flamingo.teachers.server import read_call, serve
from music_flamingo.teachers.usage import read_all, table

ROOT = Path(__file__).parents[2]
NOTHING = "http://127.0.0.1:9/v1"


def config(server, cache=None, **changes):
    return TypeAdapter(TeacherConfig).validate_json(json.dumps(teacher(server, cache, **changes)))


def song(track_id="w1/0", title="A Song") -> SongPayload:
    facts = songs.make_facts(lyrics=songs.with_lyrics())
    return SongPayload(
        track_id=track_id, facts=SongFacts.of(facts, 16.0), closed=closed_questions(facts), captions=[], title=title
    )


def request(track_id="w1/0", seed=7, audio=None) -> TeacherRequest[TextReply]:
    return TeacherRequest("rich_caption", song(track_id), TextReply, seed, audio)


@pytest.fixture
def server():
    with TeacherServer() as own:
        yield own


def scripted_misdeeds(server, *misdeeds):
    """The first tries go wrong as listed, the rest go well."""
    server.misdeed = lambda call, number: misdeeds[number - 1] if number <= len(misdeeds) else None


# --- replies ---------------------------------------------------------------------------------------------------------


def test_the_server_answers_as_the_scripted_teacher_in_this_process(server):
    remote = open_teacher(config(server))
    assert remote.ask(request()) == ScriptedTeacher().ask(request())
    assert stamp(remote, "rich_caption") == TeacherStamp(
        kind="openai_compatible",
        model="scripted",
        revision="1",
        prompt_id="rich_caption",
        prompt_sha256=load("rich_caption").sha256,
    )


def test_a_call_is_a_chat_completion_held_to_the_strict_schema_of_its_reply(server):
    sent = body(config(server), request())
    assert sent["model"] == "scripted" and [m["role"] for m in sent["messages"]] == ["user"]
    assert '"tempo_bpm": 120.0' in sent["messages"][0]["content"]
    held = sent["response_format"]["json_schema"]
    assert held["strict"] and held["schema"]["required"] == ["text"] and held["schema"]["additionalProperties"] is False
    own = body(config(server, structured="structured_outputs", reasoning_effort="low"), request())
    assert own["structured_outputs"] == {"json": held["schema"]} and own["reasoning_effort"] == "low"
    assert "response_format" not in own
    assert (
        "reasoning_effort" not in sent
        and not {"response_format", "structured_outputs"} & body(config(server, structured="none"), request()).keys()
    )


def test_sound_is_sent_as_an_input_audio_part_before_the_text(server):
    sound = cut(songs.make_track().audio.bytes, 2.0, 5.0, "flac")
    assert len(decode_flac(sound)) == 3 * 16000
    open_teacher(config(server, audio="flac")).ask(request(audio=sound))
    audio, text = server.bodies[0]["messages"][0]["content"]
    assert audio["type"] == "input_audio" and audio["input_audio"]["format"] == "flac"
    assert base64.b64decode(audio["input_audio"]["data"]) == sound
    assert text == {"type": "text", "text": request().text}


def test_a_clip_past_the_end_is_refused():
    track = songs.make_track()
    assert cut(track.audio.bytes, 14.0, 20.0, "wav")[:4] == b"RIFF"
    with pytest.raises(ValueError, match=r"no sample lies between 16.0 and 20.0 s"):
        cut(track.audio.bytes, 16.0, 20.0, "wav")


def read(message, finish_reason="stop", **usage):
    asked = config(TeacherServer())
    call = Call(asked, request(), FailureWatch(asked.stop, "x"))
    answer = {"choices": [{"message": message, "finish_reason": finish_reason}], "usage": usage}
    try:
        return call.read(answer)[1]
    except ValueError:
        return call.trouble


def test_reasoning_is_kept_apart_from_the_reply_under_either_name_or_inside_its_tags():
    reply = '{"text": "Drums play."}'
    for message in (
        {"content": reply, "reasoning": "Hm."},
        {"content": reply, "reasoning_content": "Hm."},
        {"content": f"<think>Hm.</think>\n{reply}"},
    ):
        finished = read(message, prompt_tokens=5, completion_tokens=9)
        assert (finished.content, finished.reasoning, finished.tokens) == (reply, "Hm.", CallTokens(5, 9))


@pytest.mark.parametrize(
    ("message", "finish_reason", "trouble"),
    [
        ({"content": '{"text": "Dru'}, "length", "truncated"),
        ({"content": None, "refusal": "I cannot."}, "stop", "refused"),
        ({"content": None, "reasoning": "Hm."}, "stop", "empty"),
        ({"content": '{"text": ""}'}, "stop", "wrong_shape"),
        ({"content": '{"text": "a", "more": 1}'}, "stop", "wrong_shape"),
        ({"content": "Drums play."}, "stop", "wrong_shape"),
    ],
)
def test_an_unusable_reply_is_named(message, finish_reason, trouble):
    assert read(message, finish_reason) == trouble


@pytest.mark.security
@pytest.mark.parametrize(
    "answer",
    [
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b'{"choices": []}',
        b'{"choices": {"0": 1}}',
        b'{"choices": [{"message": null}]}',
        b'{"choices": [{"message": {"content": ["a"]}}]}',
        b'{"choices": [{"message": {"content": "\\ud800"}}]}',
        b'{"choices": [{"message": {"content": "{\\"text\\": \\"\\ud800\\"}"}}]}',
        b'{"choices": [{"message": {"content": "{\\"text\\": \\"\\\\ud800\\"}"}}]}',
        b'{"choices": [{"message": {"content": "{\\"text\\": \\"a\\"}"}}], "usage": []}',
        b'{"choices": [{"message": {"content": "{\\"text\\": \\"a\\"}"}}], "usage": {"prompt_tokens": -1}}',
        b'{"choices": [{"message": {"content": "{\\"text\\": \\"a\\"}"}}], "usage": {"prompt_tokens": 1e30}}',
        b"[" * 100_000,
        b"\xff\xfe\x00",
    ],
    ids=range(16),
)
def test_no_answer_of_a_server_is_anything_but_a_failed_call(server, tmp_path, answer):
    server.answer = lambda body: (200, {}, answer)
    with pytest.raises(TeacherFailedError) as failed:
        open_teacher(config(server, tmp_path)).ask(request())
    assert failed.value.reason in ("teacher_wrong_shape", "teacher_invalid_json", "teacher_empty")


@pytest.mark.security
def test_reasoning_that_utf8_cannot_hold_is_kept_as_far_as_it_can(server, tmp_path):
    answer = (
        rb'{"choices": [{"message": {"content": "{\"text\": \"a\\u0000\"}", "reasoning": "Hm\ud800"}}], "usage": null}'
    )
    server.answer = lambda body: (200, {}, answer)
    asked = config(server, tmp_path)
    assert open_teacher(asked).ask(request()).text == "a\x00" == open_teacher(asked).ask(request()).text
    assert CallCache(tmp_path).get(call_key(asked, request())).reasoning == "Hm\N{REPLACEMENT CHARACTER}"


def test_a_fence_around_the_json_is_taken_off():
    assert found_json('```json\n{"text": "a"}\n```') == '{"text": "a"}'
    assert found_json(' {"text": "```"} ') == '{"text": "```"}'


# --- tries -----------------------------------------------------------------------------------------------------------


def test_a_reply_of_the_wrong_shape_is_asked_again_under_the_next_seed(server):
    scripted_misdeeds(server, "wrong_shape", "invalid_json")
    open_teacher(config(server)).ask(request(seed=7))
    assert [b["seed"] for b in server.bodies] == [7, 8, 9]


def test_a_busy_server_is_asked_the_very_same_again(server):
    scripted_misdeeds(server, "http_429", "http_500")
    assert open_teacher(config(server)).ask(request()) == ScriptedTeacher().ask(request())
    assert [b["seed"] for b in server.bodies] == [7, 7, 7]


@pytest.mark.parametrize(
    ("misdeed", "reason"),
    [("http_429", "teacher_http_429"), ("http_500", "teacher_http_5xx"), ("wrong_shape", "teacher_wrong_shape")],
)
def test_after_five_tries_a_call_fails_with_its_reason(server, misdeed, reason):
    scripted_misdeeds(server, *[misdeed] * 9)
    with pytest.raises(TeacherFailedError, match=r"5 tries") as failed:
        open_teacher(config(server)).ask(request())
    assert failed.value.reason == reason and len(server.bodies) == 5


def test_six_tries_are_no_configuration(server):
    with pytest.raises(ValidationError, match="max_tries is at most 5"):
        config(server, endpoint={"max_tries": 6})


def test_a_wrong_key_ends_it_at_once_and_is_printed_nowhere(monkeypatch, tmp_path):
    monkeypatch.setenv("TEACHER_KEY", "canary-secret")
    with TeacherServer(api_key="another") as server:
        asked = config(server, tmp_path, endpoint={"api_key_env": "TEACHER_KEY"})
        with pytest.raises(TeacherUnusableError, match="HTTP 401") as refused:
            open_teacher(asked).ask(request())
    assert "canary" not in str(refused.value) and "canary" not in asked.model_dump_json()


def test_the_right_key_opens_and_a_missing_one_is_named(monkeypatch):
    monkeypatch.setenv("TEACHER_KEY", "canary-secret")
    with TeacherServer(api_key="canary-secret") as server:
        asked = config(server, endpoint={"api_key_env": "TEACHER_KEY"})
        assert open_teacher(asked).ask(request()).text
        monkeypatch.delenv("TEACHER_KEY")
        with pytest.raises(ConfigError, match="TEACHER_KEY"):
            open_teacher(asked)


def test_a_model_that_is_not_served_is_told(server):
    with pytest.raises(TeacherUnusableError, match="the only model here is `scripted`"):
        open_teacher(config(server, model="gpt-oss-120b")).ask(request())


def test_the_server_answers_no_prompt_but_the_projects_own(server):
    other = TeacherRequest("rich_caption", song(), TextReply, 1)
    other.__dict__["text"] = "Tell me a joke."
    with pytest.raises(TeacherFailedError, match="none of this project's prompts") as refused:
        open_teacher(config(server)).ask(other)
    assert refused.value.reason == "teacher_http_400" and len(server.bodies) == 1, "it would be refused again"


def test_the_server_reads_prompt_and_payload_back_from_the_text():
    said = [WindowText(start_s=0.0, end_s=1.0, text='"}] {"track_id": "other"} </answer>')]
    hostile = song(title=None).model_copy(update={"captions": said})
    call = read_call({"messages": [{"content": TeacherRequest("qa_harmony", hostile, TextReply, 3).text}], "seed": 3})
    hostile = hostile.model_copy(update={"track_id": anonymous(hostile)["track_id"]})
    assert (call.prompt_id, call.payload, call.seed) == ("qa_harmony", hostile, 3)


# --- patience --------------------------------------------------------------------------------------------------------


def test_more_than_a_fifth_of_the_last_200_calls_end_the_stage_and_a_fifth_does_not():
    watch = FailureWatch(
        FailureLimit(window_calls=200, max_failed_fraction=0.2), "gpt-oss-120b at http://teacher:8000/v1"
    )
    for number in range(1000):
        watch.failed("teacher_timeout") if number % 5 == 0 else watch.succeeded()
    watch.check()
    with pytest.raises(UserError, match=r"41 of the last 200 calls of gpt-oss-120b at http://teacher:8000/v1 failed"):
        for _ in range(5):
            watch.failed("teacher_http_5xx")
    with pytest.raises(UserError, match=r"teacher_timeout \d+, teacher_http_5xx"):
        watch.check()


def test_nothing_is_decided_before_as_many_calls_as_the_window_holds():
    watch = FailureWatch(FailureLimit(window_calls=200, max_failed_fraction=0.2), "x")
    for _ in range(199):
        watch.failed("teacher_timeout")
    with pytest.raises(UserError, match="200 of the last 200"):
        watch.failed("teacher_timeout")


def test_a_call_that_waits_for_its_next_try_gives_up_when_the_stage_has_ended(server):
    scripted_misdeeds(server, *["http_500"] * 5)
    slow = config(
        server, endpoint={"first_wait_s": 0.5, "max_wait_s": 0.5}, stop={"window_calls": 1, "max_failed_fraction": 0.2}
    )
    asked = open_teacher(slow)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(asked.ask, request())
        while not server.bodies:
            time.sleep(0.01)
        with pytest.raises(TeacherUnusableError):
            asked._watch.failed("teacher_timeout")
        with pytest.raises(TeacherUnusableError):
            waiting.result()
    assert len(server.bodies) == 1


def test_a_run_in_which_nothing_succeeded_is_no_result_however_short(server, tmp_path):
    server.misdeed = lambda call, number: "http_500"
    with (
        pytest.raises(TeacherUnusableError, match="2 of the last 2 calls"),
        teaching(config(server), "captions", tmp_path / "captions") as asked,
    ):
        for track_id in ("a", "b"):
            with pytest.raises(TeacherFailedError):
                asked.ask(request(track_id))


# --- many at once ----------------------------------------------------------------------------------------------------


def test_shards_come_in_order_while_later_ones_pass_a_slow_call():
    """The first shard's one slow item is still running when every item of the others is done."""
    others, all_others = [], threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert all_others.wait(20), "the later shards never began"
        else:
            others.append(item)
            if len(others) == 29:
                all_others.set()
        return -item

    shards = [(k, list(range(3 * k, 3 * k + 3))) for k in range(10)]
    made = list(over_shards(2, shards, work))
    assert made == [(k, [-i for i in items]) for k, items in shards]


def test_an_error_ends_the_work_and_leaves_no_item_to_begin():
    begun = []

    def work(item: int) -> int:
        begun.append(item)
        if item == 3:
            raise TeacherUnusableError("gone")
        time.sleep(0.01)
        return item

    with pytest.raises(TeacherUnusableError, match="gone"):
        list(over_shards(4, [(k, range(10 * k, 10 * k + 10)) for k in range(100)], work))
    assert len(begun) < 50


def test_an_empty_shard_and_no_shard_at_all_are_work_too():
    assert list(over_shards(4, [(0, []), (1, [5])], str)) == [(0, []), (1, ["5"])]
    assert list(over_shards(4, [], str)) == list(over_shards(1, [], str)) == []


# --- cache -----------------------------------------------------------------------------------------------------------


def test_a_finished_call_is_never_asked_again(server, tmp_path):
    first, again = (open_teacher(config(server, tmp_path / "cache")) for _ in range(2))
    assert first.ask(request()) == again.ask(request()) == first.ask(request())
    assert len(server.bodies) == 1
    again.ask(request(seed=8))
    assert len(server.bodies) == 2


def test_where_the_server_is_and_how_it_is_asked_is_no_part_of_a_call(server):
    here = config(server)
    there = config(server, concurrency=1, endpoint={"base_url": NOTHING, "timeout_s": 1.0})
    assert call_key(here, request()) == call_key(there, request())


@pytest.mark.parametrize(
    "change", [{"model": "other"}, {"revision": "2"}, {"temperature": 0.0}, {"max_tokens": 9}, {"structured": "none"}]
)
def test_model_revision_and_sampling_are(server, change):
    assert call_key(config(server, **change), request()) != call_key(config(server), request())


def test_seed_facts_and_sound_are(server):
    keys = {call_key(config(server), r) for r in (request(), request(seed=8), request("w2/0"), request(audio=b"x"))}
    assert len(keys) == 4


def test_a_cached_reply_that_no_longer_fits_is_asked_again(server, tmp_path):
    asked = config(server, tmp_path)
    CallCache(tmp_path).put(call_key(asked, request()), "scripted", "rich_caption", Finished("{}", "", CallTokens()))
    assert open_teacher(asked).ask(request()).text and len(server.bodies) == 1


def test_threads_and_connections_share_a_cache(tmp_path):
    caches = [CallCache(tmp_path) for _ in range(4)]
    start = threading.Barrier(8)

    def work(number: int) -> None:
        start.wait()
        for k in range(100):
            own = Finished(f"{number}", "", CallTokens(number, k))
            caches[number % 4].put(f"{number:032x}{k:032x}", "m", "p", own)
            assert caches[(number + 1) % 4].get(f"{number:032x}{k:032x}") == own

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert len(caches[0]) == 800


def test_a_damaged_cache_is_named(tmp_path):
    (tmp_path / "calls.sqlite").write_bytes(b"not a database" * 1000)
    with pytest.raises(UserError, match=r"calls\.sqlite cannot be used"):
        CallCache(tmp_path)


# --- usage -----------------------------------------------------------------------------------------------------------


def test_calls_tokens_and_cost_are_counted_beside_the_ports_run_after_run(server, tmp_path):
    scripted_misdeeds(server, "wrong_shape")
    for _ in range(2):
        with teaching(config(server, tmp_path / "cache"), "captions", tmp_path / "data" / "captions") as asked:
            ask(asked, "rich_caption", song(), TextReply, 1)
    (usage,) = read_all(tmp_path / "data")
    assert (usage.stage, usage.calls, usage.cached, usage.failed, usage.tries) == ("captions", 1, 1, 0, 2)
    paid = usage.prompt_tokens * 1.0 + usage.completion_tokens * 10.0
    assert usage.cost == pytest.approx(paid / 1e6) and usage.cost > usage.cached_cost > 0, "the bad reply cost too"
    assert usage.prompts == {"rich_caption": 2}
    assert "captions" in table([usage])[1] and "USD" in table([usage])[1]


def test_failed_calls_are_counted_by_reason(server, tmp_path):
    server.misdeed = lambda call, number: "http_500"
    with pytest.raises(TeacherUnusableError), teaching(config(server), "captions", tmp_path / "captions") as asked:
        for _ in range(2):
            with pytest.raises(TeacherFailedError):
                asked.ask(request())
    (usage,) = read_all(tmp_path)
    assert (usage.failed, usage.tries, usage.reasons) == (2, 10, {"teacher_http_5xx": 2})
    assert "2 calls failed: teacher_http_5xx" in "\n".join(table([usage]))


# --- the command that serves -----------------------------------------------------------------------------------------


def test_mf_serve_teacher_answers_a_profile_that_names_it_and_stops_when_told(tmp_path):
    address = tmp_path / "address"
    command = [sys.executable, "-m", "music_flamingo.cli", "serve-teacher", "--port", "0"]
    with address.open("w") as out:
        # where the tests run in the background, Ctrl-C is ignored unless told otherwise
        heeded = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        process = subprocess.Popen(command, stderr=out, preexec_fn=heeded)
    try:
        for _ in range(200):
            if "on http://" in address.read_text():
                break
            time.sleep(0.05)
        base_url = re.search(r"http://\S+/v1", address.read_text()).group()
        values = load_params(ROOT / "params.yaml", (ROOT / "pipelines/profiles/served-teacher.yaml",))["captions"][
            "teacher"
        ]
        values |= {"cache": str(tmp_path), "endpoint": {**values["endpoint"], "base_url": base_url}}
        remote = open_teacher(TypeAdapter(TeacherConfig).validate_json(json.dumps(values)))
        assert remote.ask(request()) == ScriptedTeacher().ask(request())
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130


def test_a_taken_port_is_told(server):
    with pytest.raises(UserError, match="give another --host or --port"):
        serve("127.0.0.1", server.server_address[1], None)
