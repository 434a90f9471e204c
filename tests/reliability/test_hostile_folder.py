"""A folder of strange files ends with exit 0, a record for each entry, and little memory: number 16 of what holds."""

import json
import os
import resource
import subprocess
import sys
from collections import Counter
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from support import hostile_folder

from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.params import load_params, merge
from music_flamingo.core.ports import Table
from music_flamingo.records import Track

pytestmark = [pytest.mark.reliability]

ROOT = Path(__file__).resolve().parents[2]
MAX_RSS_BYTES = 1.5e9
CHILD = """
import json, resource, sys
from pathlib import Path
from music_flamingo.core.stage import execute
from music_flamingo.stages.ingest import STAGE
execute(STAGE, sys.stdin.read(), {}, {p: Path(sys.argv[1]) / p for p in STAGE.outputs})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def reason(track: Track) -> str:
    return "ok" if track.is_ok else track.status.split(":")[1]


def by_name(tracks: Table[Track], root: Path) -> dict[bytes, str]:
    prefix = os.fsencode(root) + b"/"
    return {unquote_to_bytes(urlsplit(t.uri).path).removeprefix(prefix): reason(t) for t in tracks}


def read_tracks(data: Path) -> Table[Track]:
    return Table(data / "tracks", Track, read_manifest(data / "tracks"))


def test_every_entry_of_a_hostile_folder_becomes_a_record_with_its_reason_in_little_memory(tmp_path):
    expected = hostile_folder.build(tmp_path / "songs")
    assert len(expected) >= 80
    changes = {"source": {"kind": "audio_folder", "path": str(tmp_path / "songs")}, "workers": 1}
    config = json.dumps(merge(load_params(ROOT / "params.yaml")["ingest"], changes))
    command = [sys.executable, "-c", CHILD, str(tmp_path / "data")]
    done = subprocess.run(command, input=config, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stderr[-3000:]
    found = by_name(read_tracks(tmp_path / "data"), tmp_path / "songs")
    assert {n: (expected.get(n), r) for n, r in found.items() if r != expected.get(n)} == {}
    assert found.keys() == expected.keys()
    assert int(done.stdout) < MAX_RSS_BYTES


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_the_whole_pipeline_runs_on_a_hostile_folder(tmp_path):
    expected = hostile_folder.build(tmp_path / "songs, [all] {of them}")
    songs = tmp_path / "songs, [all] {of them}"
    command = [sys.executable, "-m", "music_flamingo.cli", "repro", "--profile", str(ROOT / "tests/pipeline/tiny.yaml")]
    command += ["--source", str(songs), "--workspace", str(tmp_path / "run")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stderr[-3000:]
    found = by_name(read_tracks(tmp_path / "run/data"), songs)
    assert len(found) == len(expected)
    print(Counter(found.values()).most_common())
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 < MAX_RSS_BYTES
