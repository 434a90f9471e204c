"""What confidences were fitted on: kept in the repository, made by one command, fitted again to the same weights."""

import json

import pytest
from support.benchmark_scripts import FOLDER, load_benchmark

from music_flamingo.core.hashing import sha256_json
from music_flamingo.mir.probabilities import MODEL


@pytest.fixture
def calibrate(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return load_benchmark("calibrate_confidences")


def shipped() -> dict:
    return json.loads(MODEL.read_text())


def test_the_shipped_probabilities_say_what_made_them(calibrate):
    made = shipped()["made"]
    assert (FOLDER.parent / made["script"]).is_file()
    assert (made["seed"], made["clips"]) == (calibrate.SEED, calibrate.MADE)
    assert made["inputs_sha256"] == sha256_json(json.loads(calibrate.INPUTS.read_text()))


def test_the_kept_inputs_give_the_shipped_weights_again(calibrate):
    found = calibrate.model_of(json.loads(calibrate.INPUTS.read_text()))
    for fact in ("key", "texture"):
        for name, value in shipped()[fact].items():
            assert found[fact][name] == (pytest.approx(value, abs=0.01) if isinstance(value, float) else value)


def test_other_inputs_have_another_digest(calibrate):
    inputs = json.loads(calibrate.INPUTS.read_text())
    inputs["key"][0][2] = not inputs["key"][0][2]
    assert calibrate.model_of(inputs)["made"]["inputs_sha256"] != shipped()["made"]["inputs_sha256"]


def test_inputs_are_of_what_the_repository_makes_and_of_no_recording(calibrate):
    inputs = json.loads(calibrate.INPUTS.read_text())
    assert {origin for rows in inputs.values() for origin, *_ in rows} <= set(calibrate.MADE)


@pytest.mark.slow
def test_a_small_set_is_made_measured_and_read(calibrate, tmp_path, monkeypatch):
    monkeypatch.chdir(FOLDER.parent)
    few = {"bands": 2, "arrangements": 1, "scores": 1, "mixtures": 1}
    calibrate.make(tmp_path, few)
    calibrate.make(tmp_path, few)  # what is there is not measured again
    clips = calibrate.listed(tmp_path)
    assert {clip.origin: sum(c.origin == clip.origin for c in clips) for clip in clips} == few
    rows = calibrate.inputs_of(clips)
    assert rows["key"] and rows["texture"] and json.loads(calibrate.as_text(rows)) == rows
