"""ingest: a source's recordings become tracks (section 3 of the paper: the catalogue).

Two passes. The first takes in recordings, shard by shard, in a pool of processes: the source gives the original (the
`scores` source renders it), which is decoded once, block by block, for the 16 kHz copy, loudness and the hash; then
fingerprinted. The second needs them all: duplicates are found, works are dealt to splits, and the final shards are
written. A killed run goes on from the shard it was at.

A bad recording becomes a quarantined track with its reason, and the stage goes on.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
from pydantic import Field

from music_flamingo.audio.decode import BadAudioError, DecodeLimits, QuarantineReason
from music_flamingo.audio.fingerprint import FingerprintChoice, FingerprintKind, fingerprint
from music_flamingo.audio.flac import MODEL_RATE_HZ, encode_flac
from music_flamingo.audio.measure import hear, samples_sha256
from music_flamingo.core.hashing import sha256_file
from music_flamingo.core.memory import limited_memory
from music_flamingo.core.parallel import pool_map
from music_flamingo.core.ports import Folder, OutputFolder, Writer
from music_flamingo.core.progress import Progress
from music_flamingo.core.record import OK, QUARANTINED, Provenance, read_parquet
from music_flamingo.core.shards import shard_path, shard_paths
from music_flamingo.core.stage import NOT_IDENTITY, Metrics, Stage, StageConfig
from music_flamingo.quality.contamination import held_out_sha256
from music_flamingo.quality.duplicates import DuplicateLimits
from music_flamingo.records import Audio, Track, Truth
from music_flamingo.records.track import Tag
from music_flamingo.sources import Source, SourceRecording
from music_flamingo.sources.about import clean
from music_flamingo.sources.admission import judge
from music_flamingo.sources.audio_folder import AudioFolderConfig
from music_flamingo.sources.balance import UNKNOWN, BalanceConfig, Coverage
from music_flamingo.sources.s3 import S3Config
from music_flamingo.sources.scores import ScoresConfig
from music_flamingo.sources.splits import SplitConfig
from music_flamingo.sources.table import TableConfig

log = logging.getLogger(__name__)

DECODING_BYTES = 2 * 2**30
"""Of memory for one recording: 20 minutes at 192 kHz take a quarter of it."""


class IngestConfig(StageConfig):
    source: ScoresConfig | AudioFolderConfig | TableConfig | S3Config = Field(discriminator="kind")
    limits: DecodeLimits
    fingerprint: FingerprintChoice
    duplicates: DuplicateLimits
    split: SplitConfig
    held_out: list[str]
    """Files that `mf fingerprint` made: recordings of evaluation sets, which are refused."""
    balance: BalanceConfig
    shard_size: int
    """Tracks in a shard: the most that a killed run makes again."""
    workers: int = Field(json_schema_extra=NOT_IDENTITY)

    def identity(self) -> dict[str, object]:
        """A source of songs counts by what it holds: songs that come, go or change make a new run."""
        identity = super().identity()
        if not isinstance(self.source, ScoresConfig):
            identity["listing_sha256"] = self.source.listing_sha256()
        if self.held_out:
            identity["held_out"] = [held_out_sha256(Path(path)) for path in self.held_out]
        return identity


def take_in(recording: SourceRecording, limits: DecodeLimits, kind: FingerprintKind, provenance: Provenance) -> Track:
    """A recording as a track; a bad one quarantined with its reason. The split is dealt later."""
    heard, status, source_sha256 = None, OK, ""
    uri = clean(recording.uri)
    try:
        _check(recording, limits)
        source_sha256 = sha256_file(recording.path)
        with limited_memory(DECODING_BYTES):
            heard = hear(recording.path, limits)
    except BadAudioError as error:
        log.warning("%s is quarantined: %s", uri, error)
        status = QUARANTINED + error.reason
    except MemoryError:
        log.warning("%s is quarantined: it takes more than %d MiB to decode", uri, DECODING_BYTES // 2**20)
        heard, status = None, QUARANTINED + QuarantineReason.TOO_COSTLY
    except Problem as problem:
        status = QUARANTINED + str(problem)
    except OSError as error:
        log.warning("%s cannot be read: %s", uri, error.strerror)
        status = QUARANTINED + QuarantineReason.UNREADABLE
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
        fingerprint=fingerprint(heard.model_copy, MODEL_RATE_HZ, kind) if heard else [],
        fingerprint_kind=kind,
        audio=Audio(bytes=flac, path=f"{recording.id}.flac") if flac else None,
        provenance=provenance.model_copy(update={"seed": recording.seed}),
        album=recording.album,
        region=recording.region,
        licence=recording.licence,
        tags=_tags(heard.tags) if heard else (),
        given_split=recording.given_split,
    )


def _tags(tags: Mapping[str, str]) -> tuple[Tag, ...]:
    return tuple(Tag(name=clean(name), value=clean(value)) for name, value in sorted(tags.items()))


class Problem(Exception):
    """What the source says against a recording."""


def _check(recording: SourceRecording, limits: DecodeLimits) -> None:
    """Raises Problem before anything is opened."""
    if recording.problem is not None:
        raise Problem(recording.problem)
    if len(recording.lyrics or "") > limits.max_tag_chars:
        raise Problem(QuarantineReason.TAGS_TOO_LARGE)


def take_in_unit(
    unit: str, source: Source, limits: DecodeLimits, kind: FingerprintKind, originals: Path
) -> list[tuple[Track, Truth | None]]:
    provenance = Provenance(made_by="ingest", tool=source.tool, tool_version=source.tool_version())
    return [(take_in(r, limits, kind, provenance), r.truth) for r in source.recordings(unit, originals)]


def run(config: IngestConfig, tracks: Writer[Track], truth: Writer[Truth], originals: OutputFolder) -> Metrics:
    source = config.source.open(config.limits)
    units = source.units()
    per_shard = max(1, config.shard_size // source.recordings_per_unit)
    num_shards = -(-len(units) // per_shard)
    taken = Taken(originals.work)
    _take_in_shards(config, source, units, per_shard, taken, originals.root)
    scratch = originals.work / "fingerprints.u32"
    kind = config.fingerprint.kind
    verdicts = judge(taken.shards, scratch, kind, config.duplicates, config.held_out, config.split, config.balance)
    for index in range(num_shards):
        if not tracks.has(index):
            tracks.write(index, [verdicts.finished(t) for t in taken.tracks(index)])
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

    @property
    def shards(self) -> list[Path]:
        return shard_paths(self._tracks.root)


def _take_in_shards(
    config: IngestConfig, source: Source, units: Sequence[str], per_shard: int, taken: Taken, originals: Path
) -> None:
    pending = [index for index in range(-(-len(units) // per_shard)) if not taken.has(index)]
    total = min(len(pending) * per_shard, len(units)) * source.recordings_per_unit
    work = partial(take_in_unit, source=source, limits=config.limits, kind=config.fingerprint.kind, originals=originals)
    with Progress("ingest", total, "tracks") as progress, pool_map(config.workers) as run_map:
        for index in pending:
            made: list[tuple[Track, Truth | None]] = []
            for unit_made in run_map(work, units[index * per_shard : (index + 1) * per_shard]):
                made.extend(unit_made)
                progress.advance(len(unit_made))
            taken.write(index, made)


def _metrics(tracks: Writer[Track]) -> Metrics:
    """Counts, shard by shard; `coverage` says how evenly regions, traditions, languages and splits are covered."""
    names = ["status", "split", "work_id", "region", "tradition", "language", "duration_s"]
    reasons, works, num_tracks, coverage = Counter[str](), dict[str, tuple[str, str]](), 0, Coverage()
    for path in shard_paths(tracks.root):
        for row in pq.read_table(path, columns=names).to_pylist():
            num_tracks += 1
            if row["status"] != OK:
                reasons[row["status"].split(":")[1]] += 1
                continue
            coverage.add(row, row["duration_s"])
            works[row["work_id"]] = (row["split"], row["tradition"] or UNKNOWN)
    by_split = coverage.groups["split"]
    return {
        "num_tracks": num_tracks,
        "num_ok": num_tracks - reasons.total(),
        "minutes": round(60 * sum(g.hours for g in by_split.values()), 2),
        "reasons": dict(sorted(reasons.items())),
        "tracks_by_split": {name: group.tracks for name, group in sorted(by_split.items())},
        "works_by_split": dict(sorted(Counter(split for split, _ in works.values()).items())),
        "works_by_tradition": dict(sorted(Counter(tradition for _, tradition in works.values()).items())),
        "coverage": coverage.metrics(),
    }


STAGE = Stage(
    name="ingest",
    config=IngestConfig,
    inputs={},
    outputs={"tracks": Track, "truth": Truth, "originals": Folder},
    run=run,
    uncached=frozenset({"originals"}),
)
