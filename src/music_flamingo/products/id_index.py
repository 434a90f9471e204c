"""Index from a track's id to its shard, for look-up without a scan.

The index is made on first use from the `id` column alone and kept next to the ports, in `_index`, under the digest of
`tracks`: it enters no digest and may be deleted at any time. It is an Arrow file, ids sorted, read through memory
mapping; a look-up is a binary search. All other tables keep a track's records in the shard of the same number.
"""

import os
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import overload

import pyarrow as pa
import pyarrow.parquet as pq

from music_flamingo.core.manifest import Manifest
from music_flamingo.core.shards import atomic_path, shard_index, shard_paths

INDEX_FOLDER = "_index"
SCHEMA = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("shard", pa.int32(), nullable=False)])
NEAREST = 5
NEIGHBOURS = 200
"""Ids on either side of an unknown one, in sorted order, among which the nearest are looked for."""
SMALL = 20_000
"""Up to so many ids all of them are compared: a slip in the first letters lies far away in sorted order."""


class _Ids(Sequence[str]):
    """A column of sorted ids as a sequence that `bisect` can search without reading it whole."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._column = column

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [str(v) for v in self._column[place].to_pylist()]
        return str(self._column[place].as_py())

    def __len__(self) -> int:
        return len(self._column)


@dataclass(frozen=True)
class IdIndex:
    """Track ids, sorted, and the shard of each."""

    table: pa.Table

    def shard(self, track_id: str) -> int | None:
        """Number of the shard that holds this track; None where no shard does."""
        ids = _Ids(self.table["id"])
        place = bisect_left(ids, track_id)
        found = place < len(ids) and ids[place] == track_id
        return int(self.table["shard"][place].as_py()) if found else None

    def nearest(self, wanted: str) -> list[str]:
        """The ids most like `wanted`, the likest first."""
        ids = _Ids(self.table["id"])
        place = bisect_left(ids, wanted)
        around = ids[:] if len(ids) <= SMALL else ids[max(0, place - NEIGHBOURS) : place + NEIGHBOURS]
        return get_close_matches(wanted, around, n=NEAREST, cutoff=0.5)


def open_index(data: Path, manifest: Manifest) -> IdIndex:
    """The index of `data/tracks`, made when there is none for this digest (a pass over the ids)."""
    path = data / INDEX_FOLDER / f"tracks-{manifest.digest[:16]}.arrow"
    if not path.is_file():
        made = _scan(data / "tracks")
        if not os.access(data, os.W_OK):
            return IdIndex(made)
        _write(path, made)
    return IdIndex(pa.ipc.open_file(pa.memory_map(str(path))).read_all())


def _scan(root: Path) -> pa.Table:
    parts = []
    for path in shard_paths(root):
        ids = pq.read_table(path, columns=["id"])["id"].combine_chunks()
        shard = pa.array([shard_index(path)] * len(ids), pa.int32())
        parts.append(pa.table([ids, shard], schema=SCHEMA))
    table = pa.concat_tables(parts) if parts else SCHEMA.empty_table()
    return table.sort_by("id").combine_chunks()


def _write(path: Path, table: pa.Table) -> None:
    for outdated in path.parent.glob("tracks-*.arrow"):
        outdated.unlink()
    with atomic_path(path) as temporary, pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as file:
        file.write_table(table)
