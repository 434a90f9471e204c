"""Safetensors files by header: names, shapes and bytes; link weights or add rows without loading a tensor.

No file of weights is copied: a model folder that keeps its weights holds links to them, by the same names.
"""

import errno
import json
import os
import shutil
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from music_flamingo.core.errors import CorruptDataError, MissingInputError, UserError
from music_flamingo.core.shards import atomic_path, write_atomic

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
GROWN = "model-grown.safetensors"
"""Holds matrices with rows that the linked files lack; transformers reads it last, for its name sorts behind theirs."""
NO_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES)
"""What a file system answers that makes no hard link here."""
CHUNK_BYTES = 16 * 2**20

DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file: dtype as safetensors writes it, shape, first byte and number of bytes."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    num_bytes: int


def stored(folder: Path) -> dict[str, StoredTensor]:
    """Every tensor of a model folder by name, of the file that its index names.

    Raises MissingInputError where a file is missing, CorruptDataError where one does not hold what the index says.
    """
    if not (folder / INDEX).is_file():
        files = sorted(folder.glob("*.safetensors"))
        if len(files) != 1:
            raise MissingInputError(
                f"{folder} holds {len(files)} *.safetensors and no {INDEX}: fetch the folder whole."
            )
        return _header(files[0])
    weight_map: dict[str, str] = json.loads((folder / INDEX).read_text())["weight_map"]
    found: dict[str, StoredTensor] = {}
    for name in sorted(set(weight_map.values())):
        if not (folder / name).is_file():
            raise MissingInputError(f"{folder / name} is missing, which {INDEX} names: fetch the folder whole.")
        tensors = _header(folder / name)
        listed = [tensor for tensor, file in weight_map.items() if file == name]
        if missing := sorted(set(listed) - tensors.keys()):
            raise CorruptDataError(f"{folder / name} holds no {missing[0]}, which {INDEX} expects: fetch it again.")
        found |= {tensor: tensors[tensor] for tensor in listed}
    return found


def _header(file: Path) -> dict[str, StoredTensor]:
    size = file.stat().st_size
    with file.open("rb") as opened:
        start = opened.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if 8 + length > size:
            raise CorruptDataError(f"{file} is not a whole safetensors file ({size} bytes): fetch it again.")
        header = json.loads(opened.read(length))
    tensors = {}
    for name, said in header.items():
        if name != "__metadata__":
            first, last = said["data_offsets"]
            tensors[name] = StoredTensor(file, said["dtype"], tuple(said["shape"]), 8 + length + first, last - first)
    if tensors and max(t.start + t.num_bytes for t in tensors.values()) != size:
        raise CorruptDataError(f"{file} was cut short ({size} bytes): fetch it again.")
    return tensors


def num_parameters(tensors: Mapping[str, StoredTensor]) -> int:
    """Numbers in all of them."""
    return sum(prod(tensor.shape) for tensor in tensors.values())


def link_weights(source: Path, target: Path) -> None:
    """Every weight file of `source`, and their index, under the same name in `target`.

    On one disk they are links to the same bytes (hard links); from another disk a link by name. Neither is a copy.
    """
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted({tensor.file for tensor in stored(source).values()}):
        link_file(file.resolve(), target / file.name)
    if (source / INDEX).is_file():
        shutil.copyfile(source / INDEX, target / INDEX)


def link_file(file: Path, name: Path) -> None:
    """Let `name` be the same file as `file`: a hard link, or a link by name where that cannot be."""
    name.unlink(missing_ok=True)
    try:
        os.link(file, name)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        name.symlink_to(file)


def link_or_copy(file: Path, name: Path) -> None:
    """Let `name` hold the bytes of `file` and stand alone: a hard link, or a copy where that cannot be."""
    name.unlink(missing_ok=True)
    try:
        os.link(file.resolve(), name)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        copy_file(file, name)


def copy_file(file: Path, name: Path) -> None:
    """Let `name` be a file of its own with the bytes of `file`."""
    with atomic_path(name) as temporary:
        shutil.copyfile(file, temporary)


def is_layout_of(folder: Path, tensors: Mapping[str, torch.Tensor]) -> bool:
    """Whether the folder has several files of weights and an index that lists all these."""
    if not (folder / INDEX).is_file():
        return False
    return tensors.keys() <= json.loads((folder / INDEX).read_text())["weight_map"].keys()


def write_like(before: Path, tensors: Mapping[str, torch.Tensor], folder: Path) -> None:
    """Write tensors into the files that the index of `before` names for them.

    A file that holds these alone, and the same bytes as before, is linked and not written. One is read at a time.
    """
    listed: dict[str, str] = json.loads((before / INDEX).read_text())["weight_map"]
    weight_map = {name: listed[name] for name in sorted(tensors)}
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted(set(weight_map.values())):
        held = {name: tensors[name] for name, place in weight_map.items() if place == file}
        if _are_the_same(before / file, held):
            link_or_copy(before / file, folder / file)
            continue
        (folder / file).unlink(missing_ok=True)
        with atomic_path(folder / file) as temporary:
            save_file({n: t.detach().cpu().contiguous() for n, t in held.items()}, temporary, {"format": "pt"})
    index = {"metadata": {"total_size": sum(t.nbytes for t in tensors.values())}, "weight_map": weight_map}
    write_atomic(folder / INDEX, json.dumps(index, indent=2) + "\n")


def _are_the_same(file: Path, tensors: Mapping[str, torch.Tensor]) -> bool:
    with safe_open(file, framework="pt") as opened:
        if set(opened.keys()) != tensors.keys():
            return False
        for name, tensor in tensors.items():
            before = opened.get_tensor(name)
            if before.dtype != tensor.dtype or not torch.equal(before, tensor.detach().cpu()):
                return False
    return True


def grow(folder: Path, names: tuple[str, ...], rows: range) -> None:
    """Give the named matrices of a folder of linked weights the rows `rows`, each the mean of the rows before them.

    The grown matrices are written to a file of their own, and the index names it; the linked files stay as they are.
    A matrix that has such rows already keeps its length, and they are set to the mean as well. Raises UserError for a
    matrix that the folder lacks.
    """
    tensors = stored(folder)
    if missing := [name for name in names if name not in tensors]:
        raise UserError(f"{folder} has no weight {missing[0]}: its words cannot be given new tokens.")
    shapes = {name: (max(tensors[name].shape[0], rows.stop), *tensors[name].shape[1:]) for name in names}
    header, offset = {}, 0
    for name in names:
        num_bytes = prod(shapes[name]) * DTYPES[tensors[name].dtype].itemsize
        header[name] = {
            "dtype": tensors[name].dtype,
            "shape": list(shapes[name]),
            "data_offsets": [offset, offset + num_bytes],
        }
        offset += num_bytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with (folder / GROWN).open("wb") as written:
        written.write(struct.pack("<Q", len(text)) + text)
        for name in names:
            _write_grown(written, tensors[name], rows)
    _name_in_index(folder, tensors, names)


def _write_grown(written, tensor: StoredTensor, rows: range) -> None:
    row_bytes, total, seen = tensor.num_bytes // tensor.shape[0], torch.zeros(tensor.shape[1:]).double(), 0
    parts = _rows(tensor, rows.start)
    for part in parts:
        total += part.double().sum(0)
        seen += len(part)
        written.write(part.view(torch.uint8).numpy().tobytes())
    mean = (total / seen).to(DTYPES[tensor.dtype])
    for _ in rows:
        written.write(mean.view(torch.uint8).numpy().tobytes())
    if tensor.shape[0] > rows.stop:
        with tensor.file.open("rb") as file:
            file.seek(tensor.start + rows.stop * row_bytes)
            written.write(file.read((tensor.shape[0] - rows.stop) * row_bytes))


def _rows(tensor: StoredTensor, count: int) -> Iterator[torch.Tensor]:
    """The first `count` rows of a matrix, some of them at a time."""
    width = tensor.num_bytes // tensor.shape[0]
    step = max(1, CHUNK_BYTES // width)
    with tensor.file.open("rb") as file:
        file.seek(tensor.start)
        for first in range(0, count, step):
            read = bytearray(file.read(min(step, count - first) * width))
            yield torch.frombuffer(read, dtype=DTYPES[tensor.dtype]).view(-1, *tensor.shape[1:])


def _name_in_index(folder: Path, tensors: Mapping[str, StoredTensor], names: tuple[str, ...]) -> None:
    weight_map = {name: GROWN if name in names else tensor.file.name for name, tensor in sorted(tensors.items())}
    total = sum(tensor.num_bytes for tensor in stored_in(folder, weight_map).values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n")


def stored_in(folder: Path, weight_map: Mapping[str, str]) -> dict[str, StoredTensor]:
    """The tensors that an index names."""
    headers = {file: _header(folder / file) for file in set(weight_map.values())}
    return {name: headers[file][name] for name, file in weight_map.items()}
