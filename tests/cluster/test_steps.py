"""A training step by a job: the same stage on the same ports, laid on a shared volume and fetched from it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.emulated_cluster import NAMESPACE, EmulatedCluster, Running, settings

from music_flamingo.cluster import api, steps
from music_flamingo.cluster.jobs import RESTARTS
from music_flamingo.core.errors import MissingInputError
from music_flamingo.core.manifest import MANIFEST_NAME, read_manifest
from music_flamingo.core.ports import Folder, InputFolder, OutputFolder
from music_flamingo.core.stage import Stage, StageConfig, execute

pytest_plugins = ("support.emulated_cluster",)
pytestmark = pytest.mark.timeout(60)


class CountConfig(StageConfig):
    rate: float
    steps: int


def count(config: CountConfig, before: InputFolder, after: OutputFolder) -> dict[str, int]:
    """Saves each step; dies on the second unless a step was saved before: a training stage in small."""
    saved = after.work / "saved"
    step = int(saved.read_text()) if saved.is_file() else 0
    while step < config.steps:
        step += 1
        saved.write_text(str(step))
        if os.environ.get("DIE_AT") == str(step):
            raise RuntimeError("killed")
    (after.root / "model.txt").write_text(f"{(before.root / 'model.txt').read_text()} {config.rate} {step}")
    return {"steps": step}


COUNT = Stage("count", CountConfig, {"before": Folder}, {"after": Folder}, count)
CONFIG = '{"rate": 1e-05, "steps": 3}'


@pytest.fixture
def before(tmp_path) -> Path:
    folder = tmp_path / "in" / "before"
    first = Stage("first", CountConfig, {}, {"before": Folder}, _first)
    execute(first, CONFIG, {}, {"before": folder})
    return folder


def _first(config: CountConfig, before: OutputFolder) -> dict[str, int]:
    (before.root / "model.txt").write_text("weights")
    return {}


def test_without_a_job_the_stage_runs_here(before, tmp_path, monkeypatch):
    monkeypatch.delenv(steps.JOB_VARIABLE, raising=False)
    steps.run_step(COUNT, CONFIG, {"before": before}, {"after": tmp_path / "out" / "after"})
    assert (tmp_path / "out/after/model.txt").read_text() == "weights 1e-05 3"


def test_the_folder_follows_the_work_and_parameters_keep_their_digits(before, tmp_path):
    folder = steps.lay_out(COUNT, CONFIG, {"before": before}, tmp_path / "shared")
    assert folder == steps.lay_out(COUNT, CONFIG, {"before": before}, tmp_path / "shared")
    assert folder != steps.lay_out(COUNT, CONFIG.replace("3", "4"), {"before": before}, tmp_path / "shared")
    from music_flamingo.core.params import load_params, stage_json
    from music_flamingo.core.stage import parse_config

    again = parse_config(COUNT, stage_json(load_params(folder / steps.PARAMS_NAME), "count"))
    assert again == parse_config(COUNT, CONFIG)


def test_an_unfinished_output_is_not_fetched(before, tmp_path):
    folder = steps.lay_out(COUNT, CONFIG, {"before": before}, tmp_path / "shared")
    with pytest.raises(MissingInputError, match="has not finished"):
        steps.fetch(folder, {"after": tmp_path / "out" / "after"})


def finished(before: Path, tmp_path: Path, config: str) -> Path:
    """A work's folder on the shared volume, done and fetched."""
    folder = steps.lay_out(COUNT, config, {"before": before}, tmp_path / "shared")
    execute(COUNT, config, {"before": folder / "before"}, {"after": folder / "after"})
    steps.fetch(folder, {"after": tmp_path / folder.name / "after"})
    return folder


def age(folder: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(folder / steps.FETCHED, (then, then))


def test_a_week_after_its_ports_were_fetched_a_folder_is_deleted_and_unfinished_ones_stay(before, tmp_path):
    configs = [CONFIG.replace("3", str(n)) for n in (3, 4, 5, 6)]
    old, again, recent = (finished(before, tmp_path, config) for config in configs[:3])
    unfinished = steps.lay_out(COUNT, configs[3], {"before": before}, tmp_path / "shared")
    for folder, seconds in ((old, steps.KEPT_S + 60), (again, steps.KEPT_S + 60), (recent, steps.KEPT_S - 60)):
        age(folder, seconds)
    halfway = tmp_path / "shared" / f"{steps.LEAVING}of-a-killed-sweep"
    halfway.mkdir()
    assert steps.lay_out(COUNT, configs[1], {"before": before}, tmp_path / "shared") == again, "wanted once more"
    steps.sweep(tmp_path / "shared")
    assert set((tmp_path / "shared").iterdir()) == {again, recent, unfinished}
    assert read_manifest(again / "after").digest == read_manifest(tmp_path / again.name / "after").digest


def by_real_work(die_at: int | None):
    """A fate that does what the job's first pod is told to do, in this process."""

    def fate(cluster: EmulatedCluster, running: Running) -> None:
        pods = [cluster.add_pod(running, i) for i in range(2)]
        cluster.tell_condition(running, "Running")
        spec = cluster.job(running.name)["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]
        arguments = spec["containers"][0]["args"]
        folder = Path(arguments[arguments.index("--data") + 1])
        os.environ["DIE_AT"] = str(die_at)
        try:
            execute(COUNT, CONFIG, {"before": folder / "before"}, {"after": folder / "after"})
        except RuntimeError:
            cluster.write(pods[0], f"died at step {die_at}")
            end = {"name": "pytorch", "image": "", "imageID": "", "ready": False, "restartCount": 0}
            terminated = {"exitCode": 137, "reason": "Error"}
            cluster.end_pod(pods[0], "Failed", containerStatuses=[{**end, "state": {"terminated": terminated}}])
            cluster.tell_condition(running, "Failed")
        else:
            cluster.write(pods[0], "done")
            cluster.end_pod(pods[0], "Succeeded")
            cluster.tell_condition(running, "Succeeded")
        cluster.logs[pods[1]].ended = True

    return fate


def test_a_killed_job_goes_on_from_its_checkpoint_to_the_same_digest(cluster, before, tmp_path, monkeypatch):
    monkeypatch.setenv(steps.JOB_VARIABLE, settings().model_dump_json())
    monkeypatch.setenv(steps.RUN_VARIABLE, "run-1")
    monkeypatch.setenv("NAMESPACE", NAMESPACE)
    monkeypatch.setattr(steps, "SHARED_PATH", str(tmp_path / "shared"))
    monkeypatch.setattr(api, "connect", lambda: cluster.api)
    monkeypatch.setenv("KFP_POD_NAME", "step-1")
    monkeypatch.setenv("KFP_POD_UID", "u-1")
    cluster.fates = [by_real_work(die_at=2), by_real_work(die_at=2), by_real_work(die_at=None)]
    steps.run_step(COUNT, CONFIG, {"before": before}, {"after": tmp_path / "out" / "after"})
    monkeypatch.delenv("DIE_AT")
    execute(COUNT, CONFIG, {"before": before}, {"after": tmp_path / "alone" / "after"})
    assert read_manifest(tmp_path / "out/after").digest == read_manifest(tmp_path / "alone/after").digest
    assert (tmp_path / "out/after" / MANIFEST_NAME).read_bytes() == (
        tmp_path / "alone/after" / MANIFEST_NAME
    ).read_bytes()
    job = cluster.job(cluster.starts[0])
    # saved at step 2, so the second start does not come by it again
    assert (len(cluster.starts), job["metadata"]["annotations"][RESTARTS]) == (2, "1")
    assert job["metadata"]["ownerReferences"][0]["uid"] == "u-1"
    (kept,) = (tmp_path / "shared").glob("*/rank0.log")
    assert kept.read_text() == "died at step 2\ndone\n"


def test_mf_leaves_its_last_words_where_a_job_finds_them(tmp_path):
    words = tmp_path / "termination-log"
    done = subprocess.run(
        [sys.executable, "-m", "music_flamingo.cli", "run", "facts", "--params", "nowhere.yaml"],
        env={**os.environ, "MF_TERMINATION_LOG": str(words)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert words.read_text().startswith("mf: nowhere.yaml does not exist")


@pytest.mark.slow
def test_torchrun_loses_the_exit_status_and_the_last_words_remain(tmp_path):
    """The very command that a job's container is given, with two processes on this machine."""
    words = tmp_path / "termination-log"
    folder = tmp_path / "no-such-work"
    arguments = [a.replace(str(folder / steps.PARAMS_NAME), "nowhere.yaml") for a in steps.command(COUNT, folder)]
    torchrun = Path(sys.executable).parent / "torchrun"
    done = subprocess.run(
        [torchrun, "--standalone", "--nproc-per-node=2", *arguments],
        env={**os.environ, "MF_TERMINATION_LOG": str(words)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert words.read_text().startswith("mf: ")
