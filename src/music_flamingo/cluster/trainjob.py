"""TrainJob of Kubeflow Trainer (v2): the runtime defines rendezvous, the job defines the workload.

What a TrainJob's own `trainer` cannot say (volumes, node selectors, tolerations) is laid over the runtime as a patch
of its replicated job `node`, whose container is `node` as well.
"""

from collections.abc import Mapping
from typing import Any

from music_flamingo.cluster.jobs import (
    POD_SECURITY,
    SPARE_S,
    Condition,
    JobSettings,
    Resource,
    StageJob,
    container,
    environment,
    mounts,
    placement,
    queued,
    volumes,
)

NODE = "node"
JOBSET_NAME = "jobset.sigs.k8s.io/jobset-name"
REPLICATED_JOB = "jobset.sigs.k8s.io/replicatedjob-name"
INDEX = "batch.kubernetes.io/job-completion-index"
MANAGER = "music-flamingo.kubeflow.org/launcher"


class TrainJobs:
    """Renders and reads TrainJobs."""

    group = "trainer.kubeflow.org"
    version = "v1alpha1"
    plural = "trainjobs"
    container = NODE

    def render(self, settings: JobSettings, work: StageJob) -> Resource:
        """Build the resource for a stage."""
        main = container(settings, NODE, work)
        return {
            "apiVersion": f"{self.group}/{self.version}",
            "kind": "TrainJob",
            "metadata": queued(settings),
            "spec": {
                "runtimeRef": {
                    "apiGroup": self.group,
                    "kind": "ClusterTrainingRuntime",
                    "name": settings.runtime,
                },
                "activeDeadlineSeconds": settings.timeout_s + SPARE_S,
                "trainer": {
                    "image": main["image"],
                    "command": main["command"],
                    "args": main["args"],
                    "env": environment(settings),
                    "numNodes": settings.nodes,
                    "numProcPerNode": settings.processes_per_node,
                    "resourcesPerNode": main["resources"],
                },
                "runtimePatches": [_patch(settings, main)],
            },
        }

    def condition(self, job: Mapping[str, Any]) -> Condition:
        """Phase and message of the job's status."""
        status = job.get("status") or {}
        true = {c["type"]: str(c.get("message", "")) for c in status.get("conditions") or [] if c["status"] == "True"}
        if "Complete" in true:
            return Condition("succeeded", true["Complete"])
        if "Failed" in true:
            return Condition("failed", true["Failed"])
        if job["spec"].get("suspend"):
            return Condition("suspended", true.get("Suspended", ""))
        if any(part.get("ready", 0) for part in status.get("jobsStatus") or []):
            # not `active`: that counts pods which no node has taken yet
            return Condition("running", "")
        return Condition("waiting", " ".join(true.values()))

    def pods(self, name: str) -> str:
        """Label selector of the job's pods."""
        return f"{JOBSET_NAME}={name},{REPLICATED_JOB}={NODE}"

    def first_pod(self, name: str) -> str:
        """Label selector of the first node's pod."""
        return f"{self.pods(name)},{INDEX}=0"


def _patch(settings: JobSettings, main: Resource) -> Resource:
    pod: Resource = {
        "serviceAccountName": settings.service_account,
        "securityContext": POD_SECURITY,
        "containers": [{"name": NODE, "securityContext": main["securityContext"], "volumeMounts": mounts()}],
        "volumes": volumes(settings),
    }
    pod |= placement(settings)
    job = {"name": NODE, "template": {"spec": {"template": {"spec": pod}}}}
    return {"manager": MANAGER, "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": [job]}}}}
