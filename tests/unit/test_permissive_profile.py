"""`--profile permissive`: no copyleft and no non-commercial tool, proven by what a run imports."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support import sounds

from music_flamingo import stages
from music_flamingo.core.hashing import PACKAGE_ROOT
from music_flamingo.core.licences import licences_of
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.params import load_params, stage_json
from music_flamingo.core.stage import parse_config
from music_flamingo.records import Facts, Track

ROOT = Path(__file__).resolve().parents[2]
PROFILE = ROOT / "pipelines/profiles/permissive.yaml"
FORBIDDEN = ("essentia", "madmom", "vamp", "chord_extractor")
RUN = """
import json, sys
from pathlib import Path
from music_flamingo import stages
from music_flamingo.core.params import load_params, stage_json
from music_flamingo.core.stage import execute

params_file, profile, songs, data = map(Path, sys.argv[1:])
one_process = ("ingest.workers=1", "facts.workers=1", f"ingest.source.path={songs}")
params = load_params(params_file, (profile,), one_process)
for name in ("ingest", "facts"):
    stage = stages.load(name)
    inputs, outputs = ({port: data / port for port in ports} for ports in (stage.inputs, stage.outputs))
    execute(stage, stage_json(params, name), inputs, outputs)
print(json.dumps(sorted({module.partition(".")[0] for module in sys.modules})))
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[set[str], Path]:
    """The packages that ingest and facts import under the profile, and the data they gave."""
    folder = tmp_path_factory.mktemp("permissive")
    for seed in (1, 2):
        path = folder / "songs" / f"song{seed}.flac"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(sounds.encode(sounds.tune(12.0, seed), "flac"))
    arguments = [str(ROOT / "params.yaml"), str(PROFILE), str(folder / "songs"), str(folder / "data")]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE_ROOT.parent)}
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return set(json.loads(done.stdout.splitlines()[-1])), folder / "data"


def test_ingest_and_facts_import_no_forbidden_tool(run: tuple[set[str], Path]) -> None:
    modules, _ = run
    assert {"librosa", "music_flamingo"} <= modules
    assert modules.isdisjoint(FORBIDDEN)


def test_the_facts_are_all_there_and_name_permissive_tools(run: tuple[set[str], Path]) -> None:
    from music_flamingo.core.manifest import read_manifest
    from music_flamingo.core.ports import Table

    _, data = run
    tracks = list(Table(data / "tracks", Track, read_manifest(data / "tracks")))
    assert len(tracks) == 2 and all(t.is_ok and t.fingerprint and t.fingerprint_kind == "chroma" for t in tracks)
    for facts in Table(data / "facts", Facts, read_manifest(data / "facts")):
        measured = (facts.beats, facts.tempo, facts.key, facts.chords, facts.sections, facts.dynamics, facts.sound)
        assert all(measured), facts.problems
        tools = " ".join(fact.tool for fact in measured if fact).lower()
        assert not any(name in tools for name in ("madmom", "essentia", "chordino"))


def test_the_facts_carry_the_licences_of_these_tools_alone(run: tuple[set[str], Path]) -> None:
    _, data = run
    carried = " ".join(f"{entry.tool} {entry.licence}" for entry in read_manifest(data / "facts").licences)
    assert "librosa" in carried and "ISC" in carried and "your recordings" in carried
    for word in ("GPL", "NC", "madmom", "essentia", "Chordino", "soundfont", "music21"):
        assert word not in carried


@pytest.mark.parametrize("name", ["ingest", "facts"])
def test_the_default_states_what_its_tools_ask_for(name: str) -> None:
    config = parse_config(stages.load(name), stage_json(load_params(ROOT / "params.yaml"), name))
    stated = " ".join(f"{entry.tool} {entry.licence}" for entry in licences_of(config))
    wanted = {"ingest": ("music21", "TimGM6mb", "AGPL"), "facts": ("CC BY-NC-SA", "Chordino", "AGPL")}
    assert all(word in stated for word in wanted[name])


def test_a_tool_that_is_not_chosen_is_not_stated() -> None:
    settings = ("facts.chords={kind: madmom}", "facts.opinions=null")
    config = parse_config(stages.load("facts"), stage_json(load_params(ROOT / "params.yaml", (), settings), "facts"))
    assert "Chordino" not in " ".join(entry.tool for entry in licences_of(config))


def test_the_profile_says_what_it_is_for() -> None:
    assert PROFILE.read_text().startswith("# No copyleft and no non-commercial tool")
    assert yaml.safe_load(PROFILE.read_text())["ingest"]["fingerprint"] == {"kind": "chroma"}
