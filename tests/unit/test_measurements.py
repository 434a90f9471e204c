"""What was measured of a recording is kept by its content: nothing is measured twice, and results stay the same."""

import json
import os
import time
from pathlib import Path

import pytest
from support import sounds
from support.hostile_folder import wav

from music_flamingo.audio import measurements
from music_flamingo.audio.measurements import RecordingMeasurements
from music_flamingo.core.hashing import PACKAGE_ROOT
from music_flamingo.core.identity import closure
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.measurements import FOLDER, MeasurementStore, kept_recipes, prune
from music_flamingo.core.params import load_params, merge
from music_flamingo.core.stage import execute
from music_flamingo.stages import facts, ingest

PARAMS = Path(__file__).parents[2] / "params.yaml"
SHA = "ab" * 32


def store(root: Path, **settings: object) -> MeasurementStore:
    return MeasurementStore.of(root, "tool", settings)


def test_what_is_put_is_got_again_by_another_process_and_under_no_other_key(tmp_path):
    store(tmp_path).put(b"found", SHA)
    assert store(tmp_path).get(SHA) == b"found"
    assert store(tmp_path).get("cd" * 32) is None
    assert store(tmp_path).get(SHA, "other words") is None
    assert store(tmp_path, window_s=2.0).get(SHA) is None


def test_other_versions_of_a_library_measure_again(tmp_path, monkeypatch):
    store(tmp_path).put(b"found", SHA)
    monkeypatch.setattr("music_flamingo.core.measurements._version", lambda name: "99")
    assert store(tmp_path).get(SHA) is None


def test_other_code_measures_again(tmp_path):
    one, other = (
        MeasurementStore.of(tmp_path, "tool", {}, root)
        for root in (measurements.measure_recording, measurements.known_or_measured)
    )
    one.put(b"found", SHA)
    assert one.get(SHA) == b"found" and other.get(SHA) is None


@pytest.mark.parametrize("damage", ["flipped", "cut", "emptied", "other"])
def test_what_is_damaged_counts_as_not_there_and_is_written_again(tmp_path, damage):
    kept = store(tmp_path)
    kept.put(b"found" * 100, SHA)
    [path] = [p for p in tmp_path.rglob("*") if p.is_file()]
    data = path.read_bytes()
    kept.put(b"another", "cd" * 32)
    [other] = [p for p in tmp_path.rglob("*") if p.is_file() and p != path]
    flipped = data[:200] + bytes([data[200] ^ 1]) + data[201:]
    path.write_bytes({"flipped": flipped, "cut": data[:-1], "emptied": b"", "other": other.read_bytes()}[damage])
    assert kept.get(SHA) is None
    kept.put(b"found" * 100, SHA)
    assert kept.get(SHA) == b"found" * 100


def test_nothing_is_kept_once_the_code_that_measures_was_written(tmp_path):
    source = tmp_path / "code.py"
    source.write_text("x = 1\n")
    kept = MeasurementStore(tmp_path / "kept", "recipe", {source: (1, 2, 3)})
    kept.put(b"found", SHA)
    assert kept.get(SHA) is None


def test_what_was_of_no_use_for_days_can_be_removed(tmp_path):
    kept = store(tmp_path)
    kept.put(b"old", SHA)
    kept.put(b"of use", "cd" * 32)
    long_ago = time.time() - 20 * 86400
    for path in tmp_path.rglob("*"):
        if path.is_file():
            os.utime(path, (long_ago, long_ago))
    assert kept.get("cd" * 32) == b"of use"
    assert [(r.count, round(r.idle_days)) for r in kept_recipes(tmp_path)] == [(2, 0)]
    assert prune(tmp_path, 10)[0] == 1
    assert kept.get(SHA) is None and kept.get("cd" * 32) == b"of use"
    assert prune(tmp_path, 0)[0] == 1 and list(tmp_path.iterdir()) == []


def test_measurements_come_back_as_they_were():
    odd = RecordingMeasurements(
        duration_s=0.1 + 0.2, fingerprint=[2**32 - 1, 0], tags={"title": "a\udcff \U0001f3b5\n"}, flac=b"\n\0fLaC\n"
    )
    for one in (odd, RecordingMeasurements(reason="silent", detail="silent: 0")):
        assert RecordingMeasurements.from_bytes(one.to_bytes()) == one


def ingest_config(songs: Path, **changes: object) -> str:
    source = {"kind": "audio_folder", "path": str(songs)}
    return json.dumps(merge(load_params(PARAMS)["ingest"], {"source": source, "workers": 1, **changes}))


def facts_config() -> str:
    params = load_params(PARAMS)["facts"]
    kept = {n: params[n] for n in ("limits", "trust", "not_music", "dynamics", "lyrics", "measurements")}
    return json.dumps(dict.fromkeys(params) | kept | {"workers": 1})


def run_both(songs: Path, data: Path, **changes: object) -> dict[str, str]:
    execute(ingest.STAGE, ingest_config(songs, **changes), {}, {p: data / p for p in ingest.STAGE.outputs})
    inputs = {p: data / p for p in facts.STAGE.inputs}
    execute(facts.STAGE, facts_config(), inputs, {"facts": data / "facts"})
    return {p: read_manifest(data / p).digest for p in ("tracks", "truth", "facts")}


@pytest.fixture
def counted(monkeypatch):
    """Names of the recordings that ingest measured, and how many facts did."""
    measured: list[str] = []
    hear, measure = measurements.hear, facts.measure
    monkeypatch.setattr(measurements, "hear", lambda path, limits: [measured.append(path.name), hear(path, limits)][1])
    monkeypatch.setattr(facts, "measure", lambda t, s, tools: [measured.append("facts"), measure(t, s, tools)][1])
    return measured


def make_songs(folder: Path, seeds: range) -> None:
    folder.mkdir(exist_ok=True)
    for seed in seeds:
        (folder / f"{seed}.wav").write_bytes(wav(sounds.tune(4.0, seed)))


def test_songs_that_come_go_and_are_renamed_cost_what_the_new_ones_cost_and_give_what_a_fresh_run_gives(
    tmp_path, counted
):
    songs = tmp_path / "songs"
    make_songs(songs, range(6))
    run_both(songs, tmp_path / "data")
    assert sorted(counted) == sorted([*(f"{n}.wav" for n in range(6)), *["facts"] * 6])
    counted.clear()
    (songs / "5.wav").unlink()
    (songs / "0.wav").rename(songs / "zz.wav")
    make_songs(songs, range(6, 8))
    found = run_both(songs, tmp_path / "data")
    assert sorted(counted) == ["6.wav", "7.wav", "facts", "facts"]
    assert found == run_both(songs, tmp_path / "fresh")


def test_a_bad_recording_is_looked_into_once(tmp_path, counted):
    songs = tmp_path / "songs"
    make_songs(songs, range(2))
    (songs / "zeros.wav").write_bytes(wav(sounds.tune(4.0, 1) * 0))
    run_both(songs, tmp_path / "data")
    counted.clear()
    make_songs(songs, range(2, 3))
    run_both(songs, tmp_path / "data")
    assert counted == ["2.wav", "facts"]
    assert read_manifest(tmp_path / "data/tracks").metrics["reasons"] == {"silent": 1}


def test_runs_may_share_a_folder_of_measurements_and_it_is_no_part_of_what_they_are(tmp_path, counted):
    make_songs(tmp_path / "songs", range(2))
    one = run_both(tmp_path / "songs", tmp_path / "one")
    counted.clear()
    other = run_both(tmp_path / "songs", tmp_path / "other", measurements=str(tmp_path / "one" / FOLDER))
    assert "0.wav" not in counted and one == other


def test_a_shard_ends_where_its_sound_takes_too_much(tmp_path, monkeypatch):
    make_songs(tmp_path / "songs", range(5))
    run_both(tmp_path / "songs", tmp_path / "one")
    monkeypatch.setattr(ingest, "SHARD_BYTES", 2 * 4 * 16000 * 2)
    run_both(tmp_path / "songs", tmp_path / "many")
    shards = [len(read_manifest(tmp_path / d / "tracks").shards) for d in ("one", "many")]
    assert shards[0] == 1 and 2 <= shards[1] <= 5
    assert read_manifest(tmp_path / "many/facts").num_records == 5


def test_the_recipe_of_ingest_is_of_the_code_that_measures_alone():
    reached = {module for module, _ in closure(measurements.measure_recording, RecordingMeasurements).definitions}
    assert {"music_flamingo.audio.decode", "music_flamingo.audio.loudness"} <= reached
    assert "music_flamingo.sources.admission" not in reached and PACKAGE_ROOT.is_dir()
