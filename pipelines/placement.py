"""Where each stage runs: CPU, memory, GPUs, and what of the cluster it needs. The image is the component's own.

A pipeline is compiled for teachers over HTTP by two variables of the environment: TEACHER_CACHE_CLAIM names the volume
claim that keeps finished calls (mounted at /teacher-cache; a pod's own disk would lose them), TEACHER_KEY_SECRET a
secret whose `api-key` becomes the variable TEACHER_API_KEY. For songs in a bucket, SONGS_SECRET names a secret whose
`access-key` and `secret-key` become S3_ACCESS_KEY and S3_SECRET_KEY of ingest (`access_key: env:S3_ACCESS_KEY`).
"""

import os
from dataclasses import dataclass

from kfp import kubernetes
from kfp.dsl import PipelineTask

TEACHER_CACHE_PATH = "/teacher-cache"


@dataclass(frozen=True)
class Placement:
    cpu: str
    memory: str
    gpus: int = 0
    asks_teachers: bool = False
    reads_songs: bool = False
    retries: int = 2
    """Against lost nodes and busy services; a wrong parameter fails again at once and costs a pod start."""


PLACEMENTS = {
    "configure": Placement(cpu="100m", memory="256Mi"),
    "ingest": Placement(cpu="2", memory="4Gi", reads_songs=True),
    "facts": Placement(cpu="4", memory="8Gi"),
    "captions": Placement(cpu="1", memory="2Gi", asks_teachers=True),
    "synthesize": Placement(cpu="1", memory="2Gi", asks_teachers=True),
    "validate": Placement(cpu="1", memory="4Gi", asks_teachers=True),
    "backbone": Placement(cpu="2", memory="8Gi"),
    "sft": Placement(cpu="2", memory="8Gi"),
    "reason": Placement(cpu="2", memory="8Gi", asks_teachers=True),
    "warmup": Placement(cpu="2", memory="8Gi"),
    "grpo": Placement(cpu="2", memory="8Gi"),
    "evaluate": Placement(cpu="2", memory="8Gi"),
    "release": Placement(cpu="1", memory="4Gi"),
    "report": Placement(cpu="1", memory="4Gi"),
}


def place(task: PipelineTask) -> PipelineTask:
    """Give a task its resources and retries, by the name of its stage."""
    placement = PLACEMENTS[task.component_spec.name.removeprefix("comp-")]
    task.set_cpu_request(placement.cpu).set_memory_request(placement.memory).set_memory_limit(placement.memory)
    if placement.gpus:
        task.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(placement.gpus)
    if placement.asks_teachers:
        _reach_teachers(task)
    if placement.reads_songs and (secret := os.environ.get("SONGS_SECRET")):
        keys = {"access-key": "S3_ACCESS_KEY", "secret-key": "S3_SECRET_KEY"}
        kubernetes.use_secret_as_env(task, secret_name=secret, secret_key_to_env=keys)
    return task.set_retry(placement.retries, backoff_duration="30s", backoff_factor=2.0)


def _reach_teachers(task: PipelineTask) -> None:
    if claim := os.environ.get("TEACHER_CACHE_CLAIM"):
        kubernetes.mount_pvc(task, pvc_name=claim, mount_path=TEACHER_CACHE_PATH)
    if secret := os.environ.get("TEACHER_KEY_SECRET"):
        kubernetes.use_secret_as_env(task, secret_name=secret, secret_key_to_env={"api-key": "TEACHER_API_KEY"})
