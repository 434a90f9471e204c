"""Read a TensorFlow checkpoint of version 2 (a TensorBundle) with numpy alone.

`.index` is a LevelDB table of uncompressed blocks: tensor name -> BundleEntryProto (type, shape, offset, size).
`.data-00000-of-00001` holds the tensors one after another.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from music_flamingo.core.errors import CorruptDataError

FOOTER_BYTES = 48
TYPES: dict[int, type[np.generic]] = {1: np.float32, 2: np.float64, 3: np.int32, 9: np.int64}
"""TensorFlow's numbers of the types that weights have."""
TYPE, SHAPE, OFFSET, SIZE = 1, 2, 4, 5
"""Fields of a BundleEntryProto."""


def read_tensors(folder: Path) -> dict[str, np.ndarray]:
    """All tensors of the checkpoint without a name in `folder`. Raises CorruptDataError where its files are none."""
    index, data = ((folder / name).read_bytes() for name in (".index", ".data-00000-of-00001"))
    try:
        return dict(_tensors(index, data))
    except (IndexError, KeyError, ValueError, struct.error) as error:
        raise CorruptDataError(f"{folder}: no TensorFlow checkpoint of version 2: {error}. Install it anew.") from error


def _tensors(index: bytes, data: bytes) -> Iterator[tuple[str, np.ndarray]]:
    footer, at = index[-FOOTER_BYTES:], 0
    for _ in range(2):  # where the meta index lies, of no use here
        _, at = _varint(footer, at)
    start, at = _varint(footer, at)
    size, _ = _varint(footer, at)
    for _, handle in _block(index, start, size):
        start, at = _varint(handle, 0)
        size, _ = _varint(handle, at)
        for name, entry in _block(index, start, size):
            if name:
                yield name.decode(), _tensor(entry, data)


def _tensor(entry: bytes, data: bytes) -> np.ndarray:
    numbers = {TYPE: 0, OFFSET: 0, SIZE: 0}
    shape: list[int] = []
    for field, value in _fields(entry):
        if field == SHAPE and isinstance(value, bytes):
            sizes = [dict(_fields(part)).get(1, 0) for _, part in _fields(value) if isinstance(part, bytes)]
            shape = [int(one) for one in sizes]
        elif field in numbers and isinstance(value, int):
            numbers[field] = value
    part = data[numbers[OFFSET] : numbers[OFFSET] + numbers[SIZE]]
    return np.frombuffer(part, TYPES[numbers[TYPE]]).reshape(shape)


def _block(table: bytes, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block; each key names how much it shares with the one before."""
    if table[start + size]:
        raise ValueError("a compressed block")
    block, at, key = table[start : start + size], 0, b""
    end = len(block) - 4 - 4 * struct.unpack("<I", block[-4:])[0]
    while at < end:
        shared, at = _varint(block, at)
        rest, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + rest]
        yield key, block[at + rest : at + rest + length]
        at += rest + length


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protocol buffer's message: numbers and bytes."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind, value = tag & 7, b""
        if kind == 0:
            number, at = _varint(message, at)
            yield tag >> 3, number
            continue
        if kind == 2:
            length, at = _varint(message, at)
        else:
            length = {1: 8, 5: 4}[kind]
        value, at = message[at : at + length], at + length
        yield tag >> 3, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """(the number, where it ends)."""
    number = shift = 0
    while True:
        byte, at = data[at], at + 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return number, at
