"""Teachers in validate, over HTTP: a reader without the audio, a judge that hears it, what becomes of bad replies."""

import json

import pytest
from pydantic import ValidationError
from support import songs
from support.teacher_server import TeacherServer, teacher

from music_flamingo.core.errors import UserError
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.ports import Table
from music_flamingo.records import Example, Facts, Track
from music_flamingo.scoring.options import are_drawn
from music_flamingo.stages.synthesize import SynthesizeConfig, write_track
from music_flamingo.stages.validate import STAGE
from music_flamingo.teachers import open_teacher
from music_flamingo.teachers.audio_judge import JudgeConfig
from music_flamingo.teachers.server import completion, read_call

READER = {"kind": "teacher", "tries": 4, "min_right_fraction": 0.75, "max_p": 0.05, "seed": 1}
JUDGE = {"min_score": 3.0, "fraction": 1.0, "max_audio_s": 30.0, "seed": 1}


class Opinionated(TeacherServer):
    """Knows the key of everything by heart, finds every texture wrong, and cannot spell its score of a form."""

    def answer(self, body):
        call = read_call(body)
        payload, told = call.payload, completion(body)
        reply = None
        if call.prompt_id == "answer_without_audio":
            known = [o for o in payload.options if o == "C major"]
            reply = {"answer": (known or sorted(payload.options))[0]}
        elif call.prompt_id == "judge_example":
            score = 1 if payload.family == "texture" else 4
            reply = {"correctness": "four" if payload.family == "form" else score, "reason": "heard"}
        if reply is not None:
            told["choices"][0]["message"]["content"] = json.dumps(reply)
            self.bodies.append(body)
        return 200, {}, json.dumps(told).encode()


@pytest.fixture
def server():
    with Opinionated() as running:
        yield running


@pytest.fixture
def data(tmp_path):
    config = SynthesizeConfig.model_validate_json(json.dumps(songs.params("synthesize")))
    writer = open_teacher(config.teacher)
    tracks = [songs.make_track(f"w{k}/0", f"w{k}") for k in range(3)]
    facts = [songs.make_facts(f"w{k}/0", f"w{k}") for k in range(3)]
    written = [e for t, f in zip(tracks, facts, strict=True) for e in write_track(config, writer, t, f, [])]
    songs.write_port(tmp_path / "tracks", Track, [tracks])
    songs.write_port(tmp_path / "facts", Facts, [facts])
    songs.write_port(tmp_path / "candidates", Example, [written])
    return tmp_path


def run(data, **changes) -> tuple[dict[str, Example], dict[str, str]]:
    """(kept by id, reason by id of the rejected)."""
    config = songs.params("validate") | {"over_tracks": None, "text_only": None, "workers": 1} | changes
    songs.run_stage(STAGE, config, data)
    kept, rejected = (list(Table(data / p, Example, read_manifest(data / p))) for p in ("skills", "rejects"))
    return {e.id: e for e in kept}, {e.id: e.status.removeprefix("quarantined:") for e in rejected}


def test_what_a_text_model_knows_beyond_chance_is_dropped_and_what_it_guesses_is_kept(data, server):
    kept, rejected = run(data, text_only=READER | {"teacher": teacher(server, None)})
    families = {i.split("/")[2]: reason for i, reason in rejected.items()}
    assert families["key"] == "answered_without_audio:teacher"
    assert "w0/0/drums" in kept, "a closed question, worded alike for all, is not asked"
    asked = [read_call(b).payload for b in server.bodies]
    assert all(are_drawn(p.question, p.options) for p in asked) and {p.track_id for p in asked} == {""}
    orders = {tuple(p.options) for p in asked if "C major" in p.options}
    assert len(orders) > 3, "the options come in another order each time"


def test_a_reader_that_guesses_drops_nothing_or_little(data):
    _, rejected = run(data, text_only=READER | {"teacher": {"kind": "scripted"}})
    assert len(rejected) <= 1


def test_a_judge_drops_what_it_finds_wrong_and_leaves_its_scores(data, server):
    kept, rejected = run(data, judge=JUDGE | {"teacher": teacher(server, None, audio="flac")})
    reasons = {i.split("/")[2]: reason for i, reason in rejected.items()}
    assert reasons["texture"] == "judged_wrong"
    assert reasons["form"].startswith("teacher_"), "a reply that cannot be read gives no score by default"
    assert kept["w0/0/drums"].judge_score == 4.0
    heard = [p for p in server.bodies[-1]["messages"][0]["content"] if p["type"] == "input_audio"]
    assert heard[0]["input_audio"]["format"] == "flac"
    page = (data / "data_docs" / "index.html").read_text()
    assert "Scores of the audio judge" in page and "judged_wrong" in page


def test_only_the_drawn_fraction_is_judged(data, server):
    kept, _ = run(data, judge=JUDGE | {"teacher": teacher(server, None, audio="flac"), "fraction": 0.3})
    judged = [e.judge_score is not None for e in kept.values()]
    assert 0.1 < sum(judged) / len(judged) < 0.5


def test_the_scripted_judge_says_what_it_is_and_drops_nothing_that_agrees_with_the_facts(data):
    kept, rejected = run(data, judge=JUDGE | {"teacher": {"kind": "scripted"}})
    assert rejected == {}
    assert {e.judge_score for e in kept.values()} == {3.0, 5.0}


def test_an_interrupted_run_asks_no_finished_call_again(data, server, tmp_path):
    judge = JUDGE | {"teacher": teacher(server, tmp_path / "calls", audio="flac")}
    config = songs.params("validate") | {"over_tracks": None, "text_only": None, "workers": 1, "judge": judge}
    strict = {**config, "expected": config["expected"] | {"min_kept_fraction": 1.0}}
    families = []
    for _ in range(2):
        server.bodies.clear()
        with pytest.raises(UserError):
            songs.run_stage(STAGE, strict, data)
        families.append({read_call(body).payload.family for body in server.bodies})
    assert len(families[0]) > 20
    assert families[1] == {"form"}, "what had failed is asked once more, and nothing else"


def test_a_judge_without_ears_is_refused(server):
    with pytest.raises(ValidationError, match="a judge hears"):
        JudgeConfig.model_validate_json(json.dumps(JUDGE | {"teacher": teacher(server, None)}))
