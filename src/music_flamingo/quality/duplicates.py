"""Find duplicate recordings, which would otherwise put one recording into two splits.

Exact: equal decoded samples, whatever the container. Near: Chromaprint fingerprints that agree bit for bit but for a
few, at one offset in time: other encoders, levels, trimmed ends, a preview of a longer recording. Performances of one
work in other keys or tempi do not agree.

Candidates come from an index of landmarks (`landmarks.py`); each is then compared in full, read from disk.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from music_flamingo.core.ranges import Fraction, NonNegative
from music_flamingo.quality.fingerprint_store import Fingerprinted, Fingerprints, gather
from music_flamingo.quality.landmarks import BLOCK_WORDS, LandmarkIndex

__all__ = ["Duplicate", "DuplicateLimits", "Fingerprinted", "find_duplicates", "find_repeats"]

MAX_CANDIDATES = 8
"""(recording, offset) pairs that are compared in full, those with most votes first."""
WORD_BITS = 32


class DuplicateLimits(BaseModel):
    """When two recordings are the same."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    max_bit_error: Fraction
    """Fraction of differing bits over the common segment; unrelated recordings differ in about half."""
    min_overlap: Fraction
    """Fraction of the shorter recording that the common segment covers."""
    min_common_s: NonNegative
    """The common segment lasts at least this long."""


@dataclass(frozen=True)
class Duplicate:
    """The track that this one repeats, how (exact or near), and the bit error rate of the match (0 to 1)."""

    of: str
    """The id of the earlier recording."""
    kind: Literal["exact", "near"]
    bit_error: float


def find_duplicates(
    recordings: Fingerprints | Iterable[Fingerprinted], limits: DuplicateLimits, words_per_s: float
) -> dict[str, Duplicate]:
    """Id of every recording that repeats an earlier one -> what it repeats, the closest if there are several.

    A recording that is itself a repetition is no original of others.
    """
    fingerprints = recordings if isinstance(recordings, Fingerprints) else gather(recordings)
    first_same = _first_same(fingerprints.audio_sha256)
    index = LandmarkIndex(fingerprints)
    found: dict[int, Duplicate] = {}

    def decide(number: int, pairs: Iterator[tuple[int, int]]) -> None:
        same = int(first_same[number])
        if same < number and same not in found:
            found[number] = Duplicate(fingerprints.ids[same], "exact", 0.0)
            return
        originals = ((reference, offset) for reference, offset in pairs if reference not in found)
        near = _closest(fingerprints, number, fingerprints, originals, limits, words_per_s)
        if near is not None:
            found[number] = near

    for first, end in fingerprints.blocks(BLOCK_WORDS):
        repeated = np.flatnonzero(first_same[first:end] < np.arange(first, end)) + first
        _each_query(index, fingerprints, first, end, True, decide, repeated)
    return {fingerprints.ids[number]: duplicate for number, duplicate in sorted(found.items())}


def find_repeats(
    queries: Fingerprints, references: Fingerprints, limits: DuplicateLimits, words_per_s: float
) -> dict[str, Duplicate]:
    """Id of every query that is the sound of a reference, or of a part of it, or holds one -> which reference."""
    hashes = dict(zip(references.audio_sha256.tolist()[::-1], references.ids[::-1], strict=True))
    exact = {n: hashes[sha] for n, sha in enumerate(queries.audio_sha256.tolist()) if sha and sha in hashes}
    found = {number: Duplicate(of, "exact", 0.0) for number, of in exact.items()}
    index = LandmarkIndex(references)

    def decide(number: int, pairs: Iterator[tuple[int, int]]) -> None:
        if number in exact:
            return
        near = _closest(queries, number, references, pairs, limits, words_per_s)
        if near is not None:
            found[number] = near

    for first, end in queries.blocks(BLOCK_WORDS):
        _each_query(index, queries, first, end, False, decide, np.zeros(0, np.int64))
    return {queries.ids[number]: duplicate for number, duplicate in sorted(found.items())}


def _each_query(
    index: LandmarkIndex,
    queries: Fingerprints,
    first: int,
    end: int,
    earlier_only: bool,
    decide: Callable[[int, Iterator[tuple[int, int]]], None],
    others: np.ndarray,
) -> None:
    """Call `decide` with each query that has candidates, or is among `others`, in order."""
    found = index.candidates(queries, first, end, earlier_only=earlier_only)
    rows = (row for c in found for row in zip(c.query.tolist(), c.reference.tolist(), c.offset.tolist(), strict=True))
    waiting = others.tolist()[::-1]
    for query, group in groupby(rows, key=lambda row: row[0]):
        while waiting and waiting[-1] < query:
            decide(waiting.pop(), iter(()))
        if waiting and waiting[-1] == query:
            waiting.pop()
        decide(query, ((reference, offset) for _, reference, offset in group))
    for number in reversed(waiting):
        decide(number, iter(()))


def _first_same(hashes: np.ndarray) -> np.ndarray:
    """Shape (n,): the number of the first recording with the same hash; its own where there is no hash."""
    _, firsts, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    return np.where(hashes == b"", np.arange(len(hashes)), firsts[inverse])


def _closest(
    queries: Fingerprints,
    number: int,
    references: Fingerprints,
    pairs: Iterator[tuple[int, int]],
    limits: DuplicateLimits,
    words_per_s: float,
) -> Duplicate | None:
    words, min_common = queries.of(number), round(limits.min_common_s * words_per_s)
    near = [
        Duplicate(references.ids[reference], "near", error)
        for reference, offset in islice(pairs, MAX_CANDIDATES)
        if (error := _bit_error(words, references.of(reference), offset, min_common, limits)) is not None
    ]
    return min(near, key=lambda d: (d.bit_error, d.of), default=None)


def _bit_error(
    words: np.ndarray, other: np.ndarray, offset: int, min_common: int, limits: DuplicateLimits
) -> float | None:
    """Fraction of differing bits where both sound, or None when that is too short or too different."""
    start, end = max(0, -offset), min(len(words), len(other) - offset)
    common = end - start
    if common < min_common or common < limits.min_overlap * min(len(words), len(other)):
        return None
    differing = np.bitwise_count(words[start:end] ^ other[start + offset : end + offset]).sum()
    error = float(differing) / (common * WORD_BITS)
    return error if error <= limits.max_bit_error else None
