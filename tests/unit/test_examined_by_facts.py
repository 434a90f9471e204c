"""A source without truth: examined by trusted facts of held-out recordings, marked so, refused if nothing is heard."""

import json
from pathlib import Path

import pytest
from support import songs
from support.listening import CORPUS, EVALUATE, RELEASE, difference, give_held_out, give_model, make_truth, score

from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.ports import Table
from music_flamingo.core.stage import execute
from music_flamingo.evaluation.card import model_card
from music_flamingo.evaluation.gate import ReleaseGate
from music_flamingo.evaluation.summary import Evaluation, read_evaluation
from music_flamingo.records import Prediction, Sound, Withheld
from music_flamingo.serving.notes import notes_on
from music_flamingo.stages.evaluate import STAGE
from music_flamingo.stages.release import judged

TRUTHS = [make_truth(work) for work in range(8)]
GATE = ReleaseGate.model_validate(RELEASE["gate"] | {"min_works": 10})
SCORES = [score(c, f, v) for c, v in {"audio": 0.7, "shuffled": 0.5, "none": 0.5}.items() for f in ("drums", "all")]


def facts_of(truth, withheld=()):
    sound = Sound(has_drums=truth.has_drums, texture="chords", lead_envelope="decaying", confidence=0.9, **songs.TOOL)
    entries = [Withheld(fact=fact, reason="unsure") for fact in withheld]
    return songs.make_facts(truth.id, truth.work_id, sound=sound, withheld=entries)


def evaluated(tmp_path: Path, measured) -> Path:
    give_held_out(tmp_path, TRUTHS, with_truth=False, measured=measured)
    for seed, name in enumerate(("sft_model", "warmup_model", "grpo_model")):
        give_model(tmp_path, name, seed)
    inputs = {name: tmp_path / name for name in STAGE.inputs}
    config = json.dumps({**EVALUATE, "families": ["drums"], "caption_request": "Describe this music."})
    execute(STAGE, config, inputs, {name: tmp_path / name for name in STAGE.outputs})
    return tmp_path


def test_trusted_facts_of_held_out_recordings_stand_for_a_truth_that_nobody_has(tmp_path):
    data = evaluated(tmp_path, [facts_of(t, ("sound.has_drums",) if t.work_id == "w0" else ()) for t in TRUTHS])
    asked = list(Table(data / "predictions", Prediction, read_manifest(data / "predictions")))
    assert {p.condition for p in asked} == {"audio", "shuffled", "noise", "none"}
    assert {p.track_id for p in asked} == {t.id for t in TRUTHS} - {"w0#0"}, "what is not trusted asks nothing"
    assert {p.family for p in asked} == {"drums"}, "no truth, no caption to be judged"
    evaluation = read_evaluation(data / "scores")
    assert evaluation.graded_by == "facts" and not evaluation.note
    assert read_manifest(data / "scores").metrics["graded_by"] == "facts"


def test_facts_of_a_single_work_ask_nothing(tmp_path):
    data = evaluated(tmp_path, [facts_of(TRUTHS[0])])
    assert read_evaluation(data / "scores").note == "no truth: evaluation skipped"


def examined(low: float, **changes) -> Evaluation:
    differences = [difference("shuffled", low), difference("none", low)]
    values = {"note": "", "chance": {"drums": 0.5, "all": 0.5}, "differences": differences, "graded_by": "facts"}
    return Evaluation.model_validate({**values, "corpus": CORPUS, **changes})


def test_a_model_that_hears_something_passes_as_examined_by_facts():
    assert judged(SCORES, examined(0.05), GATE) == ("examined_by_facts", [])


def test_a_model_that_hears_nothing_is_refused():
    status, reasons = judged(SCORES, examined(-0.05), GATE)
    assert status == "refused" and len(reasons) == 2


def test_too_few_works_leave_it_unevaluated():
    few = [s.model_copy(update={"num_works": 3}) for s in SCORES]
    assert judged(few, examined(-0.05), GATE) == ("unevaluated", [])
    assert judged([], examined(0.05), GATE) == ("unevaluated", [])


def test_a_truth_is_judged_as_before():
    assert judged(SCORES, examined(0.05, graded_by="truth"), GATE)[0] == "released"


@pytest.mark.parametrize("part", ["**Examined by facts**", "by tools' facts", "Agreement with tools, not accuracy"])
def test_the_card_says_that_no_truth_was_asked(part):
    card = model_card("m", "examined_by_facts", [], SCORES, examined(0.05), {}, "scripted", [], 6.0)
    assert part in card and "answered by the scores themselves" not in card


def test_who_asks_is_told_so():
    assert "never against a truth" in notes_on("?", "examined_by_facts", [])[0]
