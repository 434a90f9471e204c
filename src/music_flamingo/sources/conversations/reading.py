"""Stream the entries of a folder of published conversations: JSON arrays, or JSON lines, of any size.

An entry that cannot be read is given with its problem, and the others go on. An array that breaks off, or holds what is
no JSON, gives one problem for its rest: where the next entry would begin is not known.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from music_flamingo.core.errors import UserError
from music_flamingo.core.hashing import sha256_file, sha256_json

SUFFIXES = (".json", ".jsonl")
CHUNK_CHARS = 2**20
MAX_ENTRY_CHARS = 2**23
"""Of an entry: a longer one is a mistake, such as a text that is never closed."""
NO_JSON, TOO_LONG, NO_OBJECT, BROKEN_OFF = "no_json", "entry_too_long", "no_object", "rest_unreadable"


class ConversationEntry(NamedTuple):
    """One entry as its file gives it: `value`, or the problem."""

    place: str
    """`afthink/FMA.json:12`: the file below the folder, and the number of the entry (of the line, in JSON lines)."""
    file_number: int
    """Of its file, from 0 on."""
    value: Mapping[str, Any]
    problem: str | None = None


def files_of(folder: Path) -> list[Path]:
    """The JSON files of a folder at any depth, in order. Raises UserError where there is none."""
    found = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and not _is_hidden(path, folder))
    if not found:
        raise UserError(f"{folder} holds no .json or .jsonl file. Give the folder of the published conversations.")
    return found


def folder_sha256(folder: Path) -> str:
    """Stands for the conversations of a folder: the names and contents of its files."""
    return sha256_json([[path.relative_to(folder).as_posix(), sha256_file(path)] for path in files_of(folder)])


def entries_of(folder: Path) -> Iterator[ConversationEntry]:
    """All entries of a folder, file by file, in bounded memory."""
    for file_number, path in enumerate(files_of(folder)):
        name = path.relative_to(folder).as_posix()
        with path.open(encoding="utf-8-sig", errors="replace", newline="\n") as file:
            for number, value, problem in _values(file):
                if problem is None and not isinstance(value, dict):
                    problem = NO_OBJECT
                yield ConversationEntry(
                    f"{name}:{number}", file_number, value if isinstance(value, dict) else {}, problem
                )


Found = tuple[int, Any, str | None]


def _values(file: TextIO) -> Iterator[Found]:
    while (start := file.read(1)).isspace():
        pass
    yield from _array(file) if start == "[" else _lines(file, start)


def _lines(file: TextIO, start: str) -> Iterator[Found]:
    number = 0
    while line := start + file.readline(MAX_ENTRY_CHARS):
        start, number = "", number + 1
        if not line.strip():
            continue
        if len(line) > MAX_ENTRY_CHARS:
            while (rest := file.readline(MAX_ENTRY_CHARS)) and not rest.endswith("\n"):
                pass
            yield number, None, TOO_LONG
            continue
        try:
            yield number, json.loads(line), None
        except (ValueError, RecursionError):
            yield number, None, NO_JSON


def _array(file: TextIO) -> Iterator[Found]:
    decode, text, at, number = json.JSONDecoder().raw_decode, "", 0, 1
    while True:
        at = _next(text, at)
        if at == len(text):
            text, at = file.read(CHUNK_CHARS), 0
            if not text:
                yield number, None, BROKEN_OFF
                return
            continue
        if text[at] == "]":
            return
        try:
            value, at = decode(text, at)
        except (ValueError, RecursionError):
            more = file.read(CHUNK_CHARS) if len(text) - at < MAX_ENTRY_CHARS else ""
            if not more:
                yield number, None, BROKEN_OFF
                return
            text, at = text[at:] + more, 0
            continue
        yield number, value, None
        number += 1


def _next(text: str, at: int) -> int:
    """Where the next value, or the end of the array, begins."""
    while at < len(text) and text[at] in " \t\r\n,":
        at += 1
    return at


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)
