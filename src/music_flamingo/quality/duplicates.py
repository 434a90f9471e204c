"""Duplicates: the same sound twice in a catalogue would put one recording into two splits.

Exact: equal decoded samples, whatever the container. Near: Chromaprint fingerprints that agree bit for bit but for a
few, at one offset in time: other encoders, levels, trimmed ends, a preview of a longer recording. Performances of one
work in other keys or tempi do not agree.

The index is inverted (word -> where it occurred), so a new recording is compared with the few that share words with it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

MIN_VOTES = 3
"""Words that must agree at one offset before two fingerprints are compared in full."""
MAX_CANDIDATES = 8
COMMON_WORD = 2000
"""A word that occurs in more places (silence, a held chord) tells nothing, and is not looked up."""
WORD_BITS = 32


class DuplicateLimits(BaseModel):
    """When two recordings are the same."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    max_bit_error: float
    """Fraction of differing bits over the common stretch; unrelated recordings differ in about half."""
    min_overlap: float
    """Fraction of the shorter recording that the common stretch covers."""
    min_common_s: float
    """The common stretch lasts at least this long."""


@dataclass(frozen=True)
class Fingerprinted:
    """What is compared of a recording."""

    id: str
    audio_sha256: str
    words: np.ndarray
    """Shape (n,), uint32."""


@dataclass(frozen=True)
class Duplicate:
    of: str
    """The id of the earlier recording."""
    kind: Literal["exact", "near"]
    bit_error: float


class DuplicateIndex:
    """Recordings seen so far. Memory: about 12 bytes a fingerprint word, no audio."""

    def __init__(self, limits: DuplicateLimits, words_per_s: float) -> None:
        self._limits = limits
        self._min_common = round(limits.min_common_s * words_per_s)
        self._by_hash: dict[str, str] = {}
        self._words: list[tuple[str, np.ndarray]] = []
        self._places: dict[int, list[tuple[int, int]]] = defaultdict(list)

    def find(self, recording: Fingerprinted) -> Duplicate | None:
        """The earlier recording that this one repeats, the closest if there are several."""
        exact = self._by_hash.get(recording.audio_sha256)
        if exact is not None:
            return Duplicate(exact, "exact", 0.0)
        found = [
            Duplicate(self._words[other][0], "near", error)
            for other, offset in self._candidates(recording.words)
            if (error := self._bit_error(recording.words, self._words[other][1], offset)) is not None
        ]
        return min(found, key=lambda d: (d.bit_error, d.of), default=None)

    def add(self, recording: Fingerprinted) -> None:
        number = len(self._words)
        self._by_hash[recording.audio_sha256] = recording.id
        self._words.append((recording.id, recording.words))
        for position, word in enumerate(recording.words.tolist()):
            places = self._places[word]
            if len(places) <= COMMON_WORD:
                places.append((number, position))

    def _candidates(self, words: np.ndarray) -> list[tuple[int, int]]:
        """(recording, offset) pairs at which most words agree."""
        votes: Counter[tuple[int, int]] = Counter()
        for position, word in enumerate(words.tolist()):
            places = self._places.get(word, ())
            if len(places) <= COMMON_WORD:
                votes.update((other, place - position) for other, place in places)
        ranked = sorted(votes.items(), key=lambda item: (-item[1], item[0]))
        return [pair for pair, count in ranked[:MAX_CANDIDATES] if count >= MIN_VOTES]

    def _bit_error(self, words: np.ndarray, other: np.ndarray, offset: int) -> float | None:
        """Fraction of differing bits where both sound, or None when that is too short or too different."""
        start, end = max(0, -offset), min(len(words), len(other) - offset)
        common = end - start
        if common < self._min_common or common < self._limits.min_overlap * min(len(words), len(other)):
            return None
        differing = np.bitwise_count(words[start:end] ^ other[start + offset : end + offset]).sum()
        error = float(differing) / (common * WORD_BITS)
        return error if error <= self._limits.max_bit_error else None


def find_duplicates(
    recordings: Iterable[Fingerprinted], limits: DuplicateLimits, words_per_s: float
) -> dict[str, Duplicate]:
    """Id of every recording that repeats an earlier one -> what it repeats. Originals alone enter the index."""
    index = DuplicateIndex(limits, words_per_s)
    duplicates = {}
    for recording in recordings:
        duplicate = index.find(recording)
        if duplicate is None:
            index.add(recording)
        else:
            duplicates[recording.id] = duplicate
    return duplicates
