"""Distributed setup, per-rank batch size, and gathering of sharded weights.

torchrun starts the ranks. DeepSpeed (ZeRO-2, ZeRO-3) comes in by transformers' and Accelerate's own integration; FSDP2
by torch's `fully_shard`, because Accelerate's way to it silently becomes plain data parallelism without a GPU.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.fsdp import FSDPModule
from transformers import Trainer
from trl.models import prepare_deepspeed, unwrap_model_for_generation

from music_flamingo.core.errors import ConfigError, MissingToolError
from music_flamingo.core.ranks import is_first, num_ranks
from music_flamingo.model.files import adapters_of, load_model
from music_flamingo.model.lora import FullTuning, LoraSettings, bare
from music_flamingo.training.scale.reading import is_unread, read_weights, to_meta, unread_model
from music_flamingo.training.settings import DeepSpeed, Fsdp2, Hardware, OneProcess

T = TypeVar("T")


def share(batch_size: int, accumulation: int) -> int:
    """Samples that one rank computes at a time. Raises ConfigError where the batch does not divide."""
    parts = num_ranks() * accumulation
    if batch_size % parts:
        raise ConfigError(
            f"a batch of {batch_size} cannot be shared evenly by {num_ranks()} ranks in {accumulation} parts each: "
            f"choose a batch that is a multiple of {parts}, or other numbers of ranks or `optimiser.accumulation`."
        )
    return batch_size // parts


def on_cpu(hardware: Hardware) -> bool:
    """Whether the processor computes. Raises MissingToolError where a GPU is asked for and there is none."""
    if hardware.device == "cuda" and not torch.cuda.is_available():
        raise MissingToolError("hardware.device is cuda, but torch sees no GPU here: choose `auto` or `cpu`.")
    return hardware.device == "cpu" or not torch.cuda.is_available()


def device_of(hardware: Hardware) -> str:
    """Where a model is put that no trainer puts anywhere."""
    return "cpu" if on_cpu(hardware) else "cuda"


def held_dtype(tuning: FullTuning | LoraSettings, hardware: Hardware) -> torch.dtype | Literal["auto"]:
    """In what weights are held while they train: float32, or as they lie on disk (`auto`) where they do not learn.

    Next to adapters a published model stays in bfloat16, which autocast would make of it anyway. FSDP2 wants one dtype.
    """
    stay = isinstance(tuning, LoraSettings) and hardware.precision == "bf16"
    return "auto" if stay and not isinstance(hardware.parallel, Fsdp2) else torch.float32


def starting_model(folder: Path, tuning: FullTuning | LoraSettings, hardware: Hardware) -> Any:
    """The model that training starts from: read, or, under FSDP2, to be read by each rank once it is sharded.

    Adapters that lie apart and marks that learn need the weights they stand on: there every rank reads all of them.
    """
    whole = bool(adapters_of(folder)) or (isinstance(tuning, LoraSettings) and tuning.train_marks)
    if isinstance(hardware.parallel, Fsdp2) and not whole:
        return unread_model(folder, torch.float32)
    return load_model(folder, held_dtype(tuning, hardware))[0]


def join(hardware: Hardware) -> None:
    """Bring the ranks together: none goes on before the first has opened the ports.

    Raises ConfigError where several were started and the configuration knows of one, or the other way round.
    """
    cpu, parallel = on_cpu(hardware), hardware.parallel
    if isinstance(parallel, OneProcess) and num_ranks() > 1:
        raise ConfigError(
            f"{num_ranks()} processes were started (WORLD_SIZE), but hardware.parallel.kind is `single`: choose "
            "`fsdp2` or `deepspeed`, or start without torchrun."
        )
    if not isinstance(parallel, OneProcess) and "WORLD_SIZE" not in os.environ:
        raise ConfigError(
            f"hardware.parallel.kind is `{parallel.kind}`, but no ranks are known: start it by "
            "`torchrun --nproc-per-node N -m music_flamingo.cli run STAGE`."
        )
    # Accelerate knows DeepSpeed only where it believes not to be on a processor
    os.environ["ACCELERATE_USE_CPU"] = str(cpu and not isinstance(parallel, DeepSpeed)).lower()
    if isinstance(parallel, DeepSpeed):
        os.environ["DS_ACCELERATOR"] = "cpu" if cpu else "cuda"
        _spare_compiling()
    if num_ranks() > 1:
        if not cpu:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        if not dist.is_initialized():
            dist.init_process_group("gloo" if cpu else "cpu:gloo,cuda:nccl")
        dist.barrier()


def leave() -> None:
    """Wait for the others, then let go of them."""
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


def arguments(hardware: Hardware, batch_size: int, accumulation: int) -> dict[str, Any]:
    """Keyword arguments of transformers.TrainingArguments. Call `join` before."""
    parallel, cpu = hardware.parallel, on_cpu(hardware)
    chosen: dict[str, Any] = {
        "per_device_train_batch_size": share(batch_size, accumulation),
        "use_cpu": cpu and not isinstance(parallel, DeepSpeed),
        "bf16": hardware.precision == "bf16",
        "activation_checkpointing": hardware.gradient_checkpointing,
        "activation_checkpointing_kwargs": {"use_reentrant": False},
        "ddp_backend": "gloo" if cpu and num_ranks() > 1 else None,
    }
    if isinstance(parallel, DeepSpeed):
        _announce_deepspeed()
        chosen["accelerator_config"] = {"use_configured_state": True}
        chosen["deepspeed"] = _deepspeed(parallel, hardware.precision)
    return chosen


def _spare_compiling() -> None:
    """DeepSpeed would compile an operator for minutes, in every rank, that only inference on processors uses."""
    import deepspeed

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


def _announce_deepspeed() -> None:
    """Accelerate takes the ranks as DeepSpeed's, on processors too, only from a state made before its own."""
    from accelerate import PartialState
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    os.environ["ACCELERATE_USE_DEEPSPEED"] = "true"
    PartialState(backend="gloo" if os.environ["DS_ACCELERATOR"] == "cpu" else None)


def _deepspeed(parallel: DeepSpeed, precision: str) -> dict[str, Any]:
    return {
        "bf16": {"enabled": precision == "bf16"},
        "zero_optimization": {"stage": parallel.stage, "overlap_comm": False, "contiguous_gradients": True},
        "gradient_clipping": "auto",
        "gradient_accumulation_steps": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "train_batch_size": "auto",
    }


def reached(model: Any) -> Any:
    """The model itself, out of the hulls of DeepSpeed and peft."""
    return bare(model.module if hasattr(model, "module") else model)


def within(model: Any, work: Callable[[Any], T]) -> T:
    """Run `work` on the unwrapped model inside the wrapper's forward (FSDP, DeepSpeed, DDP).

    Sharded weights are there only while the hull's own forward runs, and so is autocast. A model that no trainer
    has opened has no such hull.
    """
    inner = reached(model)
    return model(inside=work) if getattr(inner, "is_open", False) else work(inner)


def open_forward(model: Any) -> None:
    """Let `model(inside=work)` run `work(model)` in place of the forward pass."""
    own = model.forward

    @wraps(own)  # generation reads the signature to know what the model takes
    def forward(*args: Any, inside: Callable[[Any], Any] | None = None, **kwargs: Any) -> Any:
        return inside(model) if inside is not None else own(*args, **kwargs)

    model.forward = forward
    model.is_open = True


class AcrossRanks(Trainer):
    """To stand before TRL's trainer among the bases: the same steps in one process and in many."""

    def __init__(self, *args: Any, hardware: Hardware, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.hardware = hardware
        open_forward(bare(self.model))
        if isinstance(hardware.parallel, Fsdp2):
            _shard(self.model, hardware.parallel, hardware.precision, self.args.device.type)
            # it owns its placement and its gradients: Accelerate must not wrap it again
            self.is_distributed_loading_by_transformers = True

    def _move_model_to_device(self, model: Any, device: Any) -> None:
        if not is_unread(model):  # its pieces are read onto the device
            super()._move_model_to_device(model, device)

    def beside(self, model: Any) -> Any:
        """A model that answers and never learns, placed and cut as the trained one is."""
        model = model.requires_grad_(False).eval()
        open_forward(model)
        if isinstance(self.hardware.parallel, Fsdp2):
            _shard(model, self.hardware.parallel, self.hardware.precision, self.args.device.type)
            return model
        if isinstance(self.hardware.parallel, DeepSpeed):
            return prepare_deepspeed(model, self.accelerator)
        return self.accelerator.prepare_model(model, evaluation_mode=True)

    @contextmanager
    def drawing(self) -> Iterator[Any]:
        """The trained model as it draws: whole in every rank, so that none waits for another between two words."""
        was_training = self.model.training
        self.model.eval()  # checkpointed layers keep no keys and values in training
        try:
            with self.accelerator.autocast(), _whole(self) as model:
                yield model
        finally:
            self.model.train(was_training)

    def _defer_fsdp_gradient_reduction(self) -> AbstractContextManager[None]:
        """Not deferred: gradients are cut into pieces after each part of a step, and no rank ever holds them whole."""
        return nullcontext()

    def summed(self, *values: float) -> list[float]:
        """Each value's sum over the ranks."""
        if num_ranks() == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(sums)
        return sums.tolist()


def gathered(value: T) -> list[T]:
    """Every rank's value, in order of ranks."""
    if num_ranks() == 1:
        return [value]
    values: list[Any] = [None] * num_ranks()
    dist.all_gather_object(values, value)
    return values


def from_first(make: Callable[[], T]) -> T:
    """What the first rank makes of it, known to all."""
    if num_ranks() == 1:
        return make()
    value: list[Any] = [make() if is_first() else None]
    dist.broadcast_object_list(value)
    return value[0]


@contextmanager
def _whole(trainer: AcrossRanks) -> Iterator[Any]:
    parallel = trainer.hardware.parallel
    if isinstance(parallel, Fsdp2):
        # what the first forward pass gathers is kept
        trainer.model.set_reshard_after_forward(False)
        try:
            yield trainer.model
        finally:
            for module in trainer.model.modules():
                if isinstance(module, FSDPModule):
                    module.reshard()
            trainer.model.set_reshard_after_forward(parallel.reshard_after_forward)
    elif isinstance(parallel, DeepSpeed) and parallel.stage == 3:
        with unwrap_model_for_generation(trainer.model_wrapped, trainer.accelerator) as model:
            yield model
    else:
        yield trainer.model


def _shard(model: Any, parallel: Fsdp2, precision: str, device: str) -> None:
    """Shard in place: each layer of both towers is gathered alone, the rest together with the whole. What was not read
    yet is read now, by each rank its own rows."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    to_meta(model)
    inner = bare(model)
    half = torch.bfloat16 if precision == "bf16" else None
    options = {
        "mesh": init_device_mesh(device, (num_ranks(),)),
        "reshard_after_forward": parallel.reshard_after_forward,
        "mp_policy": MixedPrecisionPolicy(param_dtype=half, reduce_dtype=torch.float32),
    }
    for layer in (*inner.model.audio_tower.layers, *inner.model.language_model.layers):
        fully_shard(layer, **options)
    fully_shard(model, **options)
    read_weights(model, device)
