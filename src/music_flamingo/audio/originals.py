"""Open a track's original file and verify its SHA-256."""

import os
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from music_flamingo.core.errors import CorruptDataError, MissingInputError
from music_flamingo.core.hashing import sha256_file
from music_flamingo.records import Track


def open_original(track: Track, originals_root: Path) -> Path:
    """The file of the track's original recording, verified against `source_sha256`.

    Raises MissingInputError when it is gone, CorruptDataError naming the file when its bytes are others.
    """
    path = original_path(track, originals_root)
    if not path.is_file():
        raise MissingInputError(
            f"{path}, the original of track {track.id}, does not exist. Bring the file back or run ingest again."
        )
    if sha256_file(path) != track.source_sha256:
        raise CorruptDataError(
            f"{path} is not the recording that was taken in as track {track.id}: its SHA-256 differs. "
            "Bring the file back or run ingest again."
        )
    return path


def original_path(track: Track, originals_root: Path) -> Path:
    """Where the original lies: inside the originals port, or wherever its `file:` uri says."""
    if track.original is None:
        raise MissingInputError(f"track {track.id} has no original recording ({track.status}).")
    return place_of_original(track.original, originals_root)


def place_of_original(original: str, originals_root: Path) -> Path:
    """Where a track's `original` leads: into the originals port, or wherever its `file:` uri says."""
    return file_uri_path(original) if original.startswith("file:") else originals_root / original


def file_uri_path(uri: str) -> Path:
    """Where a `file:` uri leads. Names need not be UTF-8."""
    return Path(os.fsdecode(unquote_to_bytes(urlsplit(uri).path)))
