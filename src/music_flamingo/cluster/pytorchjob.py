"""PyTorchJob of the Kubeflow training operator (v1): one Master and the rest Workers."""

from collections.abc import Mapping
from typing import Any

from music_flamingo.cluster.jobs import (
    KEPT_FAILED_S,
    POD_SECURITY,
    SPARE_S,
    Condition,
    JobSettings,
    Resource,
    StageJob,
    container,
    placement,
    queued,
    volumes,
)

JOB_NAME = "training.kubeflow.org/job-name"
REPLICA_TYPE = "training.kubeflow.org/replica-type"


class PyTorchJobs:
    """Renders and reads PyTorchJobs."""

    group = "kubeflow.org"
    version = "v1"
    plural = "pytorchjobs"
    container = "pytorch"
    """The operator looks for a container of this name."""

    def render(self, settings: JobSettings, work: StageJob) -> Resource:
        """Build the resource for a stage."""
        replica = {
            # the launcher judges and starts anew: the operator would start a wrong parameter three times
            "restartPolicy": "Never",
            "template": {"spec": _pod(settings, container(settings, self.container, work))},
        }
        replicas: Resource = {"Master": {"replicas": 1, **replica}}
        if settings.nodes > 1:
            replicas["Worker"] = {"replicas": settings.nodes - 1, **replica}
        policy: Resource = {
            "backoffLimit": 0,
            "cleanPodPolicy": "Running",
            "activeDeadlineSeconds": settings.timeout_s + SPARE_S,
            "ttlSecondsAfterFinished": KEPT_FAILED_S,
        }
        if settings.priority_class:
            policy["schedulingPolicy"] = {"priorityClass": settings.priority_class}
        return {
            "apiVersion": f"{self.group}/{self.version}",
            "kind": "PyTorchJob",
            "metadata": queued(settings),
            "spec": {
                "nprocPerNode": str(settings.processes_per_node),
                "runPolicy": policy,
                "pytorchReplicaSpecs": replicas,
            },
        }

    def condition(self, job: Mapping[str, Any]) -> Condition:
        """Phase and message of the job's status."""
        conditions = (job.get("status") or {}).get("conditions") or []
        true = {c["type"]: str(c.get("message", "")) for c in conditions if c["status"] == "True"}
        ended = [("Succeeded", "succeeded"), ("Failed", "failed")]
        # the operator may still say Running of a job whose pods Kueue has just taken away
        if not true.keys() & dict(ended).keys() and job["spec"].get("runPolicy", {}).get("suspend"):
            return Condition("suspended", true.get("Suspended", ""))
        for kind, phase in (*ended, ("Running", "running")):
            if kind in true:
                return Condition(phase, true[kind])  # type: ignore[arg-type]
        return Condition("waiting", " ".join(true.values()))

    def pods(self, name: str) -> str:
        """Label selector of the job's pods."""
        return f"{JOB_NAME}={name}"

    def first_pod(self, name: str) -> str:
        """Label selector of the master."""
        return f"{JOB_NAME}={name},{REPLICA_TYPE}=master"


def _pod(settings: JobSettings, main: Resource) -> Resource:
    pod: Resource = {
        "serviceAccountName": settings.service_account,
        "automountServiceAccountToken": False,
        "securityContext": POD_SECURITY,
        "containers": [main],
        "volumes": volumes(settings),
    }
    pod |= placement(settings)
    if settings.priority_class:
        pod["priorityClassName"] = settings.priority_class
    return pod
