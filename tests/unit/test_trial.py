"""`mf check`: what would become of records, and why, without a run."""

import json

import pytest
from support import songs

from music_flamingo.cli import main
from music_flamingo.core.errors import UserError
from music_flamingo.core.params import load_params, stage_json
from music_flamingo.quality.trial import read_facts, try_records
from music_flamingo.records import Facts
from music_flamingo.runs.workspace import repository
from music_flamingo.stages.validate import ValidateConfig
from music_flamingo.teachers.replies import found_json


@pytest.fixture
def limits():
    params = load_params(repository() / "params.yaml")
    return ValidateConfig.model_validate_json(stage_json(params, "validate")).limits


@pytest.fixture
def facts(tmp_path):
    path = tmp_path / "facts.jsonl"
    path.write_text(songs.make_facts().model_dump_json() + "\n")
    return path


def tried(facts, tmp_path, limits, *records) -> list:
    path = tmp_path / "records.jsonl"
    path.write_text("\n".join(json.dumps(r) for r in records))
    return list(try_records(facts, path, limits))


def test_each_claim_of_a_record_is_named_with_its_place_its_verdict_and_the_fact(facts, tmp_path, limits):
    said = {"question": "What is the tempo?", "answer": "120 BPM", "rationale": "It is in C minor."}
    (verdict,) = tried(facts, tmp_path, limits, said)
    assert verdict.reason == 'contradicts_key:"C minor" is said, C major measured'
    assert [(c["in"], c["kind"], c["verdict"]) for c in verdict.as_json()["claims"]] == [
        ("answer", "tempo", "supported"),
        ("rationale", "key", "contradicted"),
    ]
    assert verdict.lines()[1] == "  supported    answer, tempo: '120 BPM'; 120.0 BPM measured"


def test_replies_captions_and_chains_are_tried_as_they_come_from_a_teacher(facts, tmp_path, limits):
    asked = {"type": "open", "options": [], "references": [], "rationale": "It is heard.", "family": "bpm"}
    reply = {
        "questions": [
            {**asked, "question": "How fast?", "answer": "120 BPM"},
            {**asked, "family": "other", "question": "How fast?", "answer": "90 BPM"},
        ]
    }
    caption = {"text": "A piece in C major at 120 BPM with drums."}
    chain = {"steps": [{"text": "No drums play."}]}
    thinking = {"thinking": "The file name says that it is in C major."}
    found = tried(facts, tmp_path, limits, reply, caption, chain, thinking)
    reasons = [(v.reason or "kept").partition(":")[0] for v in found]
    assert reasons == ["kept", "contradicts_tempo", "kept", "contradicts_drums", "mentions_metadata"]
    assert found[0].id == "line 1, question 1"


def test_what_is_no_record_has_a_reason_and_what_is_no_file_an_error(facts, tmp_path, limits):
    broken = {"type": "multiple_choice", "question": "Which?", "answer": "a", "options": ["b"]}
    unknown = {"track_id": "elsewhere", "question": "Which?", "answer": "a"}
    assert [v.reason.partition(":")[0] for v in tried(facts, tmp_path, limits, broken, unknown)] == [
        "malformed",
        "track_unknown",
    ]
    with pytest.raises(UserError, match="cannot be read"):
        list(try_records(facts, tmp_path / "absent.jsonl", limits))


def test_a_bad_line_rejects_itself_and_not_the_file(facts, tmp_path, limits):
    good = json.dumps({"text": "A piece in C major at 120 BPM with drums."})
    (tmp_path / "bad.jsonl").write_text(f'no json\n[]\n{{"questions": [5]}}\n{{"steps": 5}}\n{good}\n')
    found = list(try_records(facts, tmp_path / "bad.jsonl", limits))
    assert [(v.reason or "kept").partition(":")[0] for v in found] == ["malformed"] * 4 + ["kept"]


def test_a_reply_as_it_came_is_a_record(facts, tmp_path, limits):
    reply = '```json\n{"questions": [\n {"question": "How fast is it?", "answer": "Presto"},\n]}\n```\n'
    (tmp_path / "reply.txt").write_text(f"Here you are:\n{reply}")
    (found,) = try_records(facts, tmp_path / "reply.txt", limits, found_json)
    assert found.id == "line 1, question 1" and (found.reason or "").startswith("contradicts_tempo")


def test_facts_are_read_from_a_port_too(tmp_path):
    songs.write_port(tmp_path / "facts", Facts, [[songs.make_facts("a/0"), songs.make_facts("b/0")]])
    assert [f.id for f in read_facts(tmp_path / "facts")] == ["a/0", "b/0"]


def test_the_command_prints_the_outcome_of_every_record(facts, tmp_path, capsys):
    path = tmp_path / "records.jsonl"
    path.write_text(json.dumps({"question": "How fast is it?", "answer": "Presto"}))
    assert main(["check", str(facts), str(path), "--params", str(repository() / "params.yaml")]) == 0
    said = capsys.readouterr().out
    assert "line 1: rejected, contradicts_tempo" in said and "0 of 1 records would be kept" in said
    assert main(["check", str(facts), str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["claims"][0]["verdict"] == "contradicted"
