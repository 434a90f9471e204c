"""The command line: light to start, plain in its errors, and its workspaces."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from music_flamingo import cli, stages
from music_flamingo.core.errors import UserError
from music_flamingo.core.manifest import Manifest, begin, complete
from music_flamingo.runs.workspace import prepare, profile_path

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "transformers", "kfp", "pydantic", "pyarrow", "librosa", "numpy")


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom music_flamingo import cli\n"
        "try:\n    cli.main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"sys.exit(any(m in sys.modules for m in {HEAVY}))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


@pytest.mark.parametrize("name", stages.ORDER)
def test_loading_a_stage_imports_no_heavy_library(name):
    heavy = ("torch", "transformers", "librosa", "essentia", "madmom", "music21", "great_expectations", "kfp", "scipy")
    code = (
        f"import sys\nfrom music_flamingo import stages\nstages.load({name!r})\n"
        f"found = [m for m in {heavy} if m in sys.modules]\nprint(found)\nsys.exit(bool(found))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_reader_that_has_enough_ends_a_command_without_noise():
    command = [sys.executable, "-m", "music_flamingo.cli", "plan", "h200"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(60) == 128 + signal.SIGPIPE


def test_an_unknown_stage_is_answered_with_the_list(capsys):
    assert cli.main(["run", "fact"]) == 2
    assert "there is no stage `fact`. Stages: ingest, facts" in capsys.readouterr().err


def test_every_help_opens_with_a_command_that_runs(capsys):
    for command in ("run", "repro", "stages", "params", "verify", "serve", "ask"):
        with pytest.raises(SystemExit):
            cli.main([command, "--help"])
        text = capsys.readouterr().out
        example = text.split("\n\n")[1]
        assert example.startswith(f"mf {command}"), example


def test_a_missing_source_folder_is_named_with_the_remedy(capsys, tmp_path):
    assert cli.main(["repro", "--source", str(tmp_path / "no")]) == 2
    assert "Give a folder of wav, flac, mp3" in capsys.readouterr().err


def seal(port: Path) -> None:
    """A finished port without files."""
    empty = {"key": "k", "config": {}, "inputs": {}, "files": (), "num_records": None, "status": {}, "metrics": {}}
    complete(port, Manifest(stage="ingest", port=port.name, record="folder", digest="d" * 64, **empty))


def test_verifying_nothing_is_no_success(capsys, tmp_path):
    assert cli.main(["verify", "--data", str(tmp_path)]) == 2
    assert f"{tmp_path} holds no finished port: nothing was verified" in capsys.readouterr().err


def test_verify_names_the_ports_that_are_unfinished(capsys, tmp_path):
    seal(tmp_path / "truth")
    begin(tmp_path / "tracks", "k")
    assert cli.main(["verify", "--data", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == ["dddddddddddddddd  truth", "unfinished        tracks"]


def test_a_store_without_measurements_says_so(capsys, tmp_path):
    assert cli.main(["measurements", "--data", str(tmp_path)]) == 0
    assert "holds no measurements" in capsys.readouterr().out


@pytest.mark.parametrize(("place", "said"), [("no.parquet", "is not there"), ("empty", "holds no facts")])
def test_facts_that_are_not_there_are_named_before_any_record_is_checked(capsys, tmp_path, place, said):
    (tmp_path / "empty").mkdir()
    (tmp_path / "records.jsonl").write_text('{"text": "A song."}')
    assert cli.main(["check", str(tmp_path / place), str(tmp_path / "records.jsonl")]) == 2
    words = capsys.readouterr().err
    assert f"{tmp_path / place} {said}. Give the port of the stage `facts`" in words


def test_another_port_is_not_taken_for_facts(capsys, tmp_path):
    seal(tmp_path / "tracks")
    assert cli.main(["check", str(tmp_path / "tracks"), str(tmp_path / "records.jsonl")]) == 2
    assert "holds `tracks`, not facts" in capsys.readouterr().err


def test_an_unknown_profile_is_answered_with_the_list():
    with pytest.raises(UserError, match=r"no profile `huge`.*smoke"):
        profile_path("huge")


def test_a_workspace_has_the_graph_with_its_own_parameters_and_songs(tmp_path):
    folder, songs = ROOT / "runs" / "test-workspace", tmp_path / "songs"
    songs.mkdir()
    try:
        prepare(ROOT, folder, (), ("sft.seed=77", f"ingest.source={{kind: audio_folder, path: {songs}}}"))
        assert yaml.safe_load((folder / "params.yaml").read_text())["sft"]["seed"] == 77
        graph = yaml.safe_load((folder / "dvc.yaml").read_text())["stages"]
        deps = [d for name, entry in graph.items() if name != "identity" for d in entry["deps"]]
        assert {d for d in deps if not d.startswith("data/")} == {"songs.yaml"}
    finally:
        for path in sorted(folder.glob("*")):
            path.unlink()
        folder.rmdir()
