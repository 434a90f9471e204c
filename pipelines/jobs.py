"""Training stages as jobs of several pods, where the cluster has a volume that all of them may write.

JOB_CLAIM of the environment names that volume claim (ReadWriteMany); JOB_KIND says `pytorchjob` (training operator v1,
the default) or `trainjob` (Kubeflow Trainer v2, by the ClusterTrainingRuntime JOB_RUNTIME). The step itself then only
launches and watches; docs/decisions/113 has the way from its ports to the job's.
"""

import os

from kfp import kubernetes
from kfp.dsl import PipelineTask

from components.images import TRAIN_IMAGE
from music_flamingo.cluster.jobs import SHARED_PATH, JobSettings
from music_flamingo.core.telemetry import ENDPOINT, RUN

BY_JOB = ("sft", "warmup", "grpo")
ACCOUNT = "music-flamingo-train"
RUNTIME = "music-flamingo-torch"
PRIORITY = "JOB_PRIORITY_CLASS"
RUN_LABEL = "metadata.labels['pipeline/runid']"


def job_for(
    step: str, *, nodes: int, gpus: int, gpu_product: str, cpu: str, memory: str, shm: str, timeout_s: int
) -> JobSettings | None:
    """The job that does a stage; None where the step does it in its own pod."""
    claim = os.environ.get("JOB_CLAIM")
    if not claim or step not in BY_JOB or not gpus:
        return None
    return JobSettings.model_validate(
        {
            "kind": os.environ.get("JOB_KIND", "pytorchjob"),
            "image": TRAIN_IMAGE,
            "claim": claim,
            "nodes": nodes,
            "processes_per_node": gpus,
            "cpu": cpu,
            "memory": memory,
            "gpus_per_node": gpus,
            "shm": shm,
            "service_account": ACCOUNT,
            "node_selector": {"nvidia.com/gpu.product": gpu_product},
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "priority_class": os.environ.get(PRIORITY),
            "runtime": os.environ.get("JOB_RUNTIME", RUNTIME),
            "environment": store_variables(("CHECKPOINT_STORE",)),
            "secrets": _secrets() if os.environ.get("CHECKPOINT_STORE") else {},
            "timeout_s": timeout_s,
            "queue": queue(),
        }
    )


def queue() -> str | None:
    """The LocalQueue of Kueue that jobs and steps wait in, by KUEUE_QUEUE; None where there is no Kueue."""
    return os.environ.get("KUEUE_QUEUE") or None


def store_variables(also: tuple[str, ...] = ()) -> dict[str, str]:
    """How a pod reaches the artifact store, as far as it is no secret. Empty where none is named."""
    names = ("RUN_STORE", "RUN_STORE_REGION", *also) if os.environ.get("RUN_STORE") else ()
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def store_secret() -> tuple[str, dict[str, str]]:
    """(the secret's name, its keys -> variables)."""
    keys = {"accesskey": "RUN_STORE_ACCESS_KEY", "secretkey": "RUN_STORE_SECRET_KEY"}
    return os.environ.get("RUN_STORE_SECRET", "mlpipeline-minio-artifact"), keys


def _secrets() -> dict[str, dict[str, str]]:
    name, keys = store_secret()
    return {variable: {"secret": name, "key": key} for key, variable in keys.items()}


def hand_over(task: PipelineTask, job: JobSettings) -> None:
    """Let a step launch this job: its settings, the run's id, and the volume that both see."""
    task.set_env_variable("MF_JOB", job.model_dump_json())
    if not os.environ.get(ENDPOINT):  # every step has it then
        kubernetes.use_field_path_as_env(task, env_name=RUN, field_path=RUN_LABEL)
    kubernetes.mount_pvc(task, pvc_name=job.claim, mount_path=SHARED_PATH)
