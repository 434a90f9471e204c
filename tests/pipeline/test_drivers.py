"""DVC, `mf run` and kfp.local drive the same stages to the same bytes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from music_flamingo import stages
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.params import load_params

ROOT = Path(__file__).resolve().parents[2]
PORTS = [port for name in stages.ORDER for port in stages.load(name).outputs]
BRANCHES = 4
TINY = ROOT / "tests/pipeline/tiny.yaml"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def digests(folders: dict[str, Path]) -> dict[str, str]:
    return {port: read_manifest(folders[port]).digest for port in PORTS}


def run(arguments: list[str], cwd: Path) -> None:
    mf = str(Path(sys.executable).parent / "mf")
    done = subprocess.run([mf, *arguments], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:] + done.stdout[-4000:]


@pytest.fixture(scope="module")
def by_mf_run(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("mf")
    for name in stages.ORDER:
        run(["run", name, "--params", str(ROOT / "params.yaml"), "--profile", str(TINY)], cwd=folder)
    return digests({port: folder / "data" / port for port in PORTS})


def test_dvc_gives_the_digests_of_mf_run_and_a_second_run_does_nothing(by_mf_run):
    workspace = ROOT / "runs/test-drivers"
    subprocess.run(["rm", "-rf", str(workspace)], check=True)
    arguments = ["repro", "--profile", str(TINY), "--workspace", str(workspace)]
    run(arguments, cwd=ROOT)
    folders = {port: workspace / "data" / port for port in PORTS}
    assert digests(folders) == by_mf_run
    before = {port: (folders[port] / "_manifest.json").stat().st_mtime_ns for port in PORTS}
    run(arguments, cwd=ROOT)
    assert {port: (folders[port] / "_manifest.json").stat().st_mtime_ns for port in PORTS} == before
    subprocess.run(["rm", "-rf", str(workspace)], check=True)


def test_kfp_local_gives_the_digests_of_mf_run(by_mf_run, tmp_path):
    from kfp import local

    from pipelines.music_flamingo import music_flamingo

    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path), raise_on_error=True)
    params = load_params(ROOT / "params.yaml", (TINY,))
    music_flamingo(params=json.dumps(params), branches=BRANCHES)
    found = [path.parent for path in tmp_path.rglob("_manifest.json")]
    parts = [path for path in found if "iteration" in path.parents[1].name]
    assert len(parts) == BRANCHES * (len(stages.BRANCHED) + 1)  # and the first pass of `validate`
    assert digests({path.name: path for path in found if path not in parts}) == by_mf_run
