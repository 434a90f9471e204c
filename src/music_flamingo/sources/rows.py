"""Rows of a CSV, JSONL or Parquet file about recordings, each with the line it stands in.

A row that cannot be used is kept with what is wrong with it: its track is quarantined, and the others go on. All text
is untrusted.
"""

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pyarrow as pa
import pyarrow.parquet as pq

from music_flamingo.core.errors import UserError
from music_flamingo.records.track import Split

FIELDS = (
    *("id", "uri", "title", "artist", "work", "album", "region", "tradition", "language", "licence", "lyrics", "split"),
)
"""What is read of a row; other columns are passed over."""
SUFFIXES = (".csv", ".jsonl", ".parquet")
MAX_CELL_CHARS = 2**20
"""Of a cell: a longer one is a mistake, such as a quote that is never closed."""
SPLITS: tuple[str, ...] = get_args(Split)


@dataclass(frozen=True)
class ListingRow:
    line: int
    """From 1 on; of a Parquet file the number of the row."""
    values: Mapping[str, str]
    """Of FIELDS, those that are given."""
    problem: str | None = None


def read_rows(path: Path, columns: Mapping[str, str]) -> Iterator[ListingRow]:
    """Rows in order. `columns` names the column of a field where it is called otherwise.

    Raises UserError naming the file when it is missing, of another kind, unreadable, or lacks a column of `columns`.
    """
    unknown = sorted(set(columns) - set(FIELDS))
    if unknown:
        raise UserError(f"columns of {path} name the fields {', '.join(unknown)}; there are {', '.join(FIELDS)}.")
    if not path.is_file():
        raise UserError(f"{path} does not exist. Give a {', '.join(SUFFIXES)} file.")
    readers = {".csv": _csv_rows, ".jsonl": _json_rows, ".parquet": _parquet_rows}
    if path.suffix.casefold() not in readers:
        raise UserError(f"{path} is no table that is known. Give a {', '.join(SUFFIXES)} file.")
    names = {field: columns.get(field, field) for field in FIELDS}
    try:
        for line, found, problem in readers[path.suffix.casefold()](path, tuple(columns.values())):
            yield _row(line, found, names, problem)
    except (UnicodeDecodeError, csv.Error, pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} cannot be read: {error}. CSV and JSONL are read as UTF-8.") from error


def _row(line: int, found: Mapping[str, object], names: Mapping[str, str], problem: str | None) -> ListingRow:
    values: dict[str, str] = {}
    for field, column in names.items():
        value = found.get(column)
        if value is None or value == "":
            continue
        if isinstance(value, (dict, list, bytes)):
            problem = problem or f"{column} is no text"
            continue
        values[field] = str(value)
        if len(values[field]) > MAX_CELL_CHARS:
            problem = problem or f"{column} has {len(values[field])} characters, more than {MAX_CELL_CHARS}"
            del values[field]
    if "split" in values and values["split"] not in SPLITS:
        problem = problem or f"split is {values['split']!r}, not one of {', '.join(SPLITS)}"
    return ListingRow(line, values, problem)


Found = tuple[int, Mapping[str, object], str | None]


def _csv_rows(path: Path, needed: Sequence[str]) -> Iterator[Found]:
    csv.field_size_limit(sys.maxsize)  # long cells are refused one by one, not with the whole table
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        _check_columns(path, header, needed)
        start = reader.line_num + 1
        for cells in reader:
            line, start = start, reader.line_num + 1
            if not cells:
                continue
            count = len(cells)
            problem = None if count == len(header) else f"{count} cells, the head of the table has {len(header)}"
            yield line, dict(zip(header, cells, strict=False)) if problem is None else {}, problem


def _json_rows(path: Path, needed: Sequence[str]) -> Iterator[Found]:
    del needed  # every line has names of its own
    with path.open(encoding="utf-8") as file:
        for line, text in enumerate(file, start=1):
            if not text.strip():
                continue
            try:
                value = json.loads(text)
            except ValueError as error:
                yield line, {}, f"no JSON: {error}"
                continue
            except RecursionError:
                yield line, {}, "its JSON is nested too deeply"
                continue
            yield (line, value, None) if isinstance(value, dict) else (line, {}, "no JSON object")


def _parquet_rows(path: Path, needed: Sequence[str]) -> Iterator[Found]:
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        _check_columns(path, names, needed)
        line = 0
        for batch in file.iter_batches(columns=[n for n in names if n in {*FIELDS, *needed}]):
            for values in batch.to_pylist():
                line += 1
                yield line, values, None


def _check_columns(path: Path, header: Iterable[str], needed: Sequence[str]) -> None:
    missing = sorted(set(needed) - set(header))
    if missing:
        raise UserError(f"{path} has no column {', '.join(missing)}. It has: {', '.join(header)}.")
