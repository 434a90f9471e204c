"""Replies as models write them, and what a teacher is never sent."""

import json

import pytest
from pydantic import ValidationError

from music_flamingo.stages.captions import CaptionsConfig
from music_flamingo.teachers import TeacherRequest
from music_flamingo.teachers.payloads import QuestionsReply, SongFacts, SongPayload
from music_flamingo.teachers.replies import finished_items, found_json

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
    from support import songs

    return songs.make_facts()


def test_a_captions_teacher_that_cannot_hear_is_refused_at_parsing():
    endpoint = {"base_url": "http://localhost:1/v1", "api_key_env": None, "timeout_s": 1.0, "max_tries": 1}
    deaf = {"kind": "openai_compatible", "endpoint": endpoint, "audio": None}
    with pytest.raises(ValidationError):
        CaptionsConfig.model_validate({"teacher": deaf, "window_s": 30.0, "shortest_s": 3.0, "seed": 1})
