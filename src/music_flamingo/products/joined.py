"""MF-Skills or MF-Think joined with the audio of each row, for training elsewhere.

The audio of a track lies once in `tracks`, not once for each of its questions; it is joined while reading, shard by
shard, so that memory holds the audio of one shard. It is decoded by soundfile: the `datasets` library's own decoding
needs torchcodec and FFmpeg, and with them `load_dataset("data/tracks").cast_column("audio", Audio())` works too.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow.parquet as pq

from music_flamingo.audio.flac import MODEL_RATE_HZ, decode_flac
from music_flamingo.core.errors import UserError
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.shards import shard_index, shard_path, shard_paths

if TYPE_CHECKING:
    from datasets import IterableDataset

COLUMNS = {
    "skills": ("id", "track_id", "split", "skill", "type", "family", "question", "options", "answer", "rationale"),
    "think": ("id", "track_id", "split", "family", "question", "options", "thinking", "answer"),
}


def joined(
    data: str | Path, port: Literal["skills", "think"], split: str = "train", decode: bool = True
) -> "IterableDataset":
    """Rows of `split` with `audio`: float32 samples at 16 kHz (`array`, `sampling_rate`), or FLAC bytes (`bytes`).

    A streaming `datasets` dataset with one shard for each shard of the port, so that loaders with several workers
    share them. Raises UserError for another port, MissingInputError where a port is not finished.
    """
    from datasets import IterableDataset

    root = Path(data)
    if port not in COLUMNS:
        raise UserError(f"{port!r} has no audio to join. Choose one of: {', '.join(COLUMNS)}.")
    for name in (port, "tracks"):
        read_manifest(root / name)
    shards = [str(path) for path in shard_paths(root / port)]
    given = {"shards": shards, "tracks": str(root / "tracks"), "split": split, "decode": decode}
    return IterableDataset.from_generator(_rows, gen_kwargs=given)


def _rows(shards: list[str], tracks: str, split: str, decode: bool) -> Iterator[dict[str, Any]]:
    for path in map(Path, shards):
        columns = list(COLUMNS[path.parent.name])
        rows = pq.read_table(path, columns=columns, filters=[("split", "==", split)]).to_pylist()
        about: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            about.setdefault(row["track_id"], []).append(row)
        for track_id, flac in _audio(shard_path(Path(tracks), shard_index(path)), sorted(about)).items():
            heard = {"array": decode_flac(flac), "sampling_rate": MODEL_RATE_HZ} if decode else {"bytes": flac}
            for row in about[track_id]:
                yield {"audio": heard, **row}


def _audio(shard: Path, track_ids: list[str]) -> dict[str, bytes]:
    """FLAC bytes by track, in the order of the shard."""
    if not track_ids:
        return {}
    rows = pq.read_table(shard, columns=["id", "audio"], filters=[("id", "in", track_ids)]).to_pylist()
    return {row["id"]: row["audio"]["bytes"] for row in rows}
