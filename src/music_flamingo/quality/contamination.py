"""Contamination: recordings and texts of test sets in the training data, in both directions.

A held-out file lists the recordings of evaluation sets: ids, hashes and fingerprints, no audio. `mf fingerprint` makes
one from a folder; JSONL with an id and a name of the set alone is one too. ingest refuses a track that is held out,
by id, by bytes, by decoded samples or by fingerprint (the same recording, a part of it, or one that holds it). A
benchmark refuses an item that is among the training tracks, by `held_out_of_tracks` and the same search.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from music_flamingo.audio.fingerprint import WORDS_PER_S, FingerprintKind
from music_flamingo.core.errors import UserError
from music_flamingo.core.hashing import sha256_file
from music_flamingo.core.lines import lines_of
from music_flamingo.core.record import OK, Record, arrow_schema, read_parquet, write_parquet
from music_flamingo.quality.duplicates import DuplicateLimits, find_repeats
from music_flamingo.quality.fingerprint_store import Fingerprinted, Fingerprints, gather
from music_flamingo.records.track import Split

EVALUATION_SET = "evaluation_set"
"""The reason of a track that is held out: `quarantined:evaluation_set:<name>`."""


class HeldOut(Record):
    """A recording of an evaluation set."""

    set_name: str
    source_sha256: str = ""
    """Of the file's bytes; empty where it is not known."""
    audio_sha256: str = ""
    """Of the decoded 16 kHz samples; empty where it is not known."""
    fingerprint: tuple[int, ...] = ()
    fingerprint_kind: FingerprintKind = "chromaprint"


@dataclass(frozen=True)
class Hit:
    """Why something is held out."""

    held: HeldOut
    by: Literal["id", "bytes", "samples", "sound"]
    bit_error: float


class HeldOutSet:
    """Recordings to keep out, ready for search."""

    def __init__(self, held: Iterable[HeldOut]) -> None:
        self.held = list(held)
        self._by_id = {h.id: h for h in reversed(self.held)}
        self._by_bytes = {h.source_sha256: h for h in reversed(self.held) if h.source_sha256}
        self._prints = gather(
            Fingerprinted(str(number), h.audio_sha256, np.array(h.fingerprint, np.uint32))
            for number, h in enumerate(self.held)
        )

    def __len__(self) -> int:
        return len(self.held)

    def by_name(self, identifier: str, source_sha256: str = "") -> Hit | None:
        """Held out under this id, or as these bytes."""
        if identifier in self._by_id:
            return Hit(self._by_id[identifier], "id", 0.0)
        if source_sha256 in self._by_bytes:
            return Hit(self._by_bytes[source_sha256], "bytes", 0.0)
        return None

    def by_sound(
        self,
        recordings: Fingerprints | Iterable[Fingerprinted],
        limits: DuplicateLimits,
        kind: FingerprintKind = "chromaprint",
    ) -> dict[str, Hit]:
        """Id of every recording that sounds like a held-out one -> which. `kind` is that of the recordings' words.

        Raises UserError where held-out words are of another kind: they would never agree, and nothing be found.
        """
        self._require(kind)
        queries = recordings if isinstance(recordings, Fingerprints) else gather(recordings)
        found = find_repeats(queries, self._prints, limits, WORDS_PER_S)
        return {
            identifier: Hit(self.held[int(d.of)], "samples" if d.kind == "exact" else "sound", d.bit_error)
            for identifier, d in found.items()
        }

    def _require(self, kind: FingerprintKind) -> None:
        other = next((h for h in self.held if h.fingerprint and h.fingerprint_kind != kind), None)
        if other is not None:
            raise UserError(
                f"the fingerprint of {other.id} ({other.set_name}) is of kind {other.fingerprint_kind}, those it is "
                f"compared with are of kind {kind}. Set ingest.fingerprint.kind to one of them for both, and make the "
                "other anew (mf fingerprint, mf run ingest)."
            )


def read_held_out(path: Path) -> Iterator[HeldOut]:
    """Of a .parquet or .jsonl file. Raises UserError naming the file, and the line where one is wrong."""
    _check_there(path)
    if path.suffix == ".jsonl":
        yield from _read_lines(path)
        return
    try:
        yield from read_parquet(path, HeldOut)
    except (pa.ArrowInvalid, ValidationError) as error:
        raise UserError(
            f"{path} is no held-out file: {error}. Make it with: mf fingerprint FOLDER -o {path}"
        ) from error


def held_out_sha256(path: Path) -> str:
    """Stands for a held-out file. Raises UserError when it does not exist."""
    _check_there(path)
    return sha256_file(path)


def _check_there(path: Path) -> None:
    if not path.is_file():
        raise UserError(f"{path} does not exist. Make it with: mf fingerprint FOLDER -o {path}")


def _read_lines(path: Path) -> Iterator[HeldOut]:
    for number, line in enumerate(lines_of(path.read_text(encoding="utf-8")), start=1):
        if not line.strip():
            continue
        try:
            yield HeldOut.model_validate(json.loads(line))
        except ValueError as error:
            raise UserError(
                f'{path}, line {number}: {error}. A line reads {{"id": "...", "set_name": "..."}}, with source_sha256, '
                "audio_sha256 and fingerprint where they are known."
            ) from error


def write_held_out(path: Path, held: Sequence[HeldOut]) -> None:
    """As Parquet or, where the name ends so, JSONL."""
    if path.suffix == ".jsonl":
        path.write_text("".join(h.model_dump_json(exclude={"status"}) + "\n" for h in held))
    else:
        write_parquet(path, HeldOut, held)


def held_out_of_tracks(shards: Iterable[Path], set_name: str, split: Split) -> Iterator[HeldOut]:
    """The good tracks of a split in the `tracks` port, without audio: for benchmarks that refuse what was learned."""
    columns = ["id", "source_sha256", "audio_sha256", "fingerprint", "fingerprint_kind"]
    assert set(columns) <= set(arrow_schema(HeldOut).names)
    for path in shards:
        for row in pq.read_table(
            path, columns=columns, filters=[("status", "=", OK), ("split", "=", split)]
        ).to_pylist():
            yield HeldOut(set_name=set_name, **row)
