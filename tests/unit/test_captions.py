"""captions: windows that cover a track, one caption each, whatever interrupts the stage."""

import random

import pytest
from support import songs

from music_flamingo.audio.windows import tile
from music_flamingo.core.ports import Table
from music_flamingo.core.shards import shard_path
from music_flamingo.records import Caption, Facts, Track
from music_flamingo.stages.captions import STAGE
from music_flamingo.teachers.payloads import WindowPayload
from music_flamingo.teachers.scripted.short import write_initial_caption


@pytest.mark.parametrize(
    ("duration_s", "expected"),
    [
        (12.0, [(0.0, 12.0)]),
        (60.0, [(0.0, 30.0), (30.0, 60.0)]),
        (75.0, [(0.0, 30.0), (30.0, 60.0), (60.0, 75.0)]),
        (62.9, [(0.0, 30.0), (30.0, 62.9)]),
        (63.0, [(0.0, 30.0), (30.0, 60.0), (60.0, 63.0)]),
    ],
)
def test_windows_cover_a_track_and_a_short_rest_joins_the_last(duration_s, expected):
    assert list(tile(duration_s, window_s=30.0, min_last_s=3.0)) == expected


@pytest.fixture
def data(tmp_path):
    tracks = [[songs.make_track("w1/0", duration_s=75.0), songs.make_track("w1/1")], [songs.make_track("w2/0", "w2")]]
    bad = songs.make_track("w3/0", "w3").quarantined("silent")
    songs.write_port(tmp_path / "tracks", Track, [tracks[0], [*tracks[1], bad]])
    facts = [[songs.make_facts("w1/0")], [songs.make_facts("w2/0", "w2")]]
    songs.write_port(tmp_path / "facts", Facts, facts)
    return tmp_path


def test_every_track_with_facts_is_described_in_its_own_shard(data):
    manifest = songs.run_stage(STAGE, songs.params("captions"), data)["captions"]
    captions = Table(data / "captions", Caption, manifest)
    assert [[c.id for c in captions.read_shard(k)] for k in (0, 1)] == [["w1/0/0", "w1/0/1", "w1/0/2"], ["w2/0/0"]]
    assert {c.teacher.kind for c in captions} == {"scripted"}
    assert manifest.metrics == {"teacher": "scripted", "tracks_without_facts": 1}


def test_an_interrupted_run_goes_on_and_gives_the_same_digest(data):
    config = songs.params("captions")
    whole = songs.run_stage(STAGE, config, data)["captions"]
    (data / "captions" / "_manifest.json").unlink()
    (data / "captions" / "_progress.json").write_text(f'{{"key": "{whole.key}"}}')
    before = shard_path(data / "captions", 0).stat().st_mtime_ns
    shard_path(data / "captions", 1).unlink()
    assert songs.run_stage(STAGE, config, data)["captions"].digest == whole.digest
    assert shard_path(data / "captions", 0).stat().st_mtime_ns == before, "a finished shard is not made again"


def test_drums_alone_play_along_with_nobody():
    heard = {"has_drums": True, "texture": None, "lead_envelope": None, "dynamics_trend": None}
    window = WindowPayload(track_id="w1/0", start_s=0.0, end_s=30.0, content="music", **heard)
    texts = {write_initial_caption(window, random.Random(seed)).text for seed in range(8)}
    assert texts == {"Drums are heard."}
    with_bass = window.model_copy(update={"instruments": ["bass"]})
    assert write_initial_caption(with_bass, random.Random(0)).text.startswith("Bass is heard and ")
