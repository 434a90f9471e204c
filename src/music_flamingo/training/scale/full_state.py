"""Gather sharded weights and optimiser state into full tensors by name, and scatter them back.

A checkpoint holds whole tensors, whatever the sharding that made them, so that another number of ranks, or another
way of sharding, goes on from it. Each rank holds every n-th tensor: none needs the memory of the whole model.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

from music_flamingo.core.ranks import is_first, num_ranks, rank
from music_flamingo.model.lora import bare, merge_lora
from music_flamingo.training.scale.reading import read_weights
from music_flamingo.training.settings import OneProcess

VALUE, STEP = "value", "step"
MOMENTS = ("exp_avg", "exp_avg_sq")
"""What AdamW remembers of each weight, in addition to the number of steps."""


def learning(model: Any) -> list[tuple[str, torch.nn.Parameter]]:
    """The weights that learn, by name: the same order in every rank."""
    return [(name, p) for name, p in bare(model).named_parameters() if p.requires_grad]


def whole_tensors(trainer: Any) -> dict[str, torch.Tensor]:
    """`name/value`, `name/exp_avg` ... of this rank's share of the weights that learn: every n-th of them.

    All ranks must call it. Tensors lie in memory of the processor, in float32.
    """
    kept = {}
    _link_zero(trainer)
    for index, (name, parameter) in enumerate(learning(trainer.model)):
        for kind, tensor in _whole(trainer, parameter, with_moments=True):
            if index % num_ranks() == rank():
                kept[f"{name}/{kind}"] = _on_processor(tensor)
    return kept


def whole_model(trainer: Any, again: Callable[[], Any], apart: bool = False) -> Any:
    """The trained model in one piece, adapters merged unless they stay `apart`; None in every rank but the first.

    `again` gives the model as it was before training. All ranks must call it.
    """
    if isinstance(trainer.hardware.parallel, OneProcess):
        return trainer.model if apart else merge_lora(trainer.model)
    values = {}
    for name, parameter in learning(trainer.model):
        for _, value in _whole(trainer, parameter, with_moments=False):
            if is_first():
                values[name] = _on_processor(value)
    # while transformers knows of ZeRO-3, whatever is loaded is cut into pieces, by all ranks together
    unset_hf_deepspeed_config()
    if not is_first():
        return None
    model = again()
    read_weights(model)
    with torch.no_grad():
        for name, parameter in learning(model):
            parameter.copy_(values.pop(name))
    return model if apart else merge_lora(model)


def _on_processor(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to("cpu", torch.float32, copy=True).contiguous()


def _whole(trainer: Any, parameter: torch.nn.Parameter, with_moments: bool) -> Iterator[tuple[str, torch.Tensor]]:
    if trainer.is_deepspeed_enabled:
        from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

        yield VALUE, safe_get_full_fp32_param(parameter)
        if with_moments:
            for kind in MOMENTS:
                yield kind, safe_get_full_optimizer_state(parameter, kind)
            yield STEP, _zero_steps(trainer)[0]
        return
    yield VALUE, _gather(parameter)
    state = base_optimizer(trainer).state[parameter] if with_moments else {}
    for kind in (*MOMENTS, STEP) if state else ():
        yield kind, _gather(state[kind])


def _gather(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def put_back(trainer: Any, saved: Mapping[str, torch.Tensor]) -> None:
    """Weights and optimiser's state as they were saved. All ranks must call it."""
    _link_zero(trainer)
    for name, parameter in learning(trainer.model):
        put_weight(trainer, parameter, saved[f"{name}/{VALUE}"])
        moments = {kind: saved[f"{name}/{kind}"] for kind in MOMENTS if f"{name}/{kind}" in saved}
        if moments:
            _put_moments(trainer, parameter, moments, saved[f"{name}/{STEP}"])


def put_weight(trainer: Any, parameter: torch.nn.Parameter, value: torch.Tensor) -> None:
    """Write a full tensor into a parameter, sharded or not, and into its master copy."""
    value = value.to(trainer.args.device)
    if trainer.is_deepspeed_enabled:
        import deepspeed

        with deepspeed.zero.GatheredParameters([parameter], modifier_rank=0), torch.no_grad():
            parameter.copy_(value)
        deepspeed.utils.safe_set_full_fp32_param(parameter, value)
        return
    with torch.no_grad():
        parameter.copy_(_like(parameter, value))


def _put_moments(
    trainer: Any, parameter: torch.nn.Parameter, moments: Mapping[str, torch.Tensor], step: torch.Tensor
) -> None:
    if trainer.is_deepspeed_enabled:
        from deepspeed.utils import safe_set_full_optimizer_state

        for kind, value in moments.items():
            safe_set_full_optimizer_state(parameter, value.to(trainer.args.device), kind)
        for own in _zero_steps(trainer):
            own.copy_(step)
        return
    state = base_optimizer(trainer).state[parameter]
    for kind, value in moments.items():
        state[kind] = _like(parameter, value.to(trainer.args.device))
    fused = any(group.get("fused") for group in base_optimizer(trainer).param_groups)
    state[STEP] = step.to(trainer.args.device if fused else "cpu", copy=True)


def _like(parameter: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """The value, cut as the parameter is; every rank holds all of it, so nothing is sent."""
    if isinstance(parameter, DTensor):
        return distribute_tensor(value, parameter.device_mesh, parameter.placements, src_data_rank=None)
    return value.clone()


def base_optimizer(trainer: Any) -> torch.optim.Optimizer:
    """torch's own, out of the hulls of Accelerate and DeepSpeed."""
    optimizer = trainer.optimizer
    while hasattr(optimizer, "optimizer"):
        optimizer = optimizer.optimizer
    return optimizer


def _zero_steps(trainer: Any) -> list[torch.Tensor]:
    """The step counters of ZeRO's flat groups."""
    return [state[STEP] for state in base_optimizer(trainer).state.values()]


def _link_zero(trainer: Any) -> None:
    """Let ZeRO find the optimiser's state of each weight.

    DeepSpeed 0.19 makes that state in the first step, and links all groups of weights to it after the first group's:
    the others (those without weight decay) would never be found.
    """
    if not trainer.is_deepspeed_enabled:
        return
    zero, adam = trainer.optimizer.optimizer, base_optimizer(trainer)
    is_third = hasattr(zero, "fp32_partitioned_groups_flat")
    fused = any(group.get("fused") for group in adam.param_groups)
    for flat in zero.fp32_partitioned_groups_flat if is_third else zero.single_partition_of_fp32_groups:
        if not adam.state[flat]:
            adam.state[flat] = {kind: torch.zeros_like(flat) for kind in MOMENTS}
            adam.state[flat][STEP] = torch.zeros((), device=flat.device if fused else "cpu")
    if not is_third:
        zero._hp_optimizer_states_linked = False
        zero._lazy_init_hp_params_optimizer_state()
