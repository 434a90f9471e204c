"""Measurements of recordings, kept by content: what was measured once is not measured again, across runs and kills.

A measurement belongs to the recording's SHA-256 and to a recipe: the tool with its settings, the code that measures,
and the versions of the libraries it calls. Names and places of files are no part of it. Each is one file, written whole
or not at all, under a digest of its own: a damaged one is measured again. Any number of processes may share a folder,
also over NFS.
"""

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from music_flamingo.core.hashing import sha256_json
from music_flamingo.core.identity import closure, has_changed, stamps

FOLDER = "_measured"
"""Stands among the ports of a run."""
DAY_S = 86400.0
DIGEST_BYTES = 32
TEMPORARY_SUFFIX = ".tmp"
LIBRARIES = (
    "av",
    "numpy",
    "scipy",
    "soxr",
    "soundfile",
    "essentia",
    "librosa",
    "madmom",
    "onnxruntime",
    "torch",
    "vamp",
)
"""Those whose arithmetic a measurement goes through."""


@dataclass(frozen=True)
class MeasurementStore:
    """Recording -> what one recipe found. Picklable: workers read and write themselves."""

    folder: Path
    """Of this recipe."""
    recipe: str
    code: Mapping[Path, tuple[int, int, int]]
    """State of the sources behind the recipe. Nothing is kept once one of them was written."""

    @classmethod
    def of(
        cls, root: Path, tool: str, settings: Mapping[str, Any], *measuring: Callable[..., object]
    ) -> "MeasurementStore":
        """The store below `root` for a tool with these settings, by the code that `measuring` reaches."""
        code = closure(*measuring)
        found = sha256_json([tool, dict(settings), code.digest, library_versions()])
        return cls(root / f"{tool}-{found[:16]}", found, stamps(code))

    def get(self, recording_sha256: str, *context: str) -> bytes | None:
        """What was found in a recording; None where nothing is kept or what is kept is damaged.

        `context` is what else went into it: words that a source gives.
        """
        key, path = self._place(recording_sha256, context)
        try:
            data = path.read_bytes()
            if time.time() - path.stat().st_mtime > DAY_S:
                os.utime(path)  # still of use: `prune` goes by it
        except OSError:
            return None
        payload = data[DIGEST_BYTES:]
        return payload if data[:DIGEST_BYTES] == _seal(key, payload) else None

    def put(self, payload: bytes, recording_sha256: str, *context: str) -> None:
        """Keep what was found. A power cut may tear it, which `get` notices."""
        if has_changed(self.code):
            return  # nobody can say which version of the code measured
        key, path = self._place(recording_sha256, context)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=TEMPORARY_SUFFIX)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_seal(key, payload))
                file.write(payload)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _place(self, recording_sha256: str, context: Sequence[str]) -> tuple[str, Path]:
        key = sha256_json([self.recipe, recording_sha256, *context])
        return key, self.folder / key[:2] / key


def _seal(key: str, payload: bytes) -> bytes:
    return hashlib.sha256(key.encode() + payload).digest()


def library_versions() -> dict[str, str | None]:
    """Versions of LIBRARIES; None for one that is not installed."""
    return {name: _version(name) for name in LIBRARIES}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@dataclass(frozen=True)
class KeptRecipe:
    """What a store holds of one recipe."""

    name: str
    """Tool and digest."""
    count: int
    num_bytes: int
    idle_days: float
    """Since one of them was last of use."""


def kept_recipes(root: Path) -> list[KeptRecipe]:
    """What lies in a store, recipe by recipe, in order of name."""
    found = []
    for folder in sorted(p for p in root.glob("*") if p.is_dir()):
        states = [path.stat() for path in _files(folder)]
        latest = max((s.st_mtime for s in states), default=0.0)
        idle_days = (time.time() - latest) / DAY_S
        found.append(KeptRecipe(folder.name, len(states), sum(s.st_size for s in states), idle_days))
    return found


def prune(root: Path, unused_days: float) -> tuple[int, int]:
    """Remove what was of no use for so many days; gives (files, bytes) removed. Runs that need them measure again."""
    count = num_bytes = 0
    before = time.time() - unused_days * DAY_S
    for path in _files(root):
        state = path.stat()
        if state.st_mtime <= before:
            path.unlink(missing_ok=True)
            count, num_bytes = count + 1, num_bytes + state.st_size
    for folder in sorted((p for p in root.rglob("*") if p.is_dir()), reverse=True):
        with contextlib.suppress(OSError):  # it holds something
            folder.rmdir()
    return count, num_bytes


def _files(root: Path) -> Iterator[Path]:
    return (path for path in root.rglob("*") if path.is_file())
