"""The schema of each reply keeps to what strict mode and vLLM's grammars know, and still says what a reply is."""

from typing import Literal, get_type_hints

import jsonschema
import pytest
from pydantic import Field, create_model

from music_flamingo.core.record import RecordPart
from music_flamingo.teachers.payloads import QuestionsReply, StatedQuestionsReply, TextReply, WrittenQuestion
from music_flamingo.teachers.schema import strict_schema
from music_flamingo.teachers.scripted import WRITERS

REPLIES = sorted({get_type_hints(writer)["return"] for writer in WRITERS.values()}, key=lambda reply: reply.__name__)
KNOWN = {"type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "description"}
KNOWN |= {"$ref", "$defs", "minimum", "maximum"}


def parts(schema):
    """The schema and all that stand inside it."""
    yield schema
    inside = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values(), *schema.get("anyOf", [])]
    inside += [schema["items"]] if "items" in schema else []
    for part in inside:
        yield from parts(part)


@pytest.mark.parametrize("reply", REPLIES, ids=lambda reply: reply.__name__)
def test_every_reply_is_strict(reply):
    schema = strict_schema(reply)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["type"] == "object", "the root is an object, no union"
    for part in parts(schema):
        assert set(part) <= KNOWN
        assert "$ref" not in part or set(part) == {"$ref"}
        if part.get("type") == "object":
            assert part["required"] == list(part["properties"]) and part["additionalProperties"] is False


def test_what_fits_the_model_fits_the_schema_and_a_missing_field_fits_neither():
    asked = WrittenQuestion(
        family="drums",
        type="open",
        question="Are drums heard?",
        options=["yes", "no"],
        answer="yes",
        rationale="They are.",
        references=[],
        wants_distractors=False,
    )
    told = QuestionsReply(questions=[asked]).model_dump(mode="json")
    jsonschema.validate(told, strict_schema(QuestionsReply))
    del told["questions"][0]["rationale"]
    with pytest.raises(jsonschema.ValidationError, match="rationale"):
        jsonschema.validate(told, strict_schema(QuestionsReply))


def test_lengths_defaults_and_titles_are_left_out_and_checked_by_the_model():
    assert strict_schema(TextReply)["properties"]["text"] == {"type": "string"}
    made = create_model(
        "Made", __base__=RecordPart, number=(int, Field(default=3, ge=1, le=5, title="N")), word=(str | None, None)
    )
    assert strict_schema(made)["required"] == ["number", "word"]
    assert strict_schema(made)["properties"]["number"] == {"type": "integer", "minimum": 1, "maximum": 5}
    assert strict_schema(made)["properties"]["word"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}


def test_a_field_that_is_called_title_is_kept():
    named = create_model("Named", __base__=RecordPart, title=(str, ...), kind=(Literal["a", "b"], ...))
    schema = strict_schema(named)
    assert schema["properties"] == {"title": {"type": "string"}, "kind": {"type": "string", "enum": ["a", "b"]}}


def test_a_mapping_of_any_keys_is_no_reply():
    loose = create_model("Loose", __base__=RecordPart, values=(dict[str, int], ...))
    with pytest.raises(TypeError, match=r"Loose\.values: an object needs named fields"):
        strict_schema(loose)


STATED = {
    "family": "other", "type": "open", "question": "How fast is it?", "options": [], "answer": "104 BPM",
    "rationale": "About 104 beats pass in a minute.", "references": [], "wants_distractors": False,
}  # fmt: skip


def stated(*claims: tuple[str, str]) -> StatedQuestionsReply:
    listed = [{"kind": kind, "value": value} for kind, value in claims]
    bad = {**STATED, "answer": " "}
    return StatedQuestionsReply.model_validate({"questions": [{**STATED, "claims": listed}, bad, {**STATED, "claims": [
        {"kind": "tempo", "value": "104 BPM"}]}]})  # fmt: skip


def test_a_question_stands_where_it_states_what_its_text_says():
    assert len(stated(("tempo", "104 BPM")).questions) == 2


@pytest.mark.parametrize(
    "claims", [[], [("tempo", "140 BPM")], [("tempo", "104 BPM"), ("key", "C minor")], [("meter", "104 BPM")]]
)
def test_a_question_that_states_other_things_than_its_text_is_malformed(claims):
    reply = stated(*claims)
    assert len(reply.questions) == 1
    assert reply.num_malformed == 2


def test_the_schema_asks_for_claims_only_where_the_teacher_is_to_state_them():
    with_claims = strict_schema(StatedQuestionsReply)["$defs"]["StatedQuestion"]
    assert "claims" in with_claims["required"]
    assert "claims" not in strict_schema(QuestionsReply)["$defs"]["WrittenQuestion"]["properties"]
