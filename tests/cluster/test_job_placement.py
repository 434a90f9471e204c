"""Training by jobs: compiled where the cluster has a shared volume, and counted by the dry run with all its nodes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from manifests.validation import violations
from music_flamingo.cluster.jobs import SHARED_PATH, JobSettings, StageJob, named
from music_flamingo.cluster.kinds import kind_of
from music_flamingo.cluster.workload import read_workload
from music_flamingo.core.params import load_params
from music_flamingo.runs.workspace import profile_path
from pipelines.jobs import BY_JOB
from pipelines.outline import read_outline
from pipelines.placement import HARDWARE

ROOT = Path(__file__).resolve().parents[2]
PAPER = HARDWARE["paper"]
NODES = {"sft": 16, "warmup": 16, "grpo": 8}
"""128 GPUs; GRPO's 64 questions of 5 answers are shared evenly by 64."""


@pytest.fixture(scope="module", params=["pytorchjob", "trainjob"])
def compiled(request, tmp_path_factory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("jobs")
    words = {"PROFILE": "paper", "JOB_CLAIM": "music-flamingo-runs", "JOB_KIND": request.param}
    script = "from pathlib import Path; from pipelines.__main__ import compile_one, music_flamingo; "
    script += f"compile_one(music_flamingo, Path({str(folder)!r}) / 'p.yaml')"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, env={**os.environ, **words}, check=True)
    return request.param, folder / "p.yaml"


def test_training_stages_launch_a_job_that_fits_its_schema_and_ask_for_little_themselves(compiled):
    kind, package = compiled
    spec, platform = yaml.safe_load_all(package.read_text())
    by_step = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    launching = set()
    for name, executor in spec["deploymentSpec"]["executors"].items():
        container, settings = executor["container"], by_step[name]
        env = {e["name"]: e["value"] for e in container.get("env", [])}
        if "MF_JOB" not in env:
            continue
        step = name.removeprefix("exec-")
        launching.add(step)
        job = JobSettings.model_validate_json(env["MF_JOB"])
        assert (job.kind, job.nodes, job.processes_per_node) == (kind, NODES[step], PAPER.gpus)
        jobs = kind_of(job)
        assert (
            violations(named(jobs.render(job, StageJob(step, "r", ())), StageJob(step, "r", ()), "music", None)) == []
        )
        assert "accelerator" not in container["resources"]
        assert [(m["pvcNameParameter"]["runtimeValue"]["constant"], m["mountPath"]) for m in settings["pvcMount"]] == [
            ("music-flamingo-runs", SHARED_PATH)
        ]
        [run] = settings["fieldPathAsEnv"]
        assert (run["name"], run["fieldPath"]) == ("MF_RUN_ID", "metadata.labels['pipeline/runid']")
    assert launching == set(BY_JOB)


def test_the_dry_run_counts_all_nodes_of_a_job(compiled):
    steps = {s.name: s for s in read_outline(compiled[1])}
    assert (steps["sft"].nodes, steps["sft"].gpus) == (16, 128)
    assert steps["sft"].cpus == pytest.approx(16 * float(PAPER.cpu) + 0.5)
    assert (steps["evaluate"].nodes, steps["evaluate"].gpus) == (0, PAPER.gpus)


def test_stages_that_several_processes_share_are_not_compiled_without_a_volume_for_their_job(tmp_path):
    script = "from pathlib import Path; from pipelines.__main__ import compile_one, music_flamingo; "
    script += f"compile_one(music_flamingo, Path({str(tmp_path)!r}) / 'p.yaml')"
    words = {**os.environ, "PROFILE": "paper"}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=words, capture_output=True, text=True)
    assert done.returncode != 0
    assert "set JOB_CLAIM" in done.stderr


def test_the_steps_of_a_profile_start_as_many_processes_as_its_parameters_share_the_work_over():
    """Placement against the parameters: a batch that the job's ranks cannot share, or ranks that nobody starts."""
    params = load_params(ROOT / "params.yaml", (profile_path("paper"),))
    assert params["backbone"]["hardware"]["parallel"]["kind"] == "single", "no job starts it"
    for step in BY_JOB:
        ranks = NODES[step] * PAPER.gpus
        stage = params[step]
        batch = stage["prompts_per_step"] * stage["num_generations"] if step == "grpo" else stage["batch_size"]
        assert batch % (ranks * stage["optimiser"]["accumulation"]) == 0, step


def test_jobs_and_steps_carry_the_queue_that_they_wait_in(tmp_path):
    words = {"PROFILE": "paper", "JOB_CLAIM": "music-flamingo-runs", "KUEUE_QUEUE": "music"}
    script = "from pathlib import Path; from pipelines.submit import compile_for; "
    script += f"compile_for('paper', Path({str(tmp_path)!r}))"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, env={**os.environ, **words}, check=True)
    package = tmp_path / "music-flamingo.yaml"
    assert {job.queue for job in read_workload(package).jobs.values()} == {"music"}
    _, platform = yaml.safe_load_all(package.read_text())
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values()
    assert all(e["podMetadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "music" for e in executors)
