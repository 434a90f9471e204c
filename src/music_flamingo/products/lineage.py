"""Lineage: every record from a caption, question, chain or prediction back to the source file.

Ids lead there: a track's id begins the ids of what was made from it (`song-1/key/chain`) and ends those of
predictions about it (`grpo/audio/key/song-1`). The track's shard is looked up in an index; in every other table its
records lie in the shard of the same number, so a look-up opens one shard a table.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

import pyarrow.parquet as pq

from music_flamingo.core.errors import MissingInputError, UserError
from music_flamingo.core.manifest import MANIFEST_NAME, Manifest, read_manifest
from music_flamingo.core.record import Record
from music_flamingo.core.shards import shard_path, shard_paths
from music_flamingo.products.id_index import IdIndex, open_index
from music_flamingo.records import Caption, Chain, Example, Facts, Prediction, Track

R = TypeVar("R", bound=Record)

EXAMPLE_PORTS = ("skills", "rejects", "candidates")
"""Where a question may lie; `candidates` last: there its verdict is still open."""
CHAIN_PORTS = ("think", "think_rejects")
LEFT_ON_DISK: dict[str, list[int] | None] = {"audio": None, "fingerprint": []}
"""Columns that lineage does not need, and what stands for them."""


class UnknownIdError(UserError):
    """No record bears this id."""


@dataclass(frozen=True)
class LineageRecord:
    """A record and where it lies."""

    record: Record
    port: str
    shard: int | None


@dataclass(frozen=True)
class Lineage:
    """All that is known of one record, from itself back to its track."""

    asked: LineageRecord
    prediction: Prediction | None
    chain: LineageRecord | None
    example: LineageRecord | None
    captions: tuple[Caption, ...]
    facts: Facts | None
    track: Track
    shard: int
    manifests: Mapping[str, Manifest]
    """Of every finished port of the run."""
    made: Mapping[str, int]
    """Port -> how many records of the track it holds."""


class LineagePorts:
    """The finished ports of a data folder, looked into one shard at a time."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.manifests = {p.parent.name: read_manifest(p.parent) for p in sorted(data.glob(f"*/{MANIFEST_NAME}"))}
        if "tracks" not in self.manifests:
            raise MissingInputError(f"{data} holds no finished `tracks`. Run the pipeline first, or give --data.")

    def of_track(self, port: str, record: type[R], shard: int, column: str, track_id: str) -> list[R]:
        """The records of one track in `port`; none where the port is not there or has no such shard."""
        path = shard_path(self.data / port, shard)
        if port not in self.manifests or not path.is_file():
            return []
        read = [name for name in record.model_fields if name not in LEFT_ON_DISK]
        rows = pq.read_table(path, columns=read, filters=[(column, "==", track_id)]).to_pylist()
        left = {name: value for name, value in LEFT_ON_DISK.items() if name in record.model_fields}
        return [record.model_validate({**row, **left}) for row in rows]

    def prediction(self, wanted: str) -> Prediction | None:
        """The prediction with this id; None where there is none."""
        if "predictions" not in self.manifests:
            return None
        for path in shard_paths(self.data / "predictions"):
            rows = pq.read_table(path, filters=[("id", "==", wanted)]).to_pylist()
            if rows:
                return Prediction.model_validate(rows[0])
        return None


def trace(data: Path, wanted: str) -> Lineage:
    """The lineage of the record with id `wanted`. Raises UnknownIdError naming the nearest ids."""
    ports = LineagePorts(data)
    index = open_index(data, ports.manifests["tracks"])
    place = next(((t, s) for t in _possible_tracks(wanted) if (s := index.shard(t)) is not None), None)
    if place is None:
        raise UnknownIdError(_unknown(wanted, data, index.nearest(wanted.split("/")[0]) or index.nearest(wanted)))
    track_id, shard = place
    examples = {p: ports.of_track(p, Example, shard, "track_id", track_id) for p in EXAMPLE_PORTS}
    chains = {p: ports.of_track(p, Chain, shard, "track_id", track_id) for p in CHAIN_PORTS}
    captions = ports.of_track("captions", Caption, shard, "track_id", track_id)
    track = ports.of_track("tracks", Track, shard, "id", track_id)[0]
    tables: dict[str, list[Record]] = {"tracks": [track], "captions": [*captions]}
    tables |= {port: [*found] for port, found in (examples | chains).items()}
    prediction = ports.prediction(wanted)
    asked = LineageRecord(prediction, "predictions", None) if prediction else _first(tables, wanted, shard)
    if asked is None:
        near = _near_records(wanted, track_id, tables, index)
        raise UnknownIdError(_unknown(wanted, data, near))
    chain = asked if isinstance(asked.record, Chain) else None
    example_id = chain.record.example_id if chain and isinstance(chain.record, Chain) else asked.record.id
    return Lineage(
        asked=asked,
        prediction=prediction,
        chain=chain,
        example=_first({p: [*r] for p, r in examples.items()}, example_id, shard),
        captions=tuple(captions),
        facts=next(iter(ports.of_track("facts", Facts, shard, "id", track_id)), None),
        track=track,
        shard=shard,
        manifests=ports.manifests,
        made={port: len(records) for port, records in tables.items() if port != "tracks" and records},
    )


def _possible_tracks(wanted: str) -> Iterator[str]:
    """The id itself, then ever shorter beginnings and endings at its slashes."""
    parts = wanted.split("/")
    yield wanted
    for length in range(len(parts) - 1, 0, -1):
        yield "/".join(parts[:length])
        yield "/".join(parts[-length:])


def _first(tables: Mapping[str, list[Record]], wanted: str, shard: int) -> LineageRecord | None:
    for port, records in tables.items():
        for record in records:
            if record.id == wanted:
                return LineageRecord(record, port, shard)
    return None


def _near_records(wanted: str, track_id: str, tables: Mapping[str, list[Record]], index: IdIndex) -> list[str]:
    ids = sorted({record.id for records in tables.values() for record in records})
    return get_close_matches(wanted, ids, n=5, cutoff=0.3) or [track_id, *index.nearest(wanted)]


def _unknown(wanted: str, data: Path, near: list[str]) -> str:
    told = (
        f" Nearest: {', '.join(near)}." if near else " `mf explain` takes ids of tracks and of what is made from them."
    )
    return f"no record of {data} has the id {wanted!r}.{told}"
