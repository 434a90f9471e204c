"""kill -9 while recordings are measured: at most the one in hand is measured again, and the result is the same."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import sounds
from support.hostile_folder import wav

from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.params import load_params, merge

pytestmark = [pytest.mark.reliability]

ROOT = Path(__file__).resolve().parents[2]
NUM_SONGS = 6
CHILD = """
import json, sys, time
from pathlib import Path
from music_flamingo.audio import measurements
from music_flamingo.core.stage import execute
from music_flamingo.stages import facts, ingest

data, log, stage = Path(sys.argv[1]), Path(sys.argv[2]), {"ingest": ingest, "facts": facts}[sys.argv[3]].STAGE
hear, measure = measurements.hear, facts.measure

def noted(name):
    with log.open("a") as file:
        file.write(name + "\\n")
    time.sleep(0.1)

def noted_hear(path, limits):
    noted(path.name)
    return hear(path, limits)

def noted_measure(track, signal, tools):
    noted(track.id)
    return measure(track, signal, tools)

measurements.hear, facts.measure = noted_hear, noted_measure
execute(stage, sys.stdin.read(), {p: data / p for p in stage.inputs}, {p: data / p for p in stage.outputs})
"""


def configs(songs: Path) -> dict[str, str]:
    params = load_params(ROOT / "params.yaml")
    source = {"kind": "audio_folder", "path": str(songs)}
    kept = {n: params["facts"][n] for n in ("limits", "trust", "not_music", "dynamics")}
    return {
        "ingest": json.dumps(merge(params["ingest"], {"source": source, "workers": 1})),
        "facts": json.dumps(dict.fromkeys(params["facts"]) | kept | {"workers": 1}),
    }


def start(stage: str, songs: Path, data: Path, log: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", CHILD, str(data), str(log), stage]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert child.stdin is not None
    child.stdin.write(configs(songs)[stage])
    child.stdin.close()
    return child


def lines(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


@pytest.mark.timeout(300)
@pytest.mark.parametrize("stage", ["ingest", "facts"])
def test_a_stage_killed_again_and_again_measures_the_recording_in_hand_alone_once_more(tmp_path, stage):
    songs, data, log = tmp_path / "songs", tmp_path / "data", tmp_path / "log"
    songs.mkdir()
    for seed in range(NUM_SONGS):
        (songs / f"{seed}.wav").write_bytes(wav(sounds.tune(3.0, seed)))
    if stage == "facts":
        assert start("ingest", songs, data, tmp_path / "other").wait() == 0
    for count in (2, 3, 5):
        child = start(stage, songs, data, log)
        while len(lines(log)) < count and child.poll() is None:
            time.sleep(0.01)
        os.kill(child.pid, signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    assert start(stage, songs, data, log).wait() == 0
    measured = lines(log)
    assert len(set(measured)) == NUM_SONGS
    assert len(measured) <= NUM_SONGS + 3  # one for each kill
    fresh = tmp_path / "fresh"
    for name in ("ingest", "facts")[: 2 if stage == "facts" else 1]:
        assert start(name, songs, fresh, tmp_path / "other").wait() == 0
    port = {"ingest": "tracks", "facts": "facts"}[stage]
    assert read_manifest(data / port).digest == read_manifest(fresh / port).digest
