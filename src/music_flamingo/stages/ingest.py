"""ingest: a source's recordings become tracks (section 3 of the paper: the catalogue).

Two passes. The first takes in recordings, shard by shard, in a pool of processes: the source gives the original (the
`scores` source renders it), which is decoded once, block by block, for the 16 kHz copy, loudness and the hash; then
fingerprinted. The second needs them all: duplicates are found, works are dealt to splits, and the final shards are
written. What was measured of a recording is kept (core/measurements.py): a killed run, or one with some songs more,
measures what is new alone.

A bad recording becomes a quarantined track with its reason, and the stage goes on.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, islice
from pathlib import Path

import pyarrow.parquet as pq
from pydantic import Field

from music_flamingo.audio.decode import DecodeLimits, QuarantineReason
from music_flamingo.audio.fingerprint import FingerprintChoice, FingerprintKind
from music_flamingo.audio.measurements import RecordingMeasurements, known_or_measured, measure_recording
from music_flamingo.core.errors import DISK_FULL
from music_flamingo.core.hashing import sha256_file
from music_flamingo.core.measurements import FOLDER, MeasurementStore
from music_flamingo.core.parallel import pool_map
from music_flamingo.core.ports import Folder, OutputFolder, Writer
from music_flamingo.core.progress import Progress
from music_flamingo.core.ranges import Count
from music_flamingo.core.record import OK, QUARANTINED, Provenance, read_parquet
from music_flamingo.core.shards import shard_path, shard_paths
from music_flamingo.core.stage import NOT_IDENTITY, Metrics, Stage, StageConfig, StageTitle
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

TakenRecording = tuple[Track, Truth | None]

SHARD_BYTES = 256 * 2**20
"""Of 16 kHz copies in a shard, but for a single larger unit: 50 songs of five minutes, which memory holds thrice."""
UNITS_AT_ONCE = 1000
CRASHED = "crashed"
"""The reason of what ends the process that decodes it, twice."""
NOT_AUDIO = "not_audio"
"""The reason of what neither is called a recording nor is one."""


class IngestConfig(StageConfig):
    """Parameters of `ingest`."""

    source: ScoresConfig | AudioFolderConfig | TableConfig | S3Config = Field(discriminator="kind")
    limits: DecodeLimits
    fingerprint: FingerprintChoice
    duplicates: DuplicateLimits
    split: SplitConfig
    held_out: list[str]
    """Files that `mf fingerprint` made: recordings of evaluation sets, which are refused."""
    balance: BalanceConfig
    shard_size: Count
    """Tracks in a shard, at most: one whose sound takes SHARD_BYTES ends before."""
    measurements: str | None = Field(json_schema_extra=NOT_IDENTITY)
    """Folder of what was measured before, which several runs may share; null for one among this run's ports."""
    workers: Count = Field(json_schema_extra=NOT_IDENTITY)

    def identity(self) -> dict[str, object]:
        """A source of songs counts by what it holds: songs that come, go or change make a new run."""
        identity = super().identity()
        if not isinstance(self.source, ScoresConfig):
            identity["listing_sha256"] = self.source.listing_sha256()
        if self.held_out:
            identity["held_out"] = [held_out_sha256(Path(path)) for path in self.held_out]
        return identity


@dataclass(frozen=True)
class TakeIn:
    """The work on one unit of a source. Picklable."""

    source: Source
    limits: DecodeLimits
    kind: FingerprintKind
    originals: Path
    provenance: Provenance
    store: MeasurementStore | None

    def __call__(self, unit: str) -> list[TakenRecording]:
        """Decode and measure all recordings of one unit, or look up what is known of them."""
        return [
            (take_in(r, self.limits, self.kind, self.provenance, self.store), r.truth)
            for r in self.source.recordings(unit, self.originals)
        ]

    def crashed(self, unit: str) -> list[TakenRecording]:
        """The recordings of a unit that ended the process which decoded them: nothing of them is opened."""
        given = (replace(r, problem=CRASHED, original=None) for r in self.source.recordings(unit, self.originals))
        return [(take_in(r, self.limits, self.kind, self.provenance), None) for r in given]


def take_in(
    recording: SourceRecording,
    limits: DecodeLimits,
    kind: FingerprintKind,
    provenance: Provenance,
    store: MeasurementStore | None = None,
) -> Track:
    """A recording as a track; a bad one quarantined with its reason. The split is dealt later."""
    source_sha256, found = "", RecordingMeasurements()
    try:
        _check(recording, limits)
        source_sha256 = sha256_file(recording.path)
        measure = partial(measure_recording, limits=limits, kind=kind)
        found = known_or_measured(recording.path, source_sha256, store, measure)
    except Problem as problem:
        found = RecordingMeasurements(reason=str(problem))
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        found = RecordingMeasurements(reason=QuarantineReason.UNREADABLE, detail=f"cannot be read: {error.strerror}")
    if found.no_sound and not recording.is_named_sound:
        recording, source_sha256 = replace(recording, original=None), ""
        found = RecordingMeasurements(reason=NOT_AUDIO)
    elif recording.with_tags is not None:
        recording = recording.with_tags(found.tags)
    if found.detail:
        log.warning("%s is quarantined: %s", clean(recording.uri), found.detail)
    return Track(
        id=recording.id,
        status=OK if found.reason is None else QUARANTINED + found.reason,
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
        audio_sha256=found.audio_sha256,
        duration_s=found.duration_s,
        original_rate_hz=found.rate_hz,
        num_channels=found.num_channels,
        loudness=found.loudness,
        fingerprint=found.fingerprint,
        fingerprint_kind=kind,
        audio=Audio(bytes=found.flac, path=f"{recording.id}.flac") if found.flac else None,
        provenance=provenance.model_copy(update={"seed": recording.seed}),
        album=recording.album,
        region=recording.region,
        licence=recording.licence,
        tags=_tags(found.tags) if found.reason is None else (),
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


def run(config: IngestConfig, tracks: Writer[Track], truth: Writer[Truth], originals: OutputFolder) -> Metrics:
    """Read the source, then decide duplicates, splits and weights over the whole catalogue."""
    source = config.source.open(config.limits)
    taken = Taken(originals.work)
    root = Path(config.measurements) if config.measurements else originals.root.parent / FOLDER
    settings = {"limits": config.limits.model_dump(), "kind": config.fingerprint.kind}
    store = MeasurementStore.of(root, "ingest", settings, measure_recording, RecordingMeasurements)
    provenance = Provenance(made_by="ingest", tool=source.tool, tool_version=source.tool_version())
    work = TakeIn(source, config.limits, config.fingerprint.kind, originals.root, provenance, store)
    _take_in_shards(config, source, taken, work)
    scratch = originals.work / "fingerprints.u32"
    kind = config.fingerprint.kind
    verdicts = judge(taken.shards, scratch, kind, config.duplicates, config.held_out, config.split, config.balance)
    for index in range(len(taken.shards)):
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

    def num_recordings(self) -> int:
        """How many were written."""
        return sum(pq.read_metadata(path).num_rows for path in self.shards)

    def write(self, index: int, made: Sequence[TakenRecording]) -> None:
        """Write the shard's tracks and truth."""
        self._truth.write(index, [t for _, t in made if t is not None])
        self._tracks.write(index, [t for t, _ in made])

    def tracks(self, index: int) -> Iterator[Track]:
        """Read the shard's tracks."""
        yield from read_parquet(shard_path(self._tracks.root, index), Track)

    def truth(self, index: int) -> Iterator[Truth]:
        """Read the shard's truth."""
        yield from read_parquet(shard_path(self._truth.root, index), Truth)

    @property
    def shards(self) -> list[Path]:
        """Paths of the written shards of tracks."""
        return shard_paths(self._tracks.root)


def _take_in_shards(config: IngestConfig, source: Source, taken: Taken, work: TakeIn) -> None:
    """Where a shard ends follows from its recordings alone, so an interrupted run ends its shards where others do."""
    units = source.units()
    done, most = _num_units_of(source, units, taken.num_recordings()), max(config.shard_size, 1)
    made: list[TakenRecording] = []
    total = sum(source.num_recordings(unit) for unit in islice(units, done, None))
    crashed = None if source.is_rendered else work.crashed
    with Progress("ingest", total, "tracks") as progress, pool_map(config.workers, crashed) as run_map:
        for unit_made in run_map(work, _from(units, done)):
            progress.advance(len(unit_made))
            if made and (len(made) + len(unit_made) > most or _num_bytes(made + unit_made) > SHARD_BYTES):
                taken.write(len(taken.shards), made)
                made = []
            made.extend(unit_made)
    if made:
        taken.write(len(taken.shards), made)


def _num_units_of(source: Source, units: Sequence[str], num_recordings: int) -> int:
    """How many of the first units have so many recordings."""
    so_far = accumulate((source.num_recordings(unit) for unit in units), initial=0)
    return next((place for place, num in enumerate(so_far) if num >= num_recordings), len(units))


def _from(units: Sequence[str], start: int) -> Iterator[str]:
    for place in range(start, len(units), UNITS_AT_ONCE):
        yield from units[place : place + UNITS_AT_ONCE]


def _num_bytes(made: Sequence[TakenRecording]) -> int:
    return sum(len(track.audio.bytes) for track, _ in made if track.audio is not None)


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
    title=StageTitle(
        "Annotation", "Ingest", "Decodes each recording once, measures loudness, fingerprints it, splits by work."
    ),
    config=IngestConfig,
    inputs={},
    outputs={"tracks": Track, "truth": Truth, "originals": Folder},
    run=run,
    uncached=frozenset({"originals"}),
)
