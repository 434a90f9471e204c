"""The `table` source: a CSV, JSONL or Parquet listing of recordings (paths, file: and s3: URIs).

Rows that cannot be used become quarantined tracks that name file and line. Two rows with one id stop the stage. The
listing lies in Arrow columns: a million rows take some hundred megabytes.
"""

import json
import logging
import os
import re
import stat
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal, overload
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from music_flamingo.audio.decode import DecodeLimits
from music_flamingo.audio.originals import file_uri_path
from music_flamingo.core.errors import UserError
from music_flamingo.core.hashing import sha256_file, sha256_json
from music_flamingo.sources import Listed, SourceRecording
from music_flamingo.sources.about import clean, describe, describe_by_row, name_of
from music_flamingo.sources.licences import LISTED_RECORDINGS
from music_flamingo.sources.object_store import S3Access
from music_flamingo.sources.rows import FIELDS, ListingRow, read_rows
from music_flamingo.sources.s3 import fetched

log = logging.getLogger(__name__)

SAFE_ID = re.compile(r"\w[\w.\-]{0,127}")
"""Ids name files."""
ROWS_AT_ONCE = 10_000
SHOWN_PROBLEMS = 20
MAX_URI_CHARS = 4096
"""Of a path on Linux."""
SCHEMA = pa.schema([("line", pa.int64()), ("problem", pa.string()), *((f, pa.large_string()) for f in FIELDS)])


class TableConfig(BaseModel):
    """A listing: path, columns, access to S3."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    uses: ClassVar = (LISTED_RECORDINGS,)
    kind: Literal["table"]
    path: str
    """A .csv, .jsonl or .parquet file. Paths in it are relative to its folder."""
    columns: dict[str, str]
    """Field -> column, where a column is called otherwise: {uri: audio_path}. Fields: sources/rows.py."""
    s3: S3Access | None
    """For `s3://bucket/key`; null where there are none."""

    @cached_property
    def listing(self) -> "TableListing":
        """The parsed listing."""
        return read_listing(Path(self.path), self.columns, has_s3=self.s3 is not None)

    def open(self, limits: DecodeLimits) -> "TableSource":
        """Make the source."""
        return TableSource(self, limits)

    def listing_sha256(self) -> str:
        """Stands for the table and the local files that it lists: their sizes and times of change."""
        root = Path(self.path).resolve().parent
        return sha256_json([sha256_file(Path(self.path)), self.listing.local_state(root)])


class TableListing(Sequence[str]):
    """Rows as JSON, made when they are asked for."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table.combine_chunks()

    def __len__(self) -> int:
        return self._table.num_rows

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, int):
            return self._texts(place, 1)[0]
        start, end, step = place.indices(len(self))
        assert step == 1
        return self._texts(start, max(0, end - start))

    def _texts(self, start: int, count: int) -> list[str]:
        rows = self._table.slice(start, count).to_pylist()
        return [json.dumps({k: v for k, v in r.items() if v is not None}, ensure_ascii=False) for r in rows]

    def local_state(self, root: Path) -> str:
        """Digest of the sizes and times of change of the local files that are listed."""
        found = []
        for batch in self._table.select(["uri"]).to_batches(ROWS_AT_ONCE):
            for uri in batch["uri"].to_pylist():
                path = local_path(uri, root) if uri else None
                state = _state(path) if path is not None else None
                if state is not None:
                    found.append([state.st_size, state.st_mtime_ns])
        return sha256_json(found)


def read_listing(path: Path, columns: dict[str, str], *, has_s3: bool) -> TableListing:
    """Raises UserError naming file and lines: for a table that cannot be read or is empty, or ids that occur twice."""
    batches, bad = [], 0
    rows = (_checked(row, path, has_s3) for row in read_rows(path, columns))
    while batch := list(islice(rows, ROWS_AT_ONCE)):
        for row in batch:
            if row["problem"] is not None:
                bad += 1
                if bad <= SHOWN_PROBLEMS:
                    log.warning("%s is quarantined", row["problem"].removeprefix("bad_row:"))
        batches.append(pa.RecordBatch.from_pylist(batch, schema=SCHEMA))
    if bad > SHOWN_PROBLEMS:
        log.warning("%s: %d bad rows in all; their tracks say what is wrong", path, bad)
    if not batches:
        raise UserError(f"{path} has no rows. Give a table that lists recordings, with a column uri.")
    table = pa.Table.from_batches(batches)
    _refuse_repeated(path, table)
    return TableListing(table)


def _checked(row: ListingRow, path: Path, has_s3: bool) -> dict[str, Any]:
    """A row of SCHEMA, with an id in any case."""
    uri, problem = row.values.get("uri", ""), row.problem or _uri_problem(row.values.get("uri", ""), has_s3)
    track_id = row.values.get("id") or name_of(uri[:MAX_URI_CHARS])
    if not problem and not SAFE_ID.fullmatch(track_id):
        problem = f"the id {track_id[:40]!r} holds other signs than letters, digits, dots and dashes, or too many"
    if problem:
        track_id = name_of(f"{path.name}-line-{row.line}")
        problem = f"bad_row:{path.name}, line {row.line}: {problem}"
    values = {name: clean(value) for name, value in row.values.items()}
    return {**values, "line": row.line, "problem": problem, "id": track_id}


def _uri_problem(uri: str, has_s3: bool) -> str | None:
    if not uri:
        return "it has no uri"
    if len(uri) > MAX_URI_CHARS or "\0" in uri:
        return f"its uri has {len(uri)} characters or a zero byte; no place is called so"
    try:
        uri.encode()
        parts = urlsplit(uri if "://" in uri or uri.startswith("file:") else "")
    except ValueError as error:
        return f"its uri cannot be read ({error})"
    scheme = parts.scheme
    if scheme == "s3":
        if not has_s3:
            return "an s3: uri, and ingest.source.s3 says of no store"
        return None if parts.netloc and parts.path.strip("/") else "an s3: uri reads s3://bucket/key"
    return None if scheme in ("", "file") else f"uris of kind {scheme}: are not read"


def _refuse_repeated(path: Path, table: pa.Table) -> None:
    ids = table["id"].combine_chunks()
    order = pa.compute.sort_indices(ids).to_numpy()
    ordered = ids.take(pa.array(order))
    same = np.flatnonzero(pa.compute.equal(ordered[:-1], ordered[1:]).to_numpy(zero_copy_only=False))
    if len(same):
        first, second = sorted(table["line"][int(order[int(same[0]) + n])].as_py() for n in (0, 1))
        raise UserError(
            f"{path}: lines {first} and {second} have the same id, {ordered[int(same[0])].as_py()!r} "
            f"({len(same)} repeated in all). Give every row an id of its own, or leave out what is listed twice."
        )


def local_path(uri: str, root: Path) -> Path | None:
    """Where a path or a file: uri leads; None for other uris."""
    if uri.startswith("file:"):
        return file_uri_path(uri)
    return None if "://" in uri else root / uri


def _state(path: Path) -> os.stat_result | None:
    """Of a file; None where there is none, or its name is too long or otherwise none."""
    try:
        state = path.stat()
    except (OSError, ValueError):
        return None
    return state if stat.S_ISREG(state.st_mode) else None


class TableSource(Listed):
    """Units are rows as JSON."""

    tool = "table"

    def __init__(self, config: TableConfig, limits: DecodeLimits) -> None:
        self._table, self._access, self._limits = Path(config.path).resolve(), config.s3, limits
        super().__init__(lambda: config.listing)

    def tool_version(self) -> str:
        """Version of PyAV."""
        return f"av {version('av')}"

    def recordings(self, unit: str, originals: Path) -> Iterator[SourceRecording]:
        """The recording of one row; rejected where the row has a problem."""
        values: dict[str, Any] = json.loads(unit)
        line, problem = values.pop("line"), values.pop("problem", None)
        row, track_id = ListingRow(line, values), values["id"]
        if problem is not None:
            place = f"{self._table.as_uri()}#line={line}"
            yield describe(row, track_id, place, None, self._table, {}, problem)
            return
        path = local_path(values["uri"], self._table.parent)
        if path is None:
            assert self._access is not None
            parts = urlsplit(values["uri"])
            key = values["uri"].removeprefix(f"s3://{parts.netloc}/")
            yield fetched(self._access, parts.netloc, key, row, track_id, originals, self._limits)
        elif _state(path) is not None:
            yield describe_by_row(row, track_id, path.as_uri(), path.as_uri(), path)
        else:
            yield describe(row, track_id, path.as_uri(), None, path, {}, "missing")
