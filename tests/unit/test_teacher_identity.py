"""No request to a teacher, a judge or a transcription server says which recording it is about."""

import base64
import json
from dataclasses import replace

import numpy as np
import pytest
from support import songs
from support.misbehaving import Answer, serving
from support.teacher_server import TeacherServer, teacher

from music_flamingo.core.http import Endpoint
from music_flamingo.mir import RATE_HZ, Signal
from music_flamingo.mir.transcription_endpoint import EndpointLyrics
from music_flamingo.mir.transcripts import LyricsRules
from music_flamingo.quality.steps import OptionProbabilities, StepLimits
from music_flamingo.reasoning.writing import Manner, Topic, write_chain
from music_flamingo.records import Facts, SoundPart, Track
from music_flamingo.scoring.families import FAMILIES
from music_flamingo.stages import captions, synthesize, validate
from music_flamingo.stages.synthesize import SynthesizeConfig, write_track
from music_flamingo.teachers import open_teacher
from music_flamingo.teachers.config import OpenAICompatibleConfig
from music_flamingo.teachers.scripted import WRITERS
from music_flamingo.teachers.server import read_call
from music_flamingo.teachers.thinking import Doubt, mend, rate

TRACK_ID = "RYANS MAMMOTH COLLECTION/0007"
TELLING = {"title": "Arkansas Traveller", "artist": "The Bowmen Fiddlers", "uri": "file:/vault/secret_tape_07.mp3"}
NAMES = (
    "ryans",
    "mammoth",
    "0007",
    "arkansas",
    "traveller",
    "bowmen",
    "fiddlers",
    "vault",
    "secret_tape",
    ".mp3",
    "zweiwerk",
)
LIMITS = StepLimits(right_above=0.3, answer_right_above=0.05, restate_above=0.8, max_wrong_fraction=0.3, max_words=250)


def speaks(body: bytes) -> list[str]:
    """Names that a request says."""
    text = body.decode("utf-8", "replace").casefold()
    return [name for name in NAMES if name in text]


def sent(body: dict) -> bytes:
    """A chat request, its sound as it was encoded: tags of a file would stand there."""
    sounds = [
        base64.b64decode(part["input_audio"]["data"])
        for message in body["messages"]
        if isinstance(message["content"], list)
        for part in message["content"]
        if part["type"] == "input_audio"
    ]
    for sound in sounds:
        assert not speaks(sound[:4096])
    return json.dumps(body, ensure_ascii=False).encode()


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Every body that captions, synthesize, validate and the writing of chains send about one recording."""
    root = tmp_path_factory.mktemp("data")
    track = songs.make_track(TRACK_ID, "zweiwerk", **TELLING)
    facts = songs.make_facts(TRACK_ID, "zweiwerk", lyrics=songs.with_lyrics())
    songs.write_port(root / "tracks", Track, [[track]])
    songs.write_port(root / "facts", Facts, [[facts]])
    with TeacherServer() as server:
        given = teacher(server, None, audio="wav", concurrency=1)
        for stage in (captions, synthesize):
            songs.run_stage(stage.STAGE, {**songs.params(stage.STAGE.name), "teacher": given}, root)
        reader = {"kind": "teacher", "teacher": given, "tries": 1, "min_right_fraction": 0.9, "max_p": 0.05, "seed": 1}
        judge = {"teacher": given, "min_score": 1.0, "fraction": 1.0, "max_audio_s": 5.0, "seed": 1}
        rules = songs.params("validate")
        expected = {**rules["expected"], "min_kept_fraction": 0.0, "min_questions": 0.0}
        songs.run_stage(validate.STAGE, {**rules, "text_only": reader, "judge": judge, "expected": expected}, root)
        write_about(track, facts, given)
    return server.bodies


def write_about(track: Track, facts: Facts, given: dict) -> None:
    """Rate a question, write its chain and mend a step, by the same teacher."""
    config = SynthesizeConfig.model_validate_json(json.dumps(songs.params("synthesize")))
    written = write_track(config, open_teacher(config.teacher), track, facts, [])
    audible = [e for e in written if e.family in FAMILIES]
    example = next(e for e in audible if e.family == "tempo_class")
    heard = {e.family: OptionProbabilities(dict.fromkeys(e.options, 0.1) | {e.answer: 0.8}) for e in audible}
    asking = open_teacher(OpenAICompatibleConfig.model_validate_json(json.dumps(given)))
    rate(asking, example, facts, 1)
    topic = Topic(example, facts, audible, heard, "teacher_choice")
    part = SoundPart(start_s=0.0, end_s=4.0, drums=3.0, chords=3.0, decaying=3.0)
    heard_there = facts.model_copy(update={"sound": facts.sound.model_copy(update={"parts": [part]})})
    timed = replace(topic, facts=heard_there)
    write_chain(Manner("short", LIMITS, 1, name_seconds=True), asking, timed, None)
    chain = write_chain(Manner("short", LIMITS, 1), asking, topic, None)
    step = next(step for step in chain.steps if step.family == "tempo_class")
    mend(asking, step, Doubt(0.1, "slow", 0.9, 0.8), track.id, "short", facts, 1)
    asking.close()


def test_no_body_names_the_recording(asked):
    assert not [(read_call(body).prompt_id, found) for body in asked if (found := speaks(sent(body)))]


def test_the_bodies_are_of_every_prompt_that_speaks_of_a_recording(asked):
    assert set(WRITERS) - {read_call(body).prompt_id for body in asked} <= {"distractors"}


def test_a_transcription_server_is_sent_sound_alone():
    track = songs.make_track(TRACK_ID, "zweiwerk", **TELLING)
    with serving([Answer.of({"language": "en", "text": "swing low sweet chariot"})]) as server:
        endpoint = {"base_url": server.base_url, "api_key_env": None, "timeout_s": 5.0, "max_tries": 1}
        lyrics = EndpointLyrics(
            endpoint=Endpoint.model_validate(endpoint | {"first_wait_s": 0.0, "max_wait_s": 0.01}),
            model="ear-1",
            revision="r1",
            window_s=60.0,
            overlap_s=3.0,
            assumed_confidence=0.5,
            rules=LyricsRules(line_pause_s=1.0, min_confidence=0.3),
            seed=0,
        )
        lyrics.read(track, Signal(np.full(6 * RATE_HZ, 0.1, np.float32)), None)
    assert [speaks(request.body) for request in server.asked] == [[]]
    assert [speaks(json.dumps(dict(request.headers)).encode()) for request in server.asked] == [[]]
