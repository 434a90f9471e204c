"""Where each stage runs: CPU, memory, GPUs. The image is the component's own."""

from dataclasses import dataclass

from kfp.dsl import PipelineTask


@dataclass(frozen=True)
class Placement:
    cpu: str
    memory: str
    gpus: int = 0
    retries: int = 2
    """Against lost nodes and busy services; a wrong parameter fails again at once and costs a pod start."""


PLACEMENTS = {
    "configure": Placement(cpu="100m", memory="256Mi"),
    "ingest": Placement(cpu="2", memory="4Gi"),
    "facts": Placement(cpu="4", memory="8Gi"),
    "captions": Placement(cpu="1", memory="2Gi"),
    "synthesize": Placement(cpu="1", memory="2Gi"),
    "validate": Placement(cpu="1", memory="4Gi"),
    "backbone": Placement(cpu="2", memory="8Gi"),
    "sft": Placement(cpu="2", memory="8Gi"),
    "reason": Placement(cpu="2", memory="8Gi"),
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
    return task.set_retry(placement.retries, backoff_duration="30s", backoff_factor=2.0)
