"""Record: a frozen pydantic model whose Arrow schema follows from its fields. One record, one row of Parquet."""

import types
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self, TypeVar, Union, get_args, get_origin

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, field_validator

from music_flamingo.core.shards import atomic_path

OK = "ok"
QUARANTINED = "quarantined:"

AUDIO_TOGETHER_BYTES = 16 * 2**20
"""Of compressed audio in a row group: 60 clips of 12 s, or a long song."""

R = TypeVar("R", bound="Record")


class RecordPart(BaseModel):
    """A piece of a record: frozen, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", allow_inf_nan=False)


class Record(RecordPart):
    """One row. `status` is `ok` or `quarantined:<reason>`; a quarantined record is kept, counted and shown."""

    id: str
    status: str = OK

    @field_validator("status")
    @classmethod
    def _known_status(cls, status: str) -> str:
        if status != OK and not (status.startswith(QUARANTINED) and len(status) > len(QUARANTINED)):
            raise ValueError(f"status is `ok` or `quarantined:<reason>`, not {status!r}")
        return status

    @property
    def is_ok(self) -> bool:
        """Whether the record is accepted."""
        return self.status == OK

    def quarantined(self, reason: str) -> Self:
        """A copy of the record with this reject reason."""
        return self.model_copy(update={"status": QUARANTINED + reason})


class Provenance(RecordPart):
    """Where a record came from. Holds no clock and no host name."""

    made_by: str
    """Stage name."""
    tool: str
    tool_version: str
    parents: tuple[str, ...] = ()
    """Ids of the records this one was made from."""
    seed: int | None = None


_SCALARS: dict[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    # a shard may hold more than 2 GiB of sound, where the offsets of pa.binary() end
    bytes: pa.large_binary(),
}


def arrow_type(annotation: Any) -> pa.DataType:
    """Arrow type of a field's annotation. Raises TypeError for what a row cannot hold."""
    origin = get_origin(annotation)
    if origin is Literal:
        return pa.string()
    if origin in (Union, types.UnionType):
        inner = [a for a in get_args(annotation) if a is not type(None)]
        if len(inner) != 1:
            raise TypeError(f"a column has one type: {annotation}")
        return arrow_type(inner[0])
    if origin in (list, tuple):
        return pa.list_(arrow_type(get_args(annotation)[0]))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return pa.struct([_field(name, f.annotation) for name, f in annotation.model_fields.items()])
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    raise TypeError(f"no Arrow type for {annotation}")


def _field(name: str, annotation: Any) -> pa.Field:
    optional = get_origin(annotation) in (Union, types.UnionType) and type(None) in get_args(annotation)
    return pa.field(name, arrow_type(annotation), nullable=optional)


@cache
def arrow_schema(record: type[Record]) -> pa.Schema:
    """Arrow schema of a record class."""
    return pa.schema(
        [_field(name, f.annotation) for name, f in record.model_fields.items()], metadata={"record": record.__name__}
    )


def write_parquet(path: Path, record: type[Record], records: Sequence[Record]) -> None:
    """Write records as one Parquet file, atomically. The bytes depend on the records alone."""
    write_table(path, record, pa.Table.from_pylist([r.model_dump() for r in records], schema=arrow_schema(record)))


def write_table(path: Path, record: type[Record], table: pa.Table) -> None:
    """Write rows that are records already, as columns, atomically. They are taken at their word: nothing validates."""
    table = table.select(arrow_schema(record).names).cast(arrow_schema(record)).combine_chunks()
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", row_group_size=_rows_together(table))


def _rows_together(table: pa.Table) -> int | None:
    """So few that one recording is read without the rest of its shard; None, all, where there is no audio."""
    if "audio" not in table.column_names or not table.num_rows:
        return None
    num_bytes = int(pc.sum(pc.binary_length(pc.struct_field(table["audio"], "bytes"))).as_py() or 1)
    return max(1, int(table.num_rows) * AUDIO_TOGETHER_BYTES // num_bytes)


def read_parquet(path: Path, record: type[R], without: Sequence[str] = ()) -> Iterable[R]:
    """Records of one file, validated one by one, in batches that keep memory small.

    Columns of `without` are not read and are None: sound, for those who open the original.
    """
    columns = [name for name in record.model_fields if name not in without] if without else None
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=64, columns=columns):
            for row in batch.to_pylist():
                yield record.model_validate(dict.fromkeys(without) | row)
