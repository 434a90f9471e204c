"""Whole songs at the published grid: 15 minutes are trained on in one piece, and what exceeds 24k follows its rule."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from support import tiny_world as world
from support.songs import make_track, write_port

from music_flamingo.audio.flac import encode_flac
from music_flamingo.model.context import MARKS
from music_flamingo.records import Audio, Example, Reference, TeacherStamp, Track, Utterance

pytestmark = [pytest.mark.reliability, pytest.mark.slow]

TOKENS_A_SECOND = 25
CONTEXT = 24_000
SIZE = world.SIZE.model_copy(
    update={
        "width": 16,
        "feed_forward": 32,
        "heads": 2,
        "key_value_heads": 1,
        "fft_samples": 400,
        "hop_samples": 160,
        "window_s": 30,
        "max_audio_s": 1200,
        "context_tokens": CONTEXT,
    }
)
STAMP = TeacherStamp(kind="scripted", model="test", revision="1", prompt_id="none", prompt_sha256="0" * 64)


def song(name: str, seconds: float, hertz: float) -> Track:
    """A tone that swells and fades twice a minute."""
    time_s = np.arange(round(seconds * world.RATE_HZ)) / world.RATE_HZ
    samples = 0.3 * np.sin(2 * np.pi * hertz * time_s) * (0.6 + 0.4 * np.sin(2 * np.pi * time_s / 30))
    audio = Audio(bytes=encode_flac(samples.astype(np.float32)), path=f"{name}.flac")
    return make_track(name, f"work-{name}", audio=audio, duration_s=seconds)


def question(track: Track, answer: str, number: int = 0, at_s: tuple[float, float] | None = None) -> Example:
    references = [] if at_s is None else [Reference(kind="seconds", start_s=at_s[0], end_s=at_s[1], label=None)]
    return Example(
        id=f"{track.id}/tone/{number}",
        track_id=track.id,
        work_id=track.work_id,
        split="train",
        skill="attribute",
        type="multiple_choice",
        family="tone",
        question=world.QUESTION,
        options=list(world.OPTIONS),
        answer=answer,
        rationale="",
        references=references,
        structured=[],
        teacher=STAMP,
    )


def learn(data: Path, tracks: list[Track], examples: list[Example], **changes) -> tuple[list[dict], dict]:
    """(log, plan) of sft on these songs."""
    write_port(data / "tracks", Track, [tracks])
    write_port(data / "skills", Example, [examples])
    write_port(data / "speech", Utterance, [world.utterances()])
    model = {**world.CONFIGS["backbone"]["model"], "size": SIZE.model_dump()}
    world.run("backbone", data, model=model)
    settings = {
        "families": {"tone": 1.0},
        "windows": {"rule": "middle", "per_track": 1, "max_s": 1200.0},
        "packing": True,
        "checkpoint_every": 100,
        "optimiser": {**world.OPTIMISER, "learning_rate": 0.02},
    }
    world.run("sft", data, **{**settings, **changes})
    log = [json.loads(line) for line in (data / "sft_model" / "log.jsonl").read_text().splitlines()]
    return log, json.loads((data / "sft_model" / "plan.json").read_text())


def test_fifteen_minutes_are_learned_from_in_one_piece(tmp_path):
    tracks = [song("low", 900.0, 200.0), song("high", 900.0, 3000.0)]
    examples = [question(track, track.id) for track in tracks]
    log, plan = learn(tmp_path, tracks, examples, steps=6, batch_size=1, fill={"max_tokens": CONTEXT, "look_ahead": 2})
    assert plan["sources"]["skills"]["quarantined"] == {}
    assert plan["sources"]["skills"]["window_by_references"] == {}
    assert plan["lessons_per_row"] == 1
    heard = (1 - plan["padding_waste"]) * CONTEXT
    assert 900 * TOKENS_A_SECOND + MARKS < heard < 900 * TOKENS_A_SECOND + MARKS + 60, "sound, marks and a few words"
    losses = [line["loss"] for line in log]
    assert all(math.isfinite(loss) for loss in losses)
    assert losses[-1] < 0.8 * losses[0]


def test_twenty_minutes_are_heard_where_their_questions_point(tmp_path):
    """30,000 tokens do not fit: the window is the longest that does, around the seconds in question."""
    long, short = song("low", 1200.0, 200.0), song("high", 40.0, 3000.0)
    examples = [question(long, "low", at_s=(1150.0, 1160.0)), question(short, "high")]
    _, plan = learn(tmp_path, [long, short], examples, steps=2, batch_size=1)
    assert plan["sources"]["skills"]["window_by_references"] == {"longer_than_context": 1}
    assert plan["sources"]["skills"]["quarantined"] == {}


def test_twenty_minutes_are_set_aside_and_counted_where_windows_are_not_wanted(tmp_path):
    long, low, high = song("long", 1200.0, 200.0), song("low", 40.0, 210.0), song("high", 40.0, 3000.0)
    examples = [question(long, "low"), question(low, "low"), question(high, "high")]
    context = {"on_overflow": "quarantine", "whole_above": 0.95}
    _, plan = learn(tmp_path, [long, low, high], examples, steps=2, batch_size=1, context=context)
    assert plan["sources"]["skills"]["quarantined"] == {"longer_than_context": 1}
    assert plan["sources"]["skills"]["samples"] == 2
