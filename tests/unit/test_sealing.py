"""What changes while a stage runs is not sealed; what DVC takes for done and manifests deny runs again."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from music_flamingo import cli, stages
from music_flamingo.core.manifest import MANIFEST_NAME, PROGRESS_NAME, finished_key
from music_flamingo.core.params import load_params, stage_json
from music_flamingo.core.ports import Folder, OutputFolder
from music_flamingo.core.stage import Metrics, Stage, StageConfig, execute
from music_flamingo.core.unchanged import ChangedWhileRunningError
from music_flamingo.runs import identity_files

ROOT = Path(__file__).resolve().parents[2]
SMOKE = ROOT / "pipelines/profiles/smoke.yaml"


class NoteConfig(StageConfig):
    text: str


def write(config: NoteConfig, note: OutputFolder) -> Metrics:
    (note.root / "note.txt").write_text(config.text)
    return {}


NOTE = Stage("note", NoteConfig, {}, {"note": Folder}, write)
CONFIG = json.dumps({"text": "la"})


def test_parameters_that_changed_while_a_stage_ran_keep_it_from_being_sealed(tmp_path):
    out = {"note": tmp_path / "note"}
    with pytest.raises(ChangedWhileRunningError, match=r"`note` is not sealed: .*its parameters changed \(text\)"):
        execute(NOTE, CONFIG, {}, out, config_now=lambda: json.dumps({"text": "lu"}))
    assert finished_key(tmp_path / "note") is None
    assert (tmp_path / "note" / PROGRESS_NAME).is_file(), "what was made with the old parameters is theirs still"
    assert execute(NOTE, CONFIG, {}, out, config_now=lambda: CONFIG)


def test_parameters_of_other_stages_may_change_meanwhile(tmp_path):
    texts = iter([CONFIG])
    assert execute(NOTE, CONFIG, {}, {"note": tmp_path / "note"}, config_now=lambda: next(texts))


def test_a_parameter_file_that_became_unreadable_is_named(tmp_path):
    with pytest.raises(ChangedWhileRunningError, match="its parameters became unreadable: stage `note` cannot use"):
        execute(NOTE, CONFIG, {}, {"note": tmp_path / "note"}, config_now=lambda: '{"words": 1}')


PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, {folder!r})
import room
from music_flamingo.core.stage import execute
execute(room.ROOM, "{{}}", {{}}, {{"note": Path({folder!r}) / "data/note"}})
"""
ROOM = """
import os
from pathlib import Path
from music_flamingo.core.ports import Folder
from music_flamingo.core.stage import Stage, StageConfig

class Nothing(StageConfig): pass

WORD = "la"

def run(config, note):
    (note.root / "note.txt").write_text(WORD)
    file = Path(__file__)
    before = file.read_text()
    if os.environ.get("EDIT"):
        file.write_text(before.replace('WORD = "la"', 'WORD = "lu"'))
    if os.environ.get("EDIT") == "and back":
        file.write_text(before)
    return {}

ROOM = Stage("room", Nothing, {}, {"note": Folder}, run)
"""


@pytest.mark.parametrize("edit", ["", "once", "and back"])
def test_code_that_was_written_while_a_stage_ran_keeps_it_from_being_sealed(tmp_path, edit):
    (tmp_path / "room.py").write_text(ROOM)
    program = [sys.executable, "-c", PROGRAM.format(folder=str(tmp_path))]
    done = subprocess.run(program, capture_output=True, text=True, env={**os.environ, "EDIT": edit})
    port = tmp_path / "data/note"
    assert (port / MANIFEST_NAME).is_file() == (edit == "")
    if edit:
        assert "stage `room` is not sealed: while it ran, code that its result depends on was written" in done.stderr
        assert "room.py" in done.stderr
        assert not (port / PROGRESS_NAME).exists(), "nobody knows which code made them: the next run begins anew"


def test_mf_run_says_so_and_ends_with_a_status_of_its_own(tmp_path, monkeypatch, capsys):
    params = tmp_path / "params.yaml"
    params.write_text(yaml.safe_dump(load_params(ROOT / "params.yaml", (SMOKE,), ("speech.workers=1",))))
    speech = stages.load("speech")

    def edited(*arguments, **ports):
        changed = yaml.safe_load(params.read_text())
        changed["speech"]["shard_size"] = 7
        params.write_text(yaml.safe_dump(changed))
        return {}

    # under the name of the real one: the closure is that of the stage
    edited.__module__, edited.__qualname__ = speech.run.__module__, "run"
    monkeypatch.setattr(stages, "load", lambda name: Stage("speech", speech.config, {}, speech.outputs, edited))
    status = cli.main(["run", "speech", "--params", str(params), "--data", str(tmp_path / "data")])
    assert status == 3
    assert "stage `speech` is not sealed: while it ran, its parameters changed (shard_size)" in capsys.readouterr().err
    assert finished_key(tmp_path / "data/speech") is None


@pytest.fixture
def workspace(tmp_path) -> Path:
    """A data folder in which `speech` is done, for manifests and for dvc.lock."""
    params = load_params(ROOT / "params.yaml", (SMOKE,))
    stage = stages.load("speech")
    data = tmp_path / "data"

    def nothing(config, speech):
        return {}

    nothing.__module__, nothing.__qualname__ = stage.run.__module__, "run"
    same = Stage("speech", stage.config, {}, stage.outputs, nothing)
    execute(same, stage_json(params, "speech"), {}, {"speech": data / "speech"})
    identity_files.settle(stage, data)
    lock(tmp_path, params)
    return tmp_path


def lock(folder: Path, params) -> None:
    file = folder / "data/_identity/speech.json"
    md5 = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
    entry = {
        "deps": [{"path": "data/_identity/speech.json", "md5": md5}],
        "params": {"params.yaml": {"speech": params["speech"]}},
    }
    (folder / "dvc.lock").write_text(yaml.safe_dump({"stages": {"speech": entry}}))


def test_what_lock_and_manifests_agree_about_is_left_alone(workspace):
    params = load_params(ROOT / "params.yaml", (SMOKE,))
    file = workspace / "data/_identity/speech.json"
    before = file.read_text()
    assert identity_files.write_all(workspace / "data", params) == []
    assert file.read_text() == before


def test_a_lock_with_other_parameters_than_made_the_ports_is_answered_by_a_rerun(workspace):
    params = load_params(ROOT / "params.yaml", (SMOKE,), ("speech.shard_size=7",))
    lock(workspace, params)
    file = workspace / "data/_identity/speech.json"
    before = file.read_text()
    assert identity_files.write_all(workspace / "data", params) == ["speech"]
    assert file.read_text() != before, "DVC sees the difference and runs the stage"
    identity_files.settle(stages.load("speech"), workspace / "data")
    assert file.read_text() == before


def test_parameters_that_dvc_has_not_run_yet_are_dvcs_to_notice(workspace):
    params = load_params(ROOT / "params.yaml", (SMOKE,), ("speech.shard_size=7",))
    assert identity_files.write_all(workspace / "data", params) == []


def test_the_files_for_dvc_are_written_whatever_is_missing(tmp_path):
    identity_files.write_all(tmp_path / "data", load_params(ROOT / "params.yaml"))
    found = {path.stem for path in (tmp_path / "data/_identity").iterdir()}
    assert found == set(stages.ORDER)


class ListedConfig(StageConfig):
    folder: str

    def identity(self) -> dict[str, object]:
        return {"listing_sha256": sorted(p.name for p in Path(self.folder).iterdir())}


def listing_stage(changes: int) -> Stage:
    """Copies a listing, into which others put so many songs while it is read."""
    left = list(range(changes))

    def read(config: ListedConfig, note: OutputFolder) -> Metrics:
        names = sorted(p.name for p in Path(config.folder).iterdir())
        if left:
            (Path(config.folder) / f"late {left.pop()}").touch()
        (note.root / "note.txt").write_text(", ".join(names))
        return {}

    return Stage("note", ListedConfig, {}, {"note": Folder}, read)


@pytest.mark.parametrize("changes", [1, 2])
def test_a_folder_that_changes_while_it_is_read_is_read_again(tmp_path, changes):
    (tmp_path / "songs").mkdir()
    config = json.dumps({"folder": str(tmp_path / "songs")})
    assert execute(listing_stage(changes), config, {}, {"note": tmp_path / "note"})
    assert (tmp_path / "note/note.txt").read_text().count("late") == changes


def test_a_folder_that_never_rests_is_not_sealed_and_says_why(tmp_path):
    (tmp_path / "songs").mkdir()
    config = json.dumps({"folder": str(tmp_path / "songs")})
    with pytest.raises(ChangedWhileRunningError, match="songs that it reads came, went or changed"):
        execute(listing_stage(9), config, {}, {"note": tmp_path / "note"})
