"""Audio of training: recordings read lazily from their shards, windows of them as log-mel features.

Anything with an `id`, its `audio` and `duration_s` is a recording: a track, an utterance.
"""

import io
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from music_flamingo.audio.flac import MODEL_RATE_HZ, decode_flac
from music_flamingo.core.errors import UserError
from music_flamingo.core.ports import Table
from music_flamingo.core.record import OK
from music_flamingo.model.chat import EncoderAudio, hear
from music_flamingo.records import Audio

CACHE_BYTES = 600 * 2**20
"""Features kept in memory; 2,700 windows of 6 s with 96 mel bins take 300 MiB."""
FLAC_BYTES = 256 * 2**20
"""Compressed audio kept in memory: a thousand clips of 12 s, or 60 songs."""
OPEN_SHARDS = 64

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, order=True)
class TrainingWindow:
    """A segment of a recording, in samples at the model's rate."""

    track_id: str
    start: int
    end: int


@dataclass(frozen=True)
class RecordingIndex:
    """What planning knows of recordings: ids in ascending order, and numbers next to them."""

    ids: pa.Array
    num_samples: np.ndarray
    sampling_weight: np.ndarray


class LoadedRecording(Protocol):
    """A recording in memory."""

    @property
    def id(self) -> str:
        """Id of the recording."""

    @property
    def audio(self) -> Audio | None:
        """Where its audio is stored; None without one."""


class Kept(Generic[K, V]):
    """The latest values asked for, as many as fit into `room`."""

    def __init__(self, room: int) -> None:
        self.room = room
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self.held = 0

    def get(self, key: K) -> V | None:
        """The cached value, or None; marks it as recently used."""
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key][0]

    def put(self, key: K, value: V, size: int) -> V:
        """Cache a value of `size` and drop the least recently used until all fit; returns the value."""
        self._values[key] = (value, size)
        self.held += size
        while self.held > self.room and len(self._values) > 1:
            self.held -= self._values.popitem(last=False)[1][1]
        return value


class Recordings(Mapping[str, bytes]):
    """FLAC of the good recordings of some tables, by id. Holds where they lie, and reads them when asked."""

    def __init__(self, tables: Sequence[Table]) -> None:
        paths = [path for table in tables for path in table.shards]
        index = pa.concat_tables([_INDEX.empty_table(), *(_index_of(n, path) for n, path in enumerate(paths))])
        index = index.filter(pc.equal(index["status"], OK)).sort_by("id").combine_chunks()
        self._paths = paths
        num_samples = np.rint(index["duration_s"].to_numpy() * MODEL_RATE_HZ).astype(np.int64)
        ids = pa.concat_arrays(index["id"].chunks)
        self.listing = RecordingIndex(ids, num_samples, index["sampling_weight"].to_numpy())
        twice = _first_twice(ids)
        if twice is not None:
            raise UserError(f"recording {twice} comes in two tables of the mixture: ids must differ between sources.")
        self._shard, self._row = index["shard"].to_numpy(), index["row"].to_numpy()
        self._files: Kept[int, pq.ParquetFile] = Kept(OPEN_SHARDS)
        self._groups: Kept[tuple[int, int], list[bytes]] = Kept(FLAC_BYTES)

    def __len__(self) -> int:
        return len(self.listing.ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.listing.ids.to_pylist())

    def __contains__(self, recording_id: object) -> bool:
        """Without reading it."""
        try:
            self.place(str(recording_id))
        except KeyError:
            return False
        return True

    def __getitem__(self, recording_id: str) -> bytes:
        number = self.place(recording_id)
        shard, row = int(self._shard[number]), int(self._row[number])
        file = self._files.get(shard) or self._files.put(shard, pq.ParquetFile(self._paths[shard], memory_map=True), 1)
        group = 0
        while row >= file.metadata.row_group(group).num_rows:
            row -= file.metadata.row_group(group).num_rows
            group += 1
        return (self._groups.get((shard, group)) or self._read(file, shard, group))[row]

    def length(self, recording_id: str) -> int:
        """In samples."""
        return int(self.listing.num_samples[self.place(recording_id)])

    def weight(self, recording_id: str) -> float:
        """How often it is drawn next to others; 1 where its table does not say."""
        return float(self.listing.sampling_weight[self.place(recording_id)])

    def place(self, recording_id: str) -> int:
        """Its place in the listing. Raises KeyError."""
        ids = self.listing.ids
        first, end = 0, len(ids)
        while first < end:
            middle = (first + end) // 2
            if ids[middle].as_py() < recording_id:
                first = middle + 1
            else:
                end = middle
        if first == len(ids) or ids[first].as_py() != recording_id:
            raise KeyError(recording_id)
        return first

    def _read(self, file: pq.ParquetFile, shard: int, group: int) -> list[bytes]:
        column = file.read_row_group(group, columns=["audio.bytes"])["audio"].combine_chunks()
        flac = [value or b"" for value in pc.struct_field(column, "bytes").to_pylist()]
        return self._groups.put((shard, group), flac, sum(map(len, flac)))


_INDEX = pa.schema(
    [
        ("id", pa.large_string()),
        ("status", pa.string()),
        ("duration_s", pa.float64()),
        ("sampling_weight", pa.float64()),
        ("shard", pa.int32()),
        ("row", pa.int32()),
    ]
)


def _index_of(number: int, path: Path) -> pa.Table:
    """Where the recordings of a shard lie, and how long they are: everything but their audio."""
    present = set(pq.read_schema(path).names)
    rows = pq.read_table(path, columns=[n for n in ("id", "status", "duration_s", "sampling_weight") if n in present])
    weights = rows["sampling_weight"].to_numpy() if "sampling_weight" in present else np.ones(rows.num_rows)
    return pa.table(
        {
            "id": rows["id"].cast(pa.large_string()),
            "status": rows["status"],
            "duration_s": rows["duration_s"],
            "sampling_weight": weights,
            "shard": np.full(rows.num_rows, number, np.int32),
            "row": np.arange(rows.num_rows, dtype=np.int32),
        },
        schema=_INDEX,
    )


def _first_twice(ids: pa.Array) -> str | None:
    if len(ids) < 2:
        return None
    same = np.flatnonzero(np.asarray(pc.equal(ids[1:], ids[:-1])))
    return ids[int(same[0])].as_py() if len(same) else None


class SoundBank:
    """Gives the Sound of any window, made when first asked for and kept while it fits."""

    def __init__(self, processor, recordings: Mapping[str, bytes] | Iterable[LoadedRecording]) -> None:
        self.processor = processor
        self._flac = recordings if isinstance(recordings, Mapping) else flac_of(recordings)
        self._sounds: Kept[TrainingWindow, EncoderAudio] = Kept(CACHE_BYTES)

    def __call__(self, window: TrainingWindow) -> EncoderAudio:
        sound = self._sounds.get(window)
        if sound is not None:
            return sound
        sound = hear(self.processor, self.samples(window))
        return self._sounds.put(window, sound, sound.features_WMT.nbytes + sound.mask_WT.nbytes)

    def samples(self, window: TrainingWindow) -> np.ndarray:
        """float32 mono, shape (window.end - window.start,). Raises UserError when the recording ends before."""
        samples = decode_flac(self._flac[window.track_id])
        if window.end > len(samples) + 1:  # a duration in microseconds may round up by a sample
            raise UserError(
                f"{window.track_id} has {len(samples)} samples, but its `duration_s` promises at least {window.end}: "
                "run the stage that wrote its table again."
            )
        return samples[window.start : window.end]


def flac_of(tracks: Iterable[LoadedRecording]) -> dict[str, bytes]:
    """Recordings in memory, by id."""
    return {track.id: track.audio.bytes for track in tracks if track.audio is not None}


def num_samples_of(tracks: Iterable[LoadedRecording]) -> dict[str, int]:
    """Samples of each recording's copy for the model, from the FLAC header."""
    import soundfile

    return {name: soundfile.info(io.BytesIO(flac)).frames for name, flac in flac_of(tracks).items()}
