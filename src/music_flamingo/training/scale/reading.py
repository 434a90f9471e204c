"""Read weights after they are sharded: under FSDP2 each rank reads its own rows of the files, and nothing else.

A model begins without weights (`unread_model`): every parameter has its shape and dtype and no memory, so that adapters
can be added to it as to any other. FSDP2 cuts it, and `read_weights` fills what is left of each parameter, a slice of a
safetensors file. Without sharding it fills the whole parameters.
"""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset
from transformers import GenerationConfig, MusicFlamingoForConditionalGeneration

from music_flamingo.model.files import load_processor, model_path, published_names
from music_flamingo.model.lora import bare
from music_flamingo.model.weights import StoredTensor, stored

UNREAD = "unread_weights"
"""Attribute of a model without weights: parameter -> (name in its file, where it lies)."""
HULLS = ("base_layer", "original_module", "modules_to_save", "default", "_checkpoint_wrapped_module")
"""What peft and checkpointing put into the name of a parameter."""


def unread_model(folder: Path, dtype: torch.dtype) -> MusicFlamingoForConditionalGeneration:
    """The model of `folder/model` without its weights, in evaluation mode. Raises as `load_model` does."""
    path, config = model_path(folder), load_processor(folder)[0]
    for part in (config, config.audio_config, config.text_config):
        part.dtype = dtype
    with torch.device("meta"):
        model = MusicFlamingoForConditionalGeneration(config)
    names, found = published_names(model), stored(path)
    places = {own: names[own] if names[own] in found else own for own in names}
    setattr(model, UNREAD, {own: (name, found[name]) for own, name in places.items()})
    replaced: dict[int, nn.Parameter] = {}
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                empty = torch.zeros((), dtype=dtype).expand(parameter.shape)  # no memory, and on the processor
                module._parameters[name] = replaced.setdefault(id(parameter), nn.Parameter(empty))
        for name in module._non_persistent_buffers_set:
            module._buffers[name] = torch.empty_like(module._buffers[name], device="cpu")
        if module._non_persistent_buffers_set:
            model._init_weights(module)
    if (path / "generation_config.json").is_file():
        model.generation_config = GenerationConfig.from_pretrained(path, local_files_only=True)
    return model.eval()


def is_unread(model: Any) -> bool:
    """Whether its weights are still to be read."""
    return hasattr(bare(model), UNREAD)


def to_meta(model: Any) -> None:
    """Let what is to be read have no storage at all, as `fully_shard` wants it. Adapters stay as they were drawn."""

    def emptied(old: nn.Parameter, stored_as: object) -> nn.Parameter:
        return nn.Parameter(
            torch.empty_like(old, device="meta", memory_format=torch.contiguous_format), old.requires_grad
        )

    if is_unread(model):
        _replace(bare(model), emptied)


def read_weights(model: Any, device: str = "cpu") -> int:
    """Fill the parameters from the files: of a sharded one this rank's rows. Gives the number of bytes read."""
    if not is_unread(model):
        return 0
    inner, num_bytes = bare(model), 0
    files: dict[Path, Any] = {}

    def read(old: nn.Parameter, stored_as: tuple[str, StoredTensor]) -> nn.Parameter:
        nonlocal num_bytes
        name, tensor = stored_as
        if tensor.file not in files:
            files[tensor.file] = safe_open(tensor.file, framework="pt")
        rows = _rows_of(old)
        held = tuple(row.stop - row.start for row in rows)
        # of a few rows the last of many ranks holds none
        part = files[tensor.file].get_slice(name)[rows] if all(held) else torch.empty(held)
        num_bytes += part.nbytes
        local = part.to(device, old.dtype, copy=True).contiguous()
        if not isinstance(old, DTensor):
            return nn.Parameter(local, old.requires_grad)
        sharded = DTensor.from_local(
            local, old.device_mesh, old.placements, run_check=False, shape=old.shape, stride=old.stride()
        )
        return nn.Parameter(sharded, old.requires_grad)

    with torch.no_grad():
        _replace(inner, read)
    delattr(inner, UNREAD)
    return num_bytes


def _rows_of(parameter: torch.Tensor) -> tuple[slice, ...]:
    """What this rank holds of a parameter."""
    shape, offset = tuple(parameter.shape), (0,) * parameter.ndim
    if isinstance(parameter, DTensor):
        shape, offset = compute_local_shape_and_global_offset(shape, parameter.device_mesh, parameter.placements)
    return tuple(slice(first, first + count) for first, count in zip(offset, shape, strict=True))


def _replace(model: nn.Module, make: Any) -> None:
    """Put `make(parameter, its place in the files)` in place of each parameter that has one, file by file."""
    places: Mapping[str, tuple[str, StoredTensor]] = getattr(model, UNREAD)
    holders: dict[int, list[tuple[nn.Module, str]]] = defaultdict(list)
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                holders[id(parameter)].append((module, name))
    for name, parameter in list(model.named_parameters()):
        place = places.get(".".join(part for part in name.split(".") if part not in HULLS))
        if place is not None:
            made = make(parameter, place)
            for module, own in holders[id(parameter)]:
                module._parameters[own] = made
