"""Atomic files: written under a temporary name, flushed to disk, then renamed; an existing name is complete."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

from music_flamingo.core.errors import ConfigError

SHARD_PATTERN = "part-{:05d}.parquet"
SHARD_GLOB = "part-*.parquet"
TEMPORARY_PATTERN = ".*.tmp"
"""Files that were being written when a run was killed: no part of any result."""


def shard_path(root: Path, index: int) -> Path:
    """Path of the shard with this index."""
    return root / SHARD_PATTERN.format(index)


def shard_paths(root: Path) -> list[Path]:
    """Paths of all shards in a folder, in order."""
    return sorted(root.glob(SHARD_GLOB))


def shard_index(path: PurePath) -> int:
    """Index of a shard, from its file name."""
    return int(path.stem.removeprefix("part-"))


def parse_range(text: str) -> range:
    """`8-15` -> the shards 8 to 15, both included."""
    first, separator, last = text.partition("-")
    if not (separator and first.isdecimal() and last.isdecimal() and int(first) <= int(last)):
        raise ConfigError(f"a range of shards reads FIRST-LAST, as in 8-15, not {text!r}.")
    return range(int(first), int(last) + 1)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path in the same folder; on success fsync and rename it to `path`, else remove it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as f:
            os.fsync(f.fileno())
        temporary.chmod(0o644)
        temporary.rename(path)
        _fsync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write bytes or UTF-8 text atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
