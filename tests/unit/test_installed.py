"""The package outside of a checkout: what pip installs with it is enough for `mf`."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from music_flamingo.cli import main
from music_flamingo.runs import workspace

ROOT = Path(__file__).resolve().parents[2]
DATA_FILES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["data-files"]


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """What pip puts below share/, in a folder of its own; the working directory is outside of any checkout."""
    home = tmp_path / "venv/share/music-flamingo"
    for folder, patterns in DATA_FILES.items():
        for pattern in patterns:
            for source in ROOT.glob(pattern):
                target = tmp_path / "venv" / folder / source.name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(source.read_bytes())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setattr(workspace, "__file__", str(tmp_path / "lib/site-packages/music_flamingo/runs/workspace.py"))
    monkeypatch.setattr(workspace.sysconfig, "get_path", lambda name: str(tmp_path / "venv"))
    return home


def test_parameters_and_profiles_come_from_what_pip_installed(installed, capsys):
    assert workspace.repository() == installed
    assert main(["params", "facts", "--profile", "permissive"]) == 0
    assert "kind: librosa" in capsys.readouterr().out


def test_every_component_and_pipeline_is_installed(installed):
    wanted = {p.relative_to(ROOT) for top in ("components", "pipelines") for p in (ROOT / top).rglob("*.py")}
    wanted |= {p.relative_to(ROOT) for p in (ROOT / "pipelines/profiles").glob("*.yaml")}
    assert {p for p in wanted if not (installed / p).is_file()} == set()


def test_a_run_lies_below_the_working_directory_and_is_a_dvc_repository_of_its_own(installed, tmp_path):
    folder = workspace._default_workspace(installed, ("smoke",), None, ())
    assert folder == tmp_path / "elsewhere/runs/smoke"
    workspace.prepare(installed, folder, ("smoke",), ())
    done = subprocess.run([sys.executable, "-m", "dvc", "root"], cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "."), done.stderr
