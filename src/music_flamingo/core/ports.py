"""Ports: inputs and outputs of a stage. A table is a folder of Parquet shards, a folder holds any files."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from music_flamingo.core.manifest import WORK_NAME, Manifest
from music_flamingo.core.record import Record, arrow_schema, read_parquet, write_parquet, write_table
from music_flamingo.core.shards import shard_path, shard_paths

R = TypeVar("R", bound=Record)


class Folder:
    """The type of a port that holds files rather than records: a model, a site, data docs."""


@dataclass(frozen=True)
class InputFolder:
    """A finished folder port."""

    root: Path
    manifest: Manifest

    @property
    def digest(self) -> str:
        """Digest of the port's content."""
        return self.manifest.digest


@dataclass(frozen=True)
class OutputFolder:
    """A folder port being written. What lies under `work` is scratch: kept over an interruption, then removed."""

    root: Path

    @property
    def work(self) -> Path:
        """Folder for intermediate files, kept over interrupted runs."""
        path = self.root / WORK_NAME
        path.mkdir(parents=True, exist_ok=True)
        return path


@dataclass(frozen=True)
class Table(Generic[R]):
    """A finished table port, or the part of it that its manifest lists. Iterating gives every record, quarantined ones
    too; `ok()` gives the good ones."""

    root: Path
    record: type[R]
    manifest: Manifest

    @property
    def digest(self) -> str:
        """Digest of the port's content."""
        return self.manifest.digest

    @property
    def shards(self) -> list[Path]:
        """Paths of the shards, in order."""
        return [self.root / shard.path for shard in self.manifest.shards]

    def __iter__(self) -> Iterator[R]:
        for path in self.shards:
            yield from read_parquet(path, self.record)

    def __len__(self) -> int:
        if self.manifest.num_records is not None:
            return self.manifest.num_records
        return sum(pq.read_metadata(path).num_rows for path in self.shards)

    def ok(self) -> Iterator[R]:
        """Iterate over accepted records."""
        return (r for r in self if r.is_ok)

    def read_shard(self, index: int, without: Sequence[str] = ()) -> list[R]:
        """Read one shard into memory; columns of `without` are None."""
        return list(read_parquet(shard_path(self.root, index), self.record, without))

    def columns(self, *names: str) -> pa.Table:
        """The named columns of all shards as one Arrow table: the way to read a large table without its audio."""
        return _columns(self.shards, self.record, names)


def _columns(shards: Sequence[Path], record: type[Record], names: Sequence[str]) -> pa.Table:
    schema = pa.schema([arrow_schema(record).field(n) for n in names])
    parts = [pq.read_table(path, columns=list(names)) for path in shards]
    return pa.concat_tables(parts) if parts else schema.empty_table()


@dataclass(frozen=True)
class Writer(Generic[R]):
    """A table port being written, shard by shard. A shard present is a shard complete."""

    root: Path
    record: type[R]
    made_by_branches: bool = False
    """Every shard is there, as branches left it: what failed in one is not tried again."""

    def has(self, index: int) -> bool:
        """Whether this shard is complete."""
        return shard_path(self.root, index).exists()

    def write(self, index: int, records: Sequence[R]) -> None:
        """Write shard `index`; records keep their order."""
        write_parquet(shard_path(self.root, index), self.record, records)

    def write_table(self, index: int, rows: pa.Table) -> None:
        """Write shard `index` from columns of records that were validated before."""
        write_table(shard_path(self.root, index), self.record, rows)

    def write_all(self, records: Sequence[R], shard_size: int) -> None:
        """Write records as shards of `shard_size`, skipping those that an interrupted run left complete."""
        for index, start in enumerate(range(0, max(len(records), 1), shard_size)):
            if not self.has(index):
                self.write(index, records[start : start + shard_size])

    def columns(self, *names: str) -> pa.Table:
        """The named columns of the shards written so far."""
        return _columns(shard_paths(self.root), self.record, names)

    @property
    def work(self) -> Path:
        """Scratch next to the shards: kept over an interruption, then removed."""
        path = self.root / WORK_NAME
        path.mkdir(parents=True, exist_ok=True)
        return path

    def status_counts(self) -> tuple[int, dict[str, int]]:
        """(number of records, count of each status) over the shards on disk."""
        counts: Counter[str] = Counter()
        for path in shard_paths(self.root):
            counts.update(pq.read_table(path, columns=["status"])["status"].to_pylist())
        return counts.total(), dict(sorted(counts.items()))
