"""The listening tools: measured facts of an upload, and captions whose numbers are measured."""

import asyncio
import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from music_flamingo.core.params import load_params, stage_json
from music_flamingo.records import Facts
from music_flamingo.records.example import CATEGORIES
from music_flamingo.serving.errors import ApiError
from music_flamingo.serving.measuring import Measurer, description, facts_json
from music_flamingo.serving.uploads import UPLOAD_LIMITS, Upload
from music_flamingo.stages.facts import MeasureUpload

PARAMS = Path(__file__).parents[2] / "params.yaml"
RATE_HZ = 44100


def clicks(bpm: float, seconds: float = 12.0) -> bytes:
    """A chord on every beat, as a wav file."""
    time_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    decay = np.exp(-8 * (time_s % (60 / bpm)))
    chord = sum(np.sin(2 * np.pi * hz * time_s) for hz in (261.63, 329.63, 392.0)) / 3
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.5 * chord * decay, RATE_HZ, format="WAV")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def measure() -> MeasureUpload:
    return MeasureUpload(stage_json(load_params(PARAMS, ()), "facts"))


@pytest.fixture(scope="module")
def facts(measure) -> Facts:
    return measure(clicks(120), UPLOAD_LIMITS)


def test_an_upload_is_measured_by_the_pipelines_own_tools(facts):
    assert facts.tempo.bpm == pytest.approx(120, rel=0.02)
    assert facts.key.label == "C major"
    assert facts.problems == []


def test_facts_are_json_with_times_and_tools(facts):
    told = json.loads(json.dumps(facts_json(facts)))
    assert told["tempo"]["tool"] == "madmom"
    assert np.diff(told["beats"]["beats_s"]).mean() == pytest.approx(0.5, abs=0.02)
    assert set(told["beats"]["downbeats_s"]) <= set(told["beats"]["beats_s"])
    assert {"start_s", "end_s", "label"} == set(told["chords"]["segments"][0])
    assert "status" not in told and "work_id" not in told


def test_numbers_of_a_description_are_measured_and_the_models_own_words_stand_beside(facts):
    told = description(facts, [("tempo_class", "fast"), ("mode", "minor"), ("short_caption", "A fast piece.")])
    assert tuple(told["categories"]) == CATEGORIES
    bpm = told["categories"]["bpm"]
    assert (bpm["source"], bpm["model"]) == ("measured", "fast")
    assert float(bpm["value"]) == pytest.approx(120, rel=0.02)
    assert bpm["tool"] == "madmom" and 0 <= bpm["confidence"] <= 1
    assert told["categories"]["key"]["value"] == "C major" and told["categories"]["key"]["model"] == "minor"
    assert told["categories"]["genre"] == {"value": None, "source": None, "model": None}
    assert told["model_caption"] == "A fast piece."


def test_what_is_not_measured_is_the_models_word_and_says_so(facts):
    told = description(facts.model_copy(update={"tempo": None}), [("tempo_class", "fast"), ("texture", None)])
    assert told["categories"]["bpm"] == {"value": "fast", "source": "model", "model": "fast"}
    assert told["categories"]["theory"]["source"] is None


def test_a_bad_recording_is_refused_and_a_good_one_measured_once(measure):
    measurer = Measurer(measure)
    with pytest.raises(ApiError) as refused:
        asyncio.run(measurer.facts(Upload(b"no audio at all" * 100)))
    assert (refused.value.status, refused.value.code) == (400, "audio_unreadable")
    song = Upload(clicks(100))
    first = asyncio.run(measurer.facts(song))
    assert asyncio.run(measurer.facts(song)) is first
    assert first.tempo.bpm == pytest.approx(100, rel=0.02)
    measurer.close()
