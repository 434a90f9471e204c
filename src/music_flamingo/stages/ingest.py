"""ingest: a source's recordings become tracks (section 3 of the paper: the catalogue).

Two passes. The first takes in recordings, shard by shard, in a pool of processes: the source gives the original (the
`scores` source renders it), which is decoded once, block by block, for the 16 kHz copy, loudness and the hash; then
fingerprinted. The second needs them all: duplicates are found, works are dealt to splits, and the final shards are
written. A killed run goes on from the shard it was at.

A bad recording becomes a quarantined track with its reason, and the stage goes on.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from music_flamingo.audio.decode import BadAudioError, DecodeLimits, Reason
from music_flamingo.audio.fingerprint import WORDS_PER_S, fingerprint
from music_flamingo.audio.flac import MODEL_RATE_HZ, encode_flac
from music_flamingo.audio.hearing import hear, samples_sha256
from music_flamingo.core.hashing import sha256_file
from music_flamingo.core.parallel import pool_map
from music_flamingo.core.ports import Folder, OutputFolder, Writer
from music_flamingo.core.progress import Progress
from music_flamingo.core.record import OK, QUARANTINED, Provenance, read_parquet
from music_flamingo.core.shards import shard_path
from music_flamingo.core.stage import NOT_IDENTITY, Metrics, Stage, StageConfig
from music_flamingo.quality.duplicates import DuplicateLimits, Fingerprinted, find_duplicates
from music_flamingo.records import Audio, Track, Truth
from music_flamingo.records.track import Split
from music_flamingo.sources import Recording, Source
from music_flamingo.sources.audio_folder import AudioFolderConfig
from music_flamingo.sources.scores import ScoresConfig
from music_flamingo.sources.splits import SplitConfig, Work, deal_splits

log = logging.getLogger(__name__)


class IngestConfig(StageConfig):
    source: ScoresConfig | AudioFolderConfig = Field(discriminator="kind")
    limits: DecodeLimits
    duplicates: DuplicateLimits
    split: SplitConfig
    shard_size: int
    """Tracks in a shard: the most that a killed run makes again."""
    workers: int = Field(json_schema_extra=NOT_IDENTITY)

    def identity(self) -> dict[str, object]:
        """A folder of songs counts by what it holds: songs that come, go or change make a new run."""
        identity = super().identity()
        if isinstance(self.source, AudioFolderConfig):
            identity["listing_sha256"] = self.source.listing_sha256()
        return identity


def take_in(recording: Recording, limits: DecodeLimits, provenance: Provenance) -> Track:
    """A recording as a track; a bad one quarantined with its reason. The split is dealt later."""
    heard, status = None, OK
    try:
        source_sha256 = sha256_file(recording.path)
        heard = hear(recording.path, limits)
    except BadAudioError as error:
        log.warning("%s is quarantined: %s", recording.uri, error)
        status = QUARANTINED + error.reason
    except OSError as error:
        log.warning("%s cannot be read: %s", recording.uri, error)
        source_sha256, status = "", QUARANTINED + Reason.UNREADABLE
    flac = encode_flac(heard.model_copy) if heard else None
    return Track(
        id=recording.id,
        status=status,
        work_id=recording.work_id,
        split="train",
        title=recording.title,
        artist=recording.artist,
        tradition=recording.tradition,
        language=recording.language,
        lyrics=recording.lyrics,
        uri=recording.uri,
        original=recording.original,
        source_sha256=source_sha256,
        audio_sha256=samples_sha256(heard.model_copy) if heard else None,
        duration_s=round(heard.duration_s, 6) if heard else None,
        original_rate_hz=heard.rate_hz if heard else None,
        num_channels=heard.num_channels if heard else None,
        loudness=heard.loudness if heard else None,
        fingerprint=fingerprint(heard.model_copy, MODEL_RATE_HZ) if heard else [],
        audio=Audio(bytes=flac, path=f"{recording.id}.flac") if flac else None,
        provenance=provenance.model_copy(update={"seed": recording.seed}),
    )


def take_in_unit(unit: str, source: Source, limits: DecodeLimits, originals: Path) -> list[tuple[Track, Truth | None]]:
    provenance = Provenance(made_by="ingest", tool=source.tool, tool_version=source.tool_version())
    return [(take_in(r, limits, provenance), r.truth) for r in source.recordings(unit, originals)]


def run(config: IngestConfig, tracks: Writer[Track], truth: Writer[Truth], originals: OutputFolder) -> Metrics:
    source = config.source.open(config.limits)
    units = source.units()
    per_shard = max(1, config.shard_size // source.recordings_per_unit)
    shards = [units[i : i + per_shard] for i in range(0, len(units), per_shard)]
    taken = Taken(originals.work)
    _take_in_shards(config, source, shards, taken, originals.root)
    statuses, splits = _judge(taken, config)
    for index in range(len(shards)):
        if not tracks.has(index):
            tracks.write(index, [_finished(t, statuses, splits) for t in taken.tracks(index)])
        if not truth.has(index):
            truth.write(index, list(taken.truth(index)))
    return _metrics(tracks)


class Taken:
    """The first pass's shards, in the scratch space of the originals port. A shard of tracks proves its truth whole."""

    def __init__(self, work: Path) -> None:
        self._tracks = Writer(work / "tracks", Track)
        self._truth = Writer(work / "truth", Truth)

    def has(self, index: int) -> bool:
        return self._tracks.has(index)

    def write(self, index: int, made: Sequence[tuple[Track, Truth | None]]) -> None:
        self._truth.write(index, [t for _, t in made if t is not None])
        self._tracks.write(index, [t for t, _ in made])

    def tracks(self, index: int) -> Iterator[Track]:
        yield from read_parquet(shard_path(self._tracks.root, index), Track)

    def truth(self, index: int) -> Iterator[Truth]:
        yield from read_parquet(shard_path(self._truth.root, index), Truth)

    def columns(self, *names: str) -> list[dict[str, Any]]:
        """Rows of the named columns, without the audio."""
        paths = sorted(self._tracks.root.glob("part-*.parquet"))
        return pa.concat_tables([pq.read_table(p, columns=list(names)) for p in paths]).to_pylist()


def _take_in_shards(
    config: IngestConfig, source: Source, shards: list[Sequence[str]], taken: Taken, originals: Path
) -> None:
    pending = [index for index in range(len(shards)) if not taken.has(index)]
    total = sum(len(shards[index]) for index in pending) * source.recordings_per_unit
    work = partial(take_in_unit, source=source, limits=config.limits, originals=originals)
    with Progress("ingest", total, "tracks") as progress, pool_map(config.workers) as run_map:
        for index in pending:
            made: list[tuple[Track, Truth | None]] = []
            for unit_made in run_map(work, shards[index]):
                made.extend(unit_made)
                progress.advance(len(unit_made))
            taken.write(index, made)


def _judge(taken: Taken, config: IngestConfig) -> tuple[dict[str, str], dict[str, Split]]:
    """(status of each track, split of each work), from everything that was taken in."""
    rows = taken.columns("id", "status", "work_id", "tradition", "audio_sha256", "fingerprint")
    good = [
        Fingerprinted(r["id"], r["audio_sha256"], np.array(r["fingerprint"], dtype=np.uint32))
        for r in rows
        if r["status"] == OK
    ]
    duplicates = find_duplicates(good, config.duplicates, WORDS_PER_S)
    for track_id, duplicate in duplicates.items():
        log.warning("%s repeats %s (%s, bit error %.3f)", track_id, duplicate.of, duplicate.kind, duplicate.bit_error)
    statuses = {r["id"]: r["status"] for r in rows}
    statuses |= {i: f"{QUARANTINED}{d.kind}_duplicate_of:{d.of}" for i, d in duplicates.items()}
    works: dict[str, Work] = {}
    for r in rows:
        usable = statuses[r["id"]] == OK or (r["work_id"] in works and works[r["work_id"]].is_usable)
        works[r["work_id"]] = Work(r["work_id"], r["tradition"], usable)
    return statuses, deal_splits(list(works.values()), config.split)


def _finished(track: Track, statuses: dict[str, str], splits: dict[str, Split]) -> Track:
    return track.model_copy(update={"status": statuses[track.id], "split": splits[track.work_id]})


def _metrics(tracks: Writer[Track]) -> Metrics:
    names = ["status", "split", "work_id", "tradition", "duration_s"]
    paths = sorted(tracks.root.glob("part-*.parquet"))
    rows = pa.concat_tables([pq.read_table(p, columns=names) for p in paths]).to_pylist()
    good = [r for r in rows if r["status"] == OK]
    works = {r["work_id"]: r for r in good}
    return {
        "num_tracks": len(rows),
        "num_ok": len(good),
        "minutes": round(sum(r["duration_s"] for r in good) / 60, 2),
        "reasons": dict(sorted(Counter(r["status"].split(":")[1] for r in rows if r["status"] != OK).items())),
        "tracks_by_split": dict(sorted(Counter(r["split"] for r in good).items())),
        "works_by_split": dict(sorted(Counter(r["split"] for r in works.values()).items())),
        "works_by_tradition": dict(sorted(Counter(r["tradition"] or "unknown" for r in works.values()).items())),
    }


STAGE = Stage(
    name="ingest",
    config=IngestConfig,
    inputs={},
    outputs={"tracks": Track, "truth": Truth, "originals": Folder},
    run=run,
    code=(
        "core/record.py",
        "records/facts.py",
        "records/track.py",
        "records/truth.py",
        "audio",
        "sources",
        "quality/duplicates.py",
        "quality/landmarks.py",
        "quality/prints.py",
        "stages/ingest.py",
    ),
)
