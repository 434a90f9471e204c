"""List what a compiled pipeline will create on a cluster: each step's pod, each job, and the names that they refer to.

Pods are built as Kubeflow Pipelines 2.17 builds them: Argo's helpers without resources, KFP's launcher with its own,
and the step's container with what the compiled pipeline says of it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from music_flamingo.cluster.jobs import JobSettings, Resource, StageJob, named
from music_flamingo.cluster.kinds import kind_of
from music_flamingo.cluster.steps import JOB_VARIABLE

LAUNCHER = {"requests": {"cpu": "100m"}, "limits": {"cpu": "500m", "memory": "128Mi"}}
REQUESTS = {"resourceCpuRequest": "cpu", "resourceMemoryRequest": "memory"}
LIMITS = {"resourceCpuLimit": "cpu", "resourceMemoryLimit": "memory"}


@dataclass(frozen=True)
class PlannedStep:
    """One step: its pod, and the job that it launches, if any."""

    name: str
    pod: Resource
    """A pod specification: containers with resources, node selector, tolerations."""
    secrets: frozenset[str] = frozenset()
    claims: frozenset[str] = frozenset()
    job: JobSettings | None = None

    def pods(self) -> Iterator[tuple[str, int, Resource]]:
        """(what it is, how many of it run at once, its specification)."""
        yield f"step {self.name}", 1, self.pod
        if self.job:
            yield f"job of {self.name}", self.job.nodes, job_pod(self.job)


@dataclass(frozen=True)
class Workload:
    """All steps of a pipeline."""

    steps: tuple[PlannedStep, ...]

    @property
    def jobs(self) -> dict[str, JobSettings]:
        """Step -> its job, of steps that have one."""
        return {step.name: step.job for step in self.steps if step.job}

    @property
    def secrets(self) -> list[str]:
        """Every secret that steps and jobs name."""
        of_jobs = {at.secret for job in self.jobs.values() for at in job.secrets.values()}
        return sorted(of_jobs.union(*(step.secrets for step in self.steps)))

    @property
    def claims(self) -> list[str]:
        """Every volume claim that steps and jobs mount."""
        return sorted({job.claim for job in self.jobs.values()}.union(*(step.claims for step in self.steps)))


def read_workload(package: Path) -> Workload:
    """The workload of a compiled pipeline (the YAML that `mf submit` uploads)."""
    spec, *platforms = yaml.safe_load_all(package.read_text())
    of_kubernetes = platforms[0]["platforms"]["kubernetes"]["deploymentSpec"]["executors"] if platforms else {}
    executors = spec["deploymentSpec"]["executors"]
    return Workload(
        tuple(
            _step(name, executor["container"], of_kubernetes.get(name, {}))
            for name, executor in sorted(executors.items())
            if "container" in executor
        )
    )


def step_pod(container: Mapping[str, Any], platform: Mapping[str, Any]) -> Resource:
    """The pod of a step, by its container and what the platform's part of the pipeline says of it."""
    said = container.get("resources", {})
    requests = {REQUESTS[key]: value for key, value in said.items() if key in REQUESTS}
    limits = {LIMITS[key]: value for key, value in said.items() if key in LIMITS}
    if accelerator := said.get("accelerator"):
        limits[accelerator["resourceType"]] = accelerator["resourceCount"]
    main = {"name": "main", "resources": {"requests": requests, "limits": limits}}
    return {
        "initContainers": [{"name": "init"}, {"name": "kfp-launcher", "resources": LAUNCHER}],
        "containers": [{"name": "wait"}, main],
        "nodeSelector": platform.get("nodeSelector", {}).get("labels", {}),
        "tolerations": platform.get("tolerations", []),
    }


def job_pod(job: JobSettings) -> Resource:
    """The specification of one of a job's pods, whichever kind it is."""
    rendered = kind_of(job).render(job, StageJob("stage", "run", ()))
    if job.kind == "pytorchjob":
        spec: Resource = rendered["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]
        return spec
    [part] = rendered["spec"]["runtimePatches"]
    [node] = part["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    pod = node["template"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    return {**pod, "containers": [{**container, "resources": rendered["spec"]["trainer"]["resourcesPerNode"]}]}


def trial_job(job: JobSettings, namespace: str) -> Resource:
    """The job as it would be created, to be asked for without being kept."""
    work = StageJob("doctor", "trial", ("--help",))
    return named(kind_of(job).render(job, work), work, namespace, None)


def _step(name: str, container: Mapping[str, Any], platform: Mapping[str, Any]) -> PlannedStep:
    found = [e["value"] for e in container.get("env", []) if e["name"] == JOB_VARIABLE]
    return PlannedStep(
        name=name.removeprefix("exec-"),
        pod=step_pod(container, platform),
        secrets=frozenset(_constant(s, "secretName", "secretNameParameter") for s in platform.get("secretAsEnv", [])),
        claims=frozenset(_constant(m, "constant", "pvcNameParameter") for m in platform.get("pvcMount", [])),
        job=JobSettings.model_validate_json(found[0]) if found else None,
    )


def _constant(mount: Mapping[str, Any], plain: str, parameter: str) -> str:
    """A name that kfp-kubernetes writes as a constant and as a parameter."""
    name: str = mount.get(plain) or mount[parameter]["runtimeValue"]["constant"]
    return name
