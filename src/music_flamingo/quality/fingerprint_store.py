"""Memory-mapped store of fingerprints: all recordings in one flat file.

Shapes: words (W,) uint32, all recordings one after another; starts (n + 1,) int64, where each begins.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

SHA256_CHARS = 64
WORD_BYTES = 4


@dataclass(frozen=True)
class Fingerprinted:
    """What is compared of a recording."""

    id: str
    audio_sha256: str
    words: np.ndarray
    """Shape (n,), uint32."""


class WordFile:
    """A flat file of words, read slice by slice: pages of a mapped file would count as this process's memory."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._num_words = path.stat().st_size // WORD_BYTES

    def __len__(self) -> int:
        return self._num_words

    def __getitem__(self, places: slice) -> np.ndarray:
        start, end, _ = places.indices(self._num_words)
        data = os.pread(self._file.fileno(), max(0, end - start) * WORD_BYTES, start * WORD_BYTES)
        return np.frombuffer(data, np.uint32)


@dataclass(frozen=True)
class Fingerprints:
    """Recordings in the order of their catalogue; the earlier of two that are the same stays."""

    ids: Sequence[str]
    audio_sha256: np.ndarray
    """Shape (n,), bytes: of the decoded samples."""
    words: "np.ndarray | WordFile"
    """Shape (W,), uint32, in memory or in a file."""
    starts: np.ndarray
    """Shape (n + 1,), int64."""

    def __len__(self) -> int:
        return len(self.ids)

    def of(self, number: int) -> np.ndarray:
        """The words of one recording."""
        return self.words[self.starts[number] : self.starts[number + 1]]

    def num_words(self, number: int) -> int:
        """Number of 32-bit words in the fingerprint of recording `number`."""
        return int(self.starts[number + 1] - self.starts[number])

    def blocks(self, max_words: int) -> Iterable[tuple[int, int]]:
        """(first, end) of runs of whole recordings, each of about `max_words` words or of one recording."""
        first = 0
        while first < len(self):
            end = int(np.searchsorted(self.starts, self.starts[first] + max_words, side="right")) - 1
            end = min(max(end, first + 1), len(self))
            yield first, end
            first = end


def gather(recordings: Iterable[Fingerprinted]) -> Fingerprints:
    """A small set in memory."""
    found = list(recordings)
    nothing = [np.zeros(0, np.uint32)]
    return Fingerprints(
        [r.id for r in found],
        _hashes([r.audio_sha256 for r in found]),
        np.concatenate([r.words.astype(np.uint32) for r in found] or nothing),
        np.cumsum([0, *(len(r.words) for r in found)], dtype=np.int64),
    )


class FingerprintsWriter:
    """Writes recordings one by one into a flat file; `fingerprints()` opens it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = path.open("wb")
        self._ids: list[str] = []
        self._hashes: list[np.ndarray] = []
        self._lengths: list[np.ndarray] = []

    def __enter__(self) -> "FingerprintsWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def add(self, ids: Sequence[str], audio_sha256: Sequence[str], words: np.ndarray, lengths: np.ndarray) -> None:
        """Several recordings: `words` holds theirs one after another, `lengths` how many each has."""
        self._ids.extend(ids)
        self._hashes.append(_hashes(audio_sha256))
        self._lengths.append(np.asarray(lengths, np.int64))
        words.astype(np.uint32).tofile(self._file)

    def fingerprints(self) -> Fingerprints:
        """What was written. The writer takes nothing more."""
        self._file.close()
        lengths = np.concatenate([np.zeros(1, np.int64), *self._lengths])
        hashes = np.concatenate([_hashes([]), *self._hashes])
        return Fingerprints(self._ids, hashes, WordFile(self._path), np.cumsum(lengths))


def _hashes(texts: Sequence[str]) -> np.ndarray:
    return np.array([t.encode() for t in texts], dtype=f"S{SHA256_CHARS}")
