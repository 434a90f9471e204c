"""Data files of this package in a result's identity: which are referenced, and their content digest."""

import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import yaml

from music_flamingo.core.hashing import PACKAGE_ROOT, sha256_bytes, sha256_file

PROMPTS = PACKAGE_ROOT / "prompts"

_COMMENT = re.compile(r"\s*\{#-.*?-?#\}\n?|\{#.*?(?:-#\}\s*|#\}\n?)", re.DOTALL)
_INCLUDED = re.compile(r"""\{%-?\s*(?:include|import|extends|from)\s+["']([^"']+)["']""")


def files_named(folder: Path, texts: Iterable[str]) -> Iterator[Path]:
    """The data files below `folder` that a text names: by file name, or all of a folder by its name."""
    for text in texts:
        # a name, not prose: texts of messages are no paths
        if not text or len(text) > 100 or text.startswith(("/", ".")) or "\n" in text:
            continue
        path = folder / text
        if path.is_dir():
            yield from (p for p in sorted(path.rglob("*")) if _is_data(p))
        elif _is_data(path):
            yield path


def _is_data(path: Path) -> bool:
    return path.is_file() and path.suffix not in (".py", ".pyc")


def prompt_files(ids: Iterable[str]) -> set[Path]:
    """The templates of prompts, given by id or by a pattern (`qa_*`), with the templates that they include."""
    found: set[Path] = set()
    waiting = [path for prompt_id in ids for path in PROMPTS.glob(f"{prompt_id}.j2")]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [path.parent / name for name in included_in(path)]
    return found


def included_in(template: Path) -> list[str]:
    """The names of the templates that a template includes."""
    return _INCLUDED.findall(template.read_text())


def without_comments(template: str) -> str:
    """A Jinja template without its comments, each with the line end that it leaves when blocks are trimmed."""
    # inside of a raw block the marks are text: such a template counts as it stands
    return template if "{% raw" in template or "{%- raw" in template else _COMMENT.sub("", template)


def file_digest(path: Path) -> str:
    """SHA-256 of what counts in a data file: comments of templates and of YAML do not."""
    found = path.stat()
    return _digest(path, found.st_mtime_ns, found.st_size, found.st_ino)


@lru_cache(maxsize=1024)
def _digest(path: Path, _mtime_ns: int, _size: int, _inode: int) -> str:
    if path.suffix == ".j2":
        return sha256_bytes(without_comments(path.read_text()).encode())
    if path.suffix in (".yaml", ".yml"):
        # the order of a mapping counts: code goes through it in order
        return sha256_bytes(json.dumps(yaml.safe_load(path.read_text()), ensure_ascii=False, default=str).encode())
    return sha256_file(path)
