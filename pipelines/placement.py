"""Where each step runs: CPU, memory, GPUs, timeout, caching, what it needs of the cluster. Images are the components'.

A pipeline is compiled for a profile (PROFILE, as in pipelines/profiles) and for a cluster, by a few words of the
environment; docs/reference/pipelines.md tells them all. Steps are not retried by Kubeflow (set_retry): it would repeat
every failure alike, the deterministic ones too. What may pass is tried again inside the pod (runs.kfp_step),
lost pods by the workflow controller.
"""

import json
import os
from dataclasses import dataclass, replace

from kfp import kubernetes
from kfp.dsl import PipelineTask

from music_flamingo.cluster.jobs import QUEUE_LABEL, JobSettings
from music_flamingo.core.errors import UserError
from music_flamingo.core.telemetry import ENDPOINT, RUN
from pipelines.jobs import BY_JOB, RUN_LABEL, hand_over, job_for, queue, store_secret, store_variables
from pipelines.parameters import default_assumptions, default_params, default_profile

TEACHER_CACHE_PATH = "/teacher-cache"
MODELS_PATH = "/models"
GPU = "nvidia.com/gpu"
GPU_PRODUCT = "nvidia.com/gpu.product"
"""The label by which NVIDIA's feature discovery names the GPUs of a node."""
USER = 1000
"""Of the images; Pod Security `restricted` wants it said."""
HOUR_S = 3600
DAY_S = 24 * HOUR_S


@dataclass(frozen=True)
class Placement:
    """What one step asks for."""

    cpu: str
    memory: str
    timeout_s: int = DAY_S
    gpus: int = 0
    gpu_product: str = ""
    """Only nodes with such GPUs."""
    shm: str = ""
    """Size of /dev/shm, through which loaders and NCCL pass tensors; a pod has 64 MiB otherwise."""
    is_pure: bool = True
    """The same inputs and parameters give the same: a finished step is answered from the cache."""
    asks_teachers: bool = False
    reads_songs: bool = False
    reads_models: bool = False
    """Weights of other people's models, from the volume claim MODELS_CLAIM at /models."""


@dataclass(frozen=True)
class Hardware:
    """What a node gives to the stages that run networks of full size.

    How many GPUs train a stage, and so how many nodes its job has, is the profile's `plan.gpus`.
    """

    gpus: int
    gpu_product: str
    cpu: str
    memory: str
    shm: str


LIGHT = Placement(cpu="100m", memory="256Mi", timeout_s=HOUR_S)
LAUNCHES = Placement(cpu="500m", memory="2Gi", timeout_s=HOUR_S)
"""A step that watches a job; it copies ports, and holds none of them in memory."""
LEARNS = Placement(cpu="2", memory="8Gi")

PLACEMENTS = {
    # never from the cache: it looks at the code, by which the others are cached
    "configure": replace(LIGHT, memory="512Mi", is_pure=False),
    "ingest": Placement(cpu="2", memory="4Gi", is_pure=False, reads_songs=True),
    "divide": LIGHT,
    "facts": Placement(cpu="4", memory="8Gi", reads_models=True),
    "captions": Placement(cpu="1", memory="2Gi", asks_teachers=True),
    "synthesize": Placement(cpu="1", memory="2Gi", asks_teachers=True),
    "check-shards": Placement(cpu="1", memory="2Gi"),
    "captions-synthesize": Placement(cpu="1", memory="2Gi", asks_teachers=True),
    # collects what branches made: of all stages together the models and caches that their parameters name
    "annotation": Placement(cpu="1", memory="8Gi", asks_teachers=True, reads_models=True),
    "validate": Placement(cpu="1", memory="4Gi", asks_teachers=True),
    "speech": Placement(cpu="2", memory="4Gi"),
    "backbone": replace(LEARNS, reads_models=True),
    "sft": LEARNS,
    "reason": replace(LEARNS, asks_teachers=True),
    "warmup": LEARNS,
    "grpo": LEARNS,
    "evaluate": LEARNS,
    "release": Placement(cpu="1", memory="4Gi"),
    "report": Placement(cpu="1", memory="4Gi"),
    "outcome": replace(LIGHT, is_pure=False),
}

HARDWARE = {
    "h200": Hardware(gpus=1, gpu_product="NVIDIA-H200", cpu="16", memory="128Gi", shm="32Gi"),
    "af-next": Hardware(gpus=1, gpu_product="NVIDIA-H200", cpu="16", memory="128Gi", shm="32Gi"),
    "paper": Hardware(gpus=8, gpu_product="NVIDIA-A100-SXM4-80GB", cpu="96", memory="960Gi", shm="256Gi"),
}
"""Profiles with GPUs. Every other runs on processors alone."""
TRAINING = ("backbone", "sft", "warmup", "grpo")
"""Steps that write checkpoints."""
ON_GPUS = ("sft", "reason", "warmup", "grpo", "evaluate")
GPU_TIMEOUT_S = 14 * DAY_S


def placement(step: str, profile: str) -> Placement:
    """What a step asks for under a profile; a step that collects asks for what its stage does."""
    own = PLACEMENTS[step.removeprefix("collect-")]
    hardware = HARDWARE.get(profile)
    if hardware is None or step not in ON_GPUS:
        return own
    return replace(
        own,
        cpu=hardware.cpu,
        memory=hardware.memory,
        gpus=hardware.gpus,
        gpu_product=hardware.gpu_product,
        shm=hardware.shm,
        timeout_s=GPU_TIMEOUT_S,
    )


def place(task: PipelineTask) -> PipelineTask:
    """Give a task what its step asks for, under the profile and for the cluster that the environment names."""
    step, profile = task.component_spec.name.removeprefix("comp-"), default_profile()
    wanted = placement(step, profile)
    if step in BY_JOB:
        _require_job(step, profile)
    if job := _job(step, profile, wanted):
        hand_over(task, job)
        wanted = replace(wanted, cpu=LAUNCHES.cpu, memory=LAUNCHES.memory, gpus=0, shm="")
    task.set_cpu_request(wanted.cpu).set_memory_request(wanted.memory).set_memory_limit(wanted.memory)
    # as jobs have it: Great Expectations asks for a home, and user 1000 has none in the images
    task.set_env_variable("HOME", "/tmp")
    task.set_caching_options(wanted.is_pure)
    kubernetes.set_timeout(task, wanted.timeout_s)
    kubernetes.set_security_context(task, run_as_user=USER, run_as_group=USER, run_as_non_root=True)
    if waits_in := queue():
        kubernetes.add_pod_label(task, label_key=QUEUE_LABEL, label_value=waits_in)
    if wanted.gpus:
        _on_gpus(task, wanted)
    if wanted.asks_teachers:
        _claim(task, "TEACHER_CACHE_CLAIM", TEACHER_CACHE_PATH)
        _secret(task, "TEACHER_KEY_SECRET", {"api-key": "TEACHER_API_KEY"})
    if wanted.reads_songs:
        _secret(task, "SONGS_SECRET", {"access-key": "S3_ACCESS_KEY", "secret-key": "S3_SECRET_KEY"})
    if wanted.reads_models:
        _claim(task, "MODELS_CLAIM", MODELS_PATH)
    if collector := os.environ.get(ENDPOINT):
        task.set_env_variable(ENDPOINT, collector)
        kubernetes.use_field_path_as_env(task, env_name=RUN, field_path=RUN_LABEL)
    if variables := store_variables(("CHECKPOINT_STORE",) if step in TRAINING else ()):
        for name, value in variables.items():
            task.set_env_variable(name, value)
        secret, keys = store_secret()
        kubernetes.use_secret_as_env(task, secret_name=secret, secret_key_to_env=keys)
    return task


def nodes_of(step: str, profile: str) -> int:
    """Of the job that trains a stage: as many as hold the GPUs that the profile plans for it."""
    hardware = HARDWARE.get(profile)
    return max(1, default_assumptions()["gpus"][step] // hardware.gpus) if hardware else 1


def _require_job(step: str, profile: str) -> None:
    """Raises UserError where a stage is shared by several processes that nobody would start."""
    parallel = json.loads(default_params())[step]["hardware"]["parallel"]["kind"]
    if parallel != "single" and not os.environ.get("JOB_CLAIM"):
        raise UserError(
            f"profile {profile} shares {step} over several processes (hardware.parallel: {parallel}), which a job of "
            "several pods starts: set JOB_CLAIM to a ReadWriteMany volume claim (docs/reference/cluster.md), or choose "
            "`parallel: {kind: single}`."
        )


def _job(step: str, profile: str, wanted: Placement) -> JobSettings | None:
    if step not in BY_JOB:
        return None
    return job_for(
        step,
        nodes=nodes_of(step, profile),
        gpus=wanted.gpus,
        gpu_product=wanted.gpu_product,
        cpu=wanted.cpu,
        memory=wanted.memory,
        shm=wanted.shm,
        timeout_s=wanted.timeout_s,
    )


def _on_gpus(task: PipelineTask, wanted: Placement) -> None:
    task.set_accelerator_type(GPU).set_accelerator_limit(wanted.gpus)
    kubernetes.add_node_selector(task, label_key=GPU_PRODUCT, label_value=wanted.gpu_product)
    kubernetes.add_toleration(task, key=GPU, operator="Exists", effect="NoSchedule")
    kubernetes.empty_dir_mount(task, volume_name="shm", mount_path="/dev/shm", medium="Memory", size_limit=wanted.shm)


def _claim(task: PipelineTask, variable: str, path: str) -> None:
    if claim := os.environ.get(variable):
        kubernetes.mount_pvc(task, pvc_name=claim, mount_path=path)


def _secret(task: PipelineTask, variable: str, keys: dict[str, str]) -> None:
    if secret := os.environ.get(variable):
        kubernetes.use_secret_as_env(task, secret_name=secret, secret_key_to_env=keys)
