"""Append-only log of finished calls, one JSON object a line.

A batch is written, flushed to disk, and only then counted: a kill costs the batch in flight. A last line that a kill
cut is dropped when the ledger is opened again.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import ValidationError

from music_flamingo.core.errors import CorruptDataError
from music_flamingo.core.lines import well_formed
from music_flamingo.core.record import RecordPart


class Entry(RecordPart):
    """A finished call under its key."""

    key: str
    """What the call was: equal keys have equal answers."""


class LedgerEntry(Entry):
    """What a model said about one item under one condition."""

    item_id: str
    condition: str
    output: str
    problem: str = ""
    """Why the recording could not be heard; the output is empty then, and counts as unparsed."""
    thoughts: str = ""
    """What a server split off from the output."""
    finish_reason: str = ""
    """`length`: the output was cut at the limit of new tokens."""


class Judgement(Entry):
    """What a judge said about one answer."""

    item_id: str
    condition: str
    task: str
    reply: str


E = TypeVar("E", bound=Entry)


class Ledger(Generic[E]):
    """Reads and appends finished calls of one kind; a torn last line is dropped."""

    def __init__(self, path: Path, kind: type[E]) -> None:
        self.path, self._kind = path, kind
        self.entries: dict[str, E] = {}
        for entry in _read(path, kind):
            self.entries[entry.key] = entry

    def add(self, entries: Iterable[E]) -> None:
        """Write entries and wait until they are on disk."""
        new = list(entries)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(entry.model_dump_json() + "\n" for entry in new)
            file.flush()
            os.fsync(file.fileno())
        self.entries.update((entry.key, entry) for entry in new)


def _read(path: Path, kind: type[E]) -> list[E]:
    if not path.is_file():
        return []
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        with path.open("r+b") as file:
            file.truncate(whole)
    entries = []
    for number, line in enumerate(data[:whole].split(b"\n")[:-1], 1):
        try:
            entries.append(kind.model_validate(well_formed(json.loads(line))))
        except (ValueError, ValidationError) as error:
            message = f"{path}, line {number} is damaged ({error}): delete the line or the file."
            raise CorruptDataError(message) from error
    return entries
