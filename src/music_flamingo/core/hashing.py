"""Digests: SHA-256 in hex, of bytes, files, JSON values and source code."""

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE_ROOT = Path(__file__).resolve().parents[1]


def sha256_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256_json(value: Any) -> str:
    return sha256_bytes(canonical_json(value).encode())


@cache
def code_digest(paths: tuple[str, ...]) -> str:
    """Digest of the package's own source files under `paths` (relative to the package), whatever their order."""
    files: set[Path] = set()
    for relative in paths:
        root = PACKAGE_ROOT / relative
        if not root.exists():
            raise AssertionError(f"a stage names code that does not exist: {relative}")
        files.update([root] if root.is_file() else _source_files(root))
    return sha256_json({str(f.relative_to(PACKAGE_ROOT)): sha256_file(f) for f in files})


def _source_files(root: Path) -> Iterable[Path]:
    return (f for f in root.rglob("*") if f.is_file() and "__pycache__" not in f.parts)
