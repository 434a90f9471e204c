"""Identify the version of a benchmark's question files, and its items that are known to be wrong.

A file's SHA-256 goes into every result; PINNED says what published version a digest is. Items known to be wrong stay in
the score, for the published number has them too: a second row leaves them out.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from music_flamingo.core.errors import UserError
from music_flamingo.core.hashing import sha256_file
from music_flamingo.evaluation.benchmarks.base import Benchmark, BenchmarkItem

PINNED = {
    "9f18fda99f8dbc2bc5ecd6323fb5063309f54969810b5c6f1caeb3b8d904cf1c": "MMAU test-mini, repository at 110127f",
    "1c9a343e7bebf1037482b935c54eacd43cc63df7b2c668724b5560caf1f84fad": "MMAR, repository at 3bce090",
    "fa79cbd8e7f0bf043e1761271b216f130832dd419a171bce9d9b561017af6cc2": "MUSIC-AVQA test, as first published (2022)",
    "76ce24ee02fd85e28038605aedd4f62633e1335ccda96a1fcf7340b5feaf230e": "MUSIC-AVQA test, json_update (2022-12)",
    "c6508f282eeeb34beb3446911587434f3787e5c720c708092e6cbc25deffea48": "RUL-MuchoMusic, repository at d3971de",
}
WRONG = Path(__file__).with_name("known_wrong.json")
UNKNOWN_VERSION = "another version than those that are pinned"


def question_files(benchmark: Benchmark, folder: Path) -> dict[str, str]:
    """SHA-256 of each question file that the folder holds, by its path in it."""
    found: dict[str, Path] = {}
    for pattern in benchmark.files:
        for path in sorted(folder.glob(pattern)):
            found[path.relative_to(folder).as_posix()] = path
        if found:  # further patterns are other names of the same files
            break
    return {name: sha256_file(path) for name, path in found.items()}


def version_of(files: Mapping[str, str]) -> str:
    """The published version that the files are, in words."""
    known = [PINNED[digest] for digest in files.values() if digest in PINNED]
    return known[0] if known else UNKNOWN_VERSION


def known_wrong(benchmark: Benchmark, items: Sequence[BenchmarkItem], named: Path | None = None) -> dict[str, str]:
    """Item id -> why it is known to be wrong: by the list here, by the file's own contradictions, and by `named`."""
    found = {item.id: why for item in items if (why := _contradiction(item))}
    for entry in _listed().get(benchmark.name, []):
        found |= {item.id: entry["why"] for item in items if _is_meant(item, entry)}
    if named is not None:
        ids = {item.id for item in items}
        given = _read(named)
        if not ids & set(given):
            raise UserError(
                f"{named} names no item of {benchmark.name}: it maps ids to reasons, as in {items[0].id!r}."
            )
        found |= {item_id: why for item_id, why in given.items() if item_id in ids}
    return found


def _contradiction(item: BenchmarkItem) -> str:
    if item.answer_index == -1:
        return "its answer is none of its options"
    options = [" ".join(option.casefold().split()) for option in item.options]
    return "two of its options have the same words" if len(set(options)) < len(options) else ""


def _is_meant(item: BenchmarkItem, entry: Mapping[str, str]) -> bool:
    same_id = item.id.partition("#")[0] == entry["id"]
    return same_id and ("source" not in entry or entry["source"] in item.source_ids)


@cache
def _listed() -> dict[str, list[dict[str, str]]]:
    listed: dict[str, list[dict[str, str]]] = json.loads(WRONG.read_text(encoding="utf-8"))
    return listed


def _read(path: Path) -> dict[str, str]:
    try:
        given = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a JSON object of ids and reasons: {error}") from error
    if not isinstance(given, dict):
        raise UserError(f"{path} is no JSON object of ids and reasons.")
    return {str(item_id): str(why) for item_id, why in given.items()}
