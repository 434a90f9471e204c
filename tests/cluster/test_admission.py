"""Every pod that a pipeline, a job or a predictor makes is admitted by the namespace that the manifests make."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.emulated_cluster import settings

from manifests.validation.pods import pods_of, predictors
from manifests.validation.render import RenderError, command, overlays, render
from manifests.validation.restricted import restricted
from music_flamingo.cluster.admission import refusals
from music_flamingo.cluster.jobs import StageJob, named
from music_flamingo.cluster.kinds import kind_of
from music_flamingo.cluster.workload import Workload, job_pod, read_workload
from pipelines.placement import HARDWARE

ROOT = Path(__file__).resolve().parents[2]
DRIVER = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "500m", "memory": "64Mi"}}
PROFILES = {"": {}, "h200": {}, "paper": {"JOB_CLAIM": "music-flamingo-runs"}}
"""Of each placement one: placement.py gives all profiles without HARDWARE the same."""
ON_PROCESSORS = ("kind", "volume-release")
NAMES = [overlay.name for overlay in overlays()]


@pytest.fixture(scope="module")
def namespaces():
    """Overlay -> its resources."""
    try:
        command()
    except RenderError as error:
        pytest.skip(str(error))
    return {overlay.name: render(overlay) for overlay in overlays()}


@pytest.fixture(scope="module")
def workloads(tmp_path_factory):
    """Profile -> what its compiled pipeline makes."""
    found = {}
    for profile, words in PROFILES.items():
        folder = tmp_path_factory.mktemp("compiled")
        script = "from pathlib import Path; from pipelines.submit import compile_for; import sys;"
        script += "compile_for(sys.argv[1] or None, Path(sys.argv[2]))"
        arguments = [sys.executable, "-c", script, profile, str(folder)]
        subprocess.run(arguments, cwd=ROOT, env={**os.environ, **words}, check=True)
        found[profile] = read_workload(folder / "music-flamingo.yaml")
    return found


def refused_steps(workload: Workload, namespace: list) -> dict[str, list[str]]:
    found = {step.name: refusals(step.pod, namespace) for step in workload.steps}
    return {name: lines for name, lines in found.items() if lines}


@pytest.mark.parametrize("overlay", NAMES)
def test_no_step_of_any_profile_is_refused(namespaces, workloads, overlay):
    for profile in PROFILES:
        if profile in HARDWARE and overlay in ON_PROCESSORS:
            continue
        assert len(workloads[profile].steps) > 15
        assert refused_steps(workloads[profile], namespaces[overlay]) == {}, profile
    assert (
        refusals({"containers": [{"name": "wait"}, {"name": "main", "resources": DRIVER}]}, namespaces[overlay]) == []
    )


def test_a_default_limit_below_what_steps_ask_for_refuses_them_by_name(namespaces, workloads):
    namespace = copy.deepcopy(namespaces["kind"])
    limits = next(r for r in namespace if r["kind"] == "LimitRange")["spec"]["limits"]
    limits[0]["default"]["cpu"] = "1"
    refused = refused_steps(workloads[""], namespace)
    assert {"ingest", "sft", "grpo"} <= set(refused)
    assert "configure" not in refused
    assert refused["sft"] == ["main: requests.cpu 2: must be less than or equal to limit of 1"]


def test_steps_on_gpus_do_not_fit_a_namespace_without_them(namespaces, workloads):
    refused = refused_steps(workloads["h200"], namespaces["kind"])
    assert "quota requests.nvidia.com/gpu: the pod wants 1, the namespace has 0" in refused["sft"]


def test_a_quota_of_limits_refuses_a_container_that_says_none():
    quota = {"kind": "ResourceQuota", "spec": {"hard": {"limits.memory": "4Gi"}}}
    assert refusals({"containers": [{"name": "a"}]}, [quota]) == ["quota limits.memory: has to be said by a"]
    said = {"containers": [{"name": "a", "resources": {"limits": {"memory": "4Gi"}}}]}
    assert refusals(said, [quota]) == []


@pytest.mark.parametrize("kind", ["pytorchjob", "trainjob"])
def test_the_pods_of_every_job_are_admitted(namespaces, workloads, kind):
    jobs = workloads["paper"].jobs
    assert len(jobs) == 3
    for settled in jobs.values():
        asked = settled.model_copy(update={"kind": kind})
        work = StageJob("sft", "r", ())
        job = named(kind_of(asked).render(asked, work), work, "music-flamingo", None)
        for pods in pods_of(job):
            assert list(restricted(pods)) == []
        assert refusals(job_pod(asked), namespaces["production"]) == []


def test_a_job_that_no_node_of_the_quota_could_hold_is_refused(namespaces):
    asked = settings("pytorchjob", gpus_per_node=64, memory="4Ti")
    job = kind_of(asked).render(asked, StageJob("sft", "r", ()))
    lines = [line for pods in pods_of(job) for line in refusals(pods.spec, namespaces["production"])]
    assert any("requests.nvidia.com/gpu: the pod wants 64" in line for line in lines)


@pytest.mark.parametrize("overlay", NAMES)
def test_predictors_and_everything_that_an_overlay_starts_are_admitted(namespaces, overlay):
    resources = namespaces[overlay]
    runtimes = {r["metadata"]["name"]: r for r in resources if r["kind"] == "ServingRuntime"}
    tried = 0
    for resource in resources:
        served = list(predictors(resource, runtimes)) if resource["kind"] == "InferenceService" else None
        for pods in pods_of(resource) if served is None else served:
            if pods.is_whole and pods.spec.get("containers"):
                tried += 1
                assert refusals(pods.spec, resources) == [], resource["metadata"]["name"]
    assert tried >= 4
