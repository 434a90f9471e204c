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
from support import hostile_folder, sounds

from music_flamingo.core.errors import MissingInputError
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.params import load_params, merge
from music_flamingo.core.ports import Table
from music_flamingo.core.stage import execute
from music_flamingo.records import Track
from music_flamingo.stages import facts, ingest

pytestmark = [pytest.mark.reliability]

ROOT = Path(__file__).resolve().parents[2]
MAX_RSS_BYTES = 1.5e9
CHILD = """
import json, re, sys
from pathlib import Path
from music_flamingo.core.stage import execute
from music_flamingo.stages.ingest import STAGE
execute(STAGE, sys.stdin.read(), {}, {p: Path(sys.argv[1]) / p for p in STAGE.outputs})
# not ru_maxrss: it begins at what the process had that started this one
print(1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]))
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


def only(facts_config: dict, *measured: str) -> dict:
    """The parameters of facts that measure these facts and no other."""
    kept = ("trust", "not_music", "limits", *measured)
    return dict.fromkeys(facts_config) | {name: facts_config[name] for name in kept} | {"workers": 1}


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


@pytest.mark.parametrize("change", ["removed", "replaced"])
def test_a_song_that_goes_or_changes_before_facts_is_a_record_and_the_others_go_on(tmp_path, change):
    facts_config = load_params(ROOT / "params.yaml", (ROOT / "pipelines/profiles/permissive.yaml",))["facts"]
    for seed in (1, 2):
        (tmp_path / "songs").mkdir(exist_ok=True)
        (tmp_path / f"songs/{seed}.wav").write_bytes(hostile_folder.wav(sounds.tune(4.0, seed)))
    changes = {"source": {"kind": "audio_folder", "path": str(tmp_path / "songs")}, "workers": 1}
    config = json.dumps(merge(load_params(ROOT / "params.yaml")["ingest"], changes))
    ports = {p: tmp_path / p for p in ("tracks", "truth", "originals", "facts")}
    execute(ingest.STAGE, config, {}, {p: ports[p] for p in ingest.STAGE.outputs})
    if change == "removed":
        (tmp_path / "songs/1.wav").unlink()
    else:
        (tmp_path / "songs/1.wav").write_bytes(hostile_folder.wav(sounds.tune(4.0, 3)))
    small = only(facts_config, "dynamics")
    inputs = {p: ports[p] for p in facts.STAGE.inputs}
    execute(facts.STAGE, json.dumps(small), inputs, {"facts": ports["facts"]})
    found = read_manifest(ports["facts"]).status
    assert found == {"ok": 1, "quarantined:original_" + ("missing" if change == "removed" else "changed"): 1}


def test_facts_ends_where_not_one_original_is_there(tmp_path):
    (tmp_path / "songs").mkdir()
    for seed in (1, 2):
        (tmp_path / f"songs/{seed}.wav").write_bytes(hostile_folder.wav(sounds.tune(4.0, seed)))
    changes = {"source": {"kind": "audio_folder", "path": str(tmp_path / "songs")}, "workers": 1}
    params = load_params(ROOT / "params.yaml")
    execute(
        ingest.STAGE, json.dumps(merge(params["ingest"], changes)), {}, {p: tmp_path / p for p in ingest.STAGE.outputs}
    )
    for path in (tmp_path / "songs").iterdir():
        path.unlink()
    config = json.dumps(only(params["facts"]))
    with pytest.raises(MissingInputError, match="none of the 2 original"):
        execute(facts.STAGE, config, {p: tmp_path / p for p in facts.STAGE.inputs}, {"facts": tmp_path / "facts"})
