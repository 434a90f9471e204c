"""Multi-pod training jobs: settings, names, and the interface of a kind of job.

Two kinds do the same: `pytorchjob.py` (training operator v1) and `trainjob.py` (Kubeflow Trainer v2). Each pod runs
`torchrun`, which reads the number of nodes, its own rank and the first pod's address from what the operator sets.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from music_flamingo.cluster.naming import resource_name
from music_flamingo.core.hashing import sha256_json

SHARED_PATH = "/shared"
"""Where the volume claim is mounted, in the step and in the job's pods."""
NAME_LABEL = "app.kubernetes.io/name"
STAGE_LABEL = "music-flamingo/stage"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
"""Kueue suspends what has it until the queue has room."""
RESTARTS = "music-flamingo/restarts"
"""Annotation: how often the job was started anew. It outlives the step that watches."""
SPEC_HASH = "music-flamingo/spec"
TERMINATION_LOG = "/dev/termination-log"
KEPT_FAILED_S = 7 * 24 * 3600
"""A finished job is kept for a week, to be looked at."""
SPARE_S = 600
"""The job's own deadline is so much later than the launcher's, which says why it waited."""

Resource = dict[str, Any]
Phase = Literal["waiting", "suspended", "running", "succeeded", "failed"]


class SecretValue(BaseModel):
    """A key of a Secret."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    secret: str
    key: str


class JobSettings(BaseModel):
    """Where and how widely a stage trains; never what it gives."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    kind: Literal["pytorchjob", "trainjob"]
    image: str
    claim: str
    """A volume claim that many pods may write (ReadWriteMany); ports, checkpoints and the log lie there."""
    nodes: int = Field(ge=1)
    processes_per_node: int = Field(ge=1)
    cpu: str
    memory: str
    gpus_per_node: int = Field(ge=0)
    shm: str
    """Size of /dev/shm, counted as memory of the pod: NCCL and data loaders pass tensors through it."""
    service_account: str
    node_selector: dict[str, str]
    tolerations: list[dict[str, str]]
    priority_class: str | None
    """Of PyTorchJobs; a TrainJob takes its runtime's."""
    runtime: str
    """Of TrainJobs: the ClusterTrainingRuntime that says how pods find each other."""
    environment: dict[str, str]
    """NCCL settings and the like."""
    secrets: dict[str, SecretValue]
    """Variable -> where its value stands; the value itself is in no settings."""
    timeout_s: int = Field(gt=0)
    """From the first submission to the end, restarts and time in a queue included."""
    queue: str | None = None
    """LocalQueue of Kueue that the job waits in; none, where the cluster has no Kueue."""


@dataclass(frozen=True)
class StageJob:
    """One stage of one run, as a job is to do it."""

    stage: str
    run_id: str
    arguments: tuple[str, ...]
    """What follows `torchrun`."""


@dataclass(frozen=True)
class Condition:
    """What a job says of itself."""

    phase: Phase
    told: str
    """The operator's own words."""


class JobKind(Protocol):
    """What the launcher has to know of a kind of job."""

    group: str
    version: str
    plural: str
    container: str
    """The container whose log is followed."""

    def render(self, settings: JobSettings, work: StageJob) -> Resource:
        """The resource without name and owner."""

    def condition(self, job: Mapping[str, Any]) -> Condition:
        """Phase and message of the job's status."""

    def pods(self, name: str) -> str:
        """Label selector of all pods of a job."""

    def first_pod(self, name: str) -> str:
        """Label selector of the pod of rank 0."""


def named(job: Resource, work: StageJob, namespace: str, owner: Mapping[str, str] | None) -> Resource:
    """The job under a name that the same work of the same run gets again, owned by the step's pod if there is one.

    The hash is over `spec`: a step that is tried again with another image or size makes another job.
    """
    spec_hash = sha256_json(job["spec"])[:8]
    # JobSet adds up to 17 characters for a pod's name, which has 63
    prefix = resource_name(f"{work.stage}-{work.run_id[:12]}", most=34)
    metadata = {
        **job.get("metadata", {}),
        "namespace": namespace,
        "name": f"mf-{prefix}-{spec_hash}",
        "labels": {**job.get("metadata", {}).get("labels", {}), NAME_LABEL: "music-flamingo", STAGE_LABEL: work.stage},
        "annotations": {RESTARTS: "0", SPEC_HASH: spec_hash},
    }
    if owner:
        metadata["ownerReferences"] = [dict(owner)]
    return {**job, "metadata": metadata}


def queued(settings: JobSettings) -> Resource:
    """Metadata by which Kueue takes a job into its queue; empty without one."""
    return {"labels": {QUEUE_LABEL: settings.queue}} if settings.queue else {}


def container(settings: JobSettings, name: str, work: StageJob) -> Resource:
    """The container that trains, under the Pod Security profile `restricted`."""
    resources: dict[str, str] = {"cpu": settings.cpu, "memory": settings.memory}
    if settings.gpus_per_node:
        resources["nvidia.com/gpu"] = str(settings.gpus_per_node)
    return {
        "name": name,
        "image": settings.image,
        "command": ["torchrun"],
        "args": list(work.arguments),
        "env": environment(settings),
        "resources": {"requests": resources, "limits": resources},
        "terminationMessagePath": TERMINATION_LOG,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts(),
    }


def environment(settings: JobSettings) -> list[dict[str, Any]]:
    """Environment of the training container, with values from Secrets."""
    given = {"MF_TERMINATION_LOG": TERMINATION_LOG, "HOME": "/tmp", **settings.environment}
    plain: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in sorted(given.items())]
    places = {name: {"name": at.secret, "key": at.key} for name, at in sorted(settings.secrets.items())}
    return [*plain, *({"name": name, "valueFrom": {"secretKeyRef": place}} for name, place in places.items())]


def mounts() -> list[dict[str, Any]]:
    """Volume mounts of the training container."""
    paths = {"shared": SHARED_PATH, "shm": "/dev/shm", "tmp": "/tmp"}
    return [{"name": name, "mountPath": path} for name, path in paths.items()]


def placement(settings: JobSettings) -> Resource:
    """The fields of a pod that say on which nodes it may run; none where the settings leave it open."""
    fields = {"nodeSelector": settings.node_selector, "tolerations": settings.tolerations}
    return {name: value for name, value in fields.items() if value}


def volumes(settings: JobSettings) -> list[Resource]:
    """Volumes of a training pod: shared claim, shared memory, temporary files."""
    return [
        {"name": "shared", "persistentVolumeClaim": {"claimName": settings.claim}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": settings.shm}},
        {"name": "tmp", "emptyDir": {}},
    ]


POD_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "fsGroup": 1000,
    "seccompProfile": {"type": "RuntimeDefault"},
}
