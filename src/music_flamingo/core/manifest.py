"""The completion manifest: the last file a stage writes into a port, and the proof that the port is whole.

`_manifest.json` lists every file with its SHA-256; its `digest` stands for the content. No clock, host name
or path enters it, so equal digests mean equal data. `_progress.json` marks a port that is being written: a
rerun with the same key goes on from the shards it finds, another key starts afresh.
"""

import json
import shutil
from pathlib import Path, PurePath
from typing import Any

from pydantic import BaseModel, ConfigDict

from music_flamingo.core.errors import CorruptDataError, MissingInputError
from music_flamingo.core.hashing import sha256_file, sha256_json
from music_flamingo.core.licences import Licence
from music_flamingo.core.shards import SHARD_GLOB, TEMPORARY_PATTERN, shard_index, write_atomic

MANIFEST_NAME = "_manifest.json"
PROGRESS_NAME = "_progress.json"
WORK_NAME = "_work"
"""Scratch space inside a port (checkpoints, caches): not part of the result, removed when the stage completes."""


class FileEntry(BaseModel):
    model_config = ConfigDict(frozen=True)
    path: str
    sha256: str
    num_bytes: int


class Manifest(BaseModel):
    model_config = ConfigDict(frozen=True)
    stage: str
    port: str
    record: str
    """Name of the record type, or `folder`."""
    key: str
    """What the result depends on: stage, configuration, input digests, code."""
    config: dict[str, Any]
    inputs: dict[str, str]
    """Port name -> digest."""
    files: tuple[FileEntry, ...]
    num_records: int | None
    status: dict[str, int]
    """How many records are `ok` and how many `quarantined:<reason>`."""
    metrics: dict[str, Any]
    digest: str
    licences: tuple[Licence, ...] = ()
    """Of all that this port was made with: its stage's tools, and those behind its inputs."""

    @property
    def shards(self) -> tuple[FileEntry, ...]:
        """The files that are shards of a table, in order."""
        return tuple(f for f in self.files if PurePath(f.path).match(SHARD_GLOB))


def list_files(root: Path) -> tuple[FileEntry, ...]:
    """Every file of a port but its bookkeeping, in order of path."""
    found = []
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        bookkeeping = relative.parts[0] in (MANIFEST_NAME, PROGRESS_NAME, WORK_NAME)
        if path.is_file() and not bookkeeping:
            found.append(FileEntry(path=str(relative), sha256=sha256_file(path), num_bytes=path.stat().st_size))
    return tuple(found)


def files_digest(files: tuple[FileEntry, ...]) -> str:
    return sha256_json([[f.path, f.sha256] for f in files])


def read_manifest(root: Path) -> Manifest:
    """The manifest of a finished port.

    Raises MissingInputError when there is none, CorruptDataError when it cannot be read.
    """
    path = root / MANIFEST_NAME
    if not path.is_file():
        raise MissingInputError(
            f"{root} has no {MANIFEST_NAME}: its stage has not finished. Run the stage that gives `{root.name}` "
            "first (`mf stages` lists who gives what)."
        )
    try:
        return Manifest.model_validate_json(path.read_text())
    except ValueError as error:
        raise CorruptDataError(f"{path} is not a completion manifest: {error}. Delete {root} and rerun.") from error


def narrowed(manifest: Manifest, shards: range) -> Manifest:
    """The manifest of a part of a table: `shards` alone, uncounted, under a digest of their own.

    Raises MissingInputError when the table lacks one of them.
    """
    files = tuple(f for f in manifest.shards if shard_index(PurePath(f.path)) in shards)
    if len(files) != len(shards):
        raise MissingInputError(
            f"`{manifest.port}` has {len(manifest.shards)} shards, and not all of {shards.start}-{shards.stop - 1}. "
            "The range was drawn from another port: divide the shards of this run."
        )
    return manifest.model_copy(
        update={"files": files, "digest": files_digest(files), "num_records": None, "status": {}}
    )


def finished_key(root: Path) -> str | None:
    """The key of a finished port, or None."""
    return read_manifest(root).key if (root / MANIFEST_NAME).is_file() else None


def verify(root: Path) -> Manifest:
    """Compare every file with the manifest; raises CorruptDataError naming the first file that differs."""
    manifest = read_manifest(root)
    verify_files(root, manifest)
    return manifest


def is_whole(root: Path) -> bool:
    """Whether a finished port still has every file that it was sealed with, by size."""
    return all(_size(root / f.path) == f.num_bytes for f in read_manifest(root).files)


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def verify_files(root: Path, manifest: Manifest) -> None:
    """Compare the files that a manifest lists with it, whole: SHA-256 reads 1 to 2 GB a second.

    Raises CorruptDataError naming the first that differs.
    """
    for entry in manifest.files:
        path = root / entry.path
        if not path.is_file():
            raise CorruptDataError(f"{path} is missing. Delete {root} and rerun its stage.")
        if sha256_file(path) != entry.sha256:
            raise CorruptDataError(f"{path} does not match its manifest. Delete {root} and rerun its stage.")


def begin(root: Path, key: str) -> bool:
    """Open a port for writing. True when an interrupted run with the same key left shards to continue from."""
    progress = root / PROGRESS_NAME
    if progress.is_file() and _progress_key(progress) == key and not (root / MANIFEST_NAME).exists():
        for torn in root.rglob(TEMPORARY_PATTERN):
            torn.unlink()
        return True
    if root.exists():
        shutil.rmtree(root)
    root.mkdir(parents=True)
    write_atomic(progress, json.dumps({"key": key}))
    return False


def abandon(root: Path) -> None:
    """Let nobody go on from what lies in a port: the next run begins it afresh."""
    (root / PROGRESS_NAME).unlink(missing_ok=True)


def open_work(folder: Path) -> tuple[Path, str] | None:
    """(port being written, key of the work) that a folder inside it belongs to; None outside of one."""
    for port in folder.parents:
        if (port / PROGRESS_NAME).is_file() and (key := _progress_key(port / PROGRESS_NAME)):
            return port, key
    return None


def _progress_key(progress: Path) -> str | None:
    try:
        key = json.loads(progress.read_text())["key"]
    except (ValueError, KeyError):
        return None
    return str(key)


def complete(root: Path, manifest: Manifest) -> None:
    """Write the manifest last and clear the bookkeeping of the run."""
    shutil.rmtree(root / WORK_NAME, ignore_errors=True)
    (root / PROGRESS_NAME).unlink(missing_ok=True)
    write_atomic(root / MANIFEST_NAME, manifest.model_dump_json(indent=1) + "\n")
