"""Admission of tracks once the catalogue is complete: held out, duplicate, split and sampling weight.

Columns are read shard by shard; of each track an id, and small numbers, stay in memory, never its fingerprint.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from music_flamingo.audio.fingerprint import WORDS_PER_S, FingerprintKind
from music_flamingo.core.record import OK, QUARANTINED
from music_flamingo.quality.contamination import EVALUATION_SET, HeldOutSet, read_held_out
from music_flamingo.quality.duplicates import DuplicateLimits, find_duplicates
from music_flamingo.quality.fingerprint_store import Fingerprints, FingerprintsWriter
from music_flamingo.records import Track
from music_flamingo.records.track import Split
from music_flamingo.sources.about import slug
from music_flamingo.sources.balance import UNKNOWN, BalanceConfig, Weighing
from music_flamingo.sources.splits import MusicalWork, SplitConfig, deal_splits

log = logging.getLogger(__name__)

ABOUT = (
    *("id", "status", "work_id", "artist", "album", "tradition", "region", "language"),
    *("given_split", "source_sha256"),
)
MOST_HELD_OUT: tuple[Split, ...] = ("test", "dev", "train")
"""Recordings that belong together and are given several splits all go to the first of these."""


@dataclass
class Verdicts:
    """Of the whole catalogue. Only tracks whose status changes are named."""

    by: str
    balance_by: str
    statuses: dict[str, str] = field(default_factory=dict)
    joined: dict[str, str] = field(default_factory=dict)
    """Group -> the group it is one with, because recordings of both are the same sound."""
    splits: dict[str, Split] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)

    def finished(self, track: Track) -> Track:
        """A copy of the track with its status, split and weight."""
        split = self.splits[self.root(group_of(self.by, track.work_id, track.artist, track.album))]
        weight = self.weights.get(getattr(track, self.balance_by) or UNKNOWN, 1.0) if split == "train" else 1.0
        status = self.statuses.get(track.id, track.status)
        return track.model_copy(
            update={"status": status, "split": split, "sampling_weight": weight if status == OK else 1.0}
        )

    def root(self, group: str) -> str:
        """The group that this one was joined to; itself where it was not."""
        while group in self.joined:
            group = self.joined[group]
        return group

    def join(self, one: str, other: str) -> None:
        """The two are one group from now on, under the name that sorts first."""
        first, second = sorted((self.root(one), self.root(other)))
        if first != second:
            self.joined[second] = first


def group_of(by: str, work_id: str, artist: str | None, album: str | None) -> str:
    """What shares a split with others: the work, or the artist or album where it is known."""
    if by == "artist" and artist and slug(artist):
        return f"artist {slug(artist)}"
    if by == "album" and album and slug(album):
        return f"album {slug(artist or '')} {slug(album)}"
    return work_id


def judge(
    shards: Sequence[Path],
    scratch: Path,
    kind: FingerprintKind,
    duplicates: DuplicateLimits,
    held_out: Sequence[str],
    split: SplitConfig,
    balance: BalanceConfig,
) -> Verdicts:
    """Read what was taken in. `scratch`: a file for the fingerprints."""
    verdicts = Verdicts(split.by, balance.by)
    with FingerprintsWriter(scratch) as writer:
        for ids, hashes, words, lengths in _prints(shards):
            writer.add(ids, hashes, words, lengths)
        fingerprints = writer.fingerprints()
    if held_out:
        _refuse_held_out(verdicts, shards, fingerprints, kind, held_out, duplicates)
    repeated = find_duplicates(fingerprints, duplicates, WORDS_PER_S)
    for track_id, duplicate in repeated.items():
        log.warning("%s repeats %s (%s, bit error %.3f)", track_id, duplicate.of, duplicate.kind, duplicate.bit_error)
        verdicts.statuses.setdefault(track_id, f"{QUARANTINED}{duplicate.kind}_duplicate_of:{duplicate.of}")
    _join_repeated(verdicts, shards, {i: d.of for i, d in repeated.items()})
    _deal(verdicts, shards, split, balance)
    return verdicts


def _rows(shards: Iterable[Path]) -> Iterator[dict[str, Any]]:
    for path in shards:
        yield from pq.read_table(path, columns=list(ABOUT)).to_pylist()


def _prints(shards: Iterable[Path]) -> Iterator[tuple[list[str], list[str], np.ndarray, np.ndarray]]:
    """(ids, hashes, words, how many each has) of the good tracks of each shard."""
    for path in shards:
        table = pq.read_table(path, columns=["id", "status", "audio_sha256", "fingerprint"])
        table = table.filter(pc.equal(table["status"], OK))
        words = pc.list_flatten(table["fingerprint"]).combine_chunks().cast(pa.uint32()).to_numpy()
        lengths = pc.list_value_length(table["fingerprint"]).to_numpy()
        yield table["id"].to_pylist(), table["audio_sha256"].to_pylist(), words, lengths


def _refuse_held_out(
    verdicts: Verdicts,
    shards: Sequence[Path],
    fingerprints: Fingerprints,
    kind: FingerprintKind,
    files: Sequence[str],
    limits: DuplicateLimits,
) -> None:
    """Tracks of evaluation sets, by id and bytes whatever their sound, else by sound."""
    held = HeldOutSet(h for file in files for h in read_held_out(Path(file)))
    hits = held.by_sound(fingerprints, limits, kind)
    for row in _rows(shards):
        hit = held.by_name(row["id"], row["source_sha256"]) or hits.get(row["id"])
        if hit is not None and row["status"] == OK:
            log.warning("%s is %s of %s (by %s)", row["id"], hit.held.id, hit.held.set_name, hit.by)
            verdicts.statuses[row["id"]] = f"{QUARANTINED}{EVALUATION_SET}:{hit.held.set_name}"


def _join_repeated(verdicts: Verdicts, shards: Sequence[Path], repeated: dict[str, str]) -> None:
    """Groups that hold the same recording share a split, and so do all their versions."""
    if not repeated:
        return
    wanted = {*repeated, *repeated.values()}
    groups = {r["id"]: _group(verdicts, r) for r in _rows(shards) if r["id"] in wanted}
    for one, other in repeated.items():
        verdicts.join(groups[one], groups[other])


def _group(verdicts: Verdicts, row: dict[str, Any]) -> str:
    return group_of(verdicts.by, row["work_id"], row["artist"], row["album"])


def _deal(verdicts: Verdicts, shards: Sequence[Path], split: SplitConfig, balance: BalanceConfig) -> None:
    works: dict[str, MusicalWork] = {}
    for row in _rows(shards):
        name = verdicts.root(_group(verdicts, row))
        known = works.get(name)
        usable = verdicts.statuses.get(row["id"], row["status"]) == OK
        if known is None:
            works[name] = MusicalWork(name, row["tradition"], usable, row["given_split"])
        elif (usable and not known.is_usable) or row["given_split"]:
            given = [s for s in MOST_HELD_OUT if s in (known.given, row["given_split"])]
            works[name] = MusicalWork(name, known.tradition, usable or known.is_usable, given[0] if given else None)
    verdicts.splits = deal_splits(list(works.values()), split)
    weighing = Weighing(balance)
    for row in _rows(shards):
        if verdicts.statuses.get(row["id"], row["status"]) == OK:
            weighing.add(row[balance.by], verdicts.splits[verdicts.root(_group(verdicts, row))])
    verdicts.weights = weighing.weights()
