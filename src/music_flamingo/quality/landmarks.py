"""Candidate duplicates: an index of landmark hashes, with votes for (recording, time offset).

A landmark is a fingerprint word whose hash is 0 modulo `step`: defined by its content, so an excerpt has the landmarks
of the whole. `step` is 1 (every word counts) until a catalogue has more than MAX_LANDMARKS words, then the least
power of two that keeps them below it. The index is one sorted array: 8 bytes a landmark, and 2 for its place (4 where
a recording lasts more than two hours).

Packed landmark: word in the high 32 bits, the landmark's number in the low 32. Packed vote: 22 bits of query, 22 bits
of reference, 20 bits of offset + 2**19.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from music_flamingo.core.errors import UserError
from music_flamingo.quality.fingerprint_store import Fingerprints

MAX_LANDMARKS = 2**27
MIN_VOTES = 3
"""Landmarks that must agree at one offset before two fingerprints are compared in full."""
LANDMARKS_A_VOTE = 16
"""Where landmarks are thinned out, a pair needs a vote for each so many of the shorter one, MIN_VOTES at the most."""
COMMON_WORD = 2000
"""A word that occurs in more places (silence, a held chord) tells nothing, and is not looked up."""
MAX_PAIRS = 2**27
"""Of equal landmarks in all: in a larger catalogue words count as common sooner, until their pairs are fewer."""
BLOCK_WORDS = 2**22
"""Words that are read together."""
PAIRS_AT_ONCE = 2**23
RECORDING_BITS, OFFSET_BITS = 22, 20
MAX_RECORDINGS = 2**RECORDING_BITS
MAX_WORDS = 2 ** (OFFSET_BITS - 1)
HASH_FACTOR, HASH_SHIFT = np.uint32(2654435769), np.uint32(12)
"""Fibonacci hashing: the middle bits of the product."""
FILTER_BITS = 26


@dataclass(frozen=True)
class Candidates:
    """Pairs that share landmarks at one offset, by query, then most votes first. Each column has shape (n,)."""

    query: np.ndarray
    reference: np.ndarray
    offset: np.ndarray
    """Place in the reference less place in the query, in words."""


class LandmarkIndex:
    """The landmarks of `references`."""

    def __init__(self, references: Fingerprints) -> None:
        _check_size(references)
        self._references = references
        self.step = 1
        while len(references.words) > MAX_LANDMARKS * self.step:
            self.step *= 2
        self._packed, self._places, self._firsts = self._build()
        self._common = self._common_from()
        self._filter = self._build_filter()

    def _build(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(packed landmarks, sorted; their places in the recording, by number; each recording's first number)."""
        numbers = self._count()
        packed = np.empty(numbers[-1], np.uint64)
        longest = int(np.diff(self._references.starts).max(initial=0))
        places = np.empty(numbers[-1], np.uint16 if longest <= 2**16 else np.uint32)
        for first, end in self._references.blocks(BLOCK_WORDS):
            words, recordings, place = landmarks(self._references, first, end, self.step)
            low, high = int(numbers[first]), int(numbers[end])
            del recordings
            packed[low:high] = words.astype(np.uint64) << np.uint64(32) | np.arange(low, high, dtype=np.uint64)
            places[low:high] = place
        packed.sort()
        return packed, places, numbers

    def _count(self) -> np.ndarray:
        """Shape (n + 1,): number of the first landmark of each recording, and of all."""
        numbers = np.zeros(len(self._references) + 1, np.int64)
        for first, end in self._references.blocks(BLOCK_WORDS):
            _, recordings, _ = landmarks(self._references, first, end, self.step)
            numbers[first + 1 : end + 1] = np.bincount(recordings - first, minlength=end - first)
        return np.cumsum(numbers)

    def _common_from(self) -> int:
        """Most occurrences of a word that is still looked up."""
        counts = np.zeros(COMMON_WORD + 1, np.int64)
        for start in range(0, len(self._packed), BLOCK_WORDS):
            _, lengths = np.unique(self._words(start, start + BLOCK_WORDS), return_counts=True)
            counts += np.bincount(lengths[lengths <= COMMON_WORD], minlength=COMMON_WORD + 1)
        occurrences = np.arange(COMMON_WORD + 1, dtype=np.int64)
        pairs = np.cumsum(counts * occurrences * (occurrences - 1) // 2)
        return int(np.searchsorted(pairs, MAX_PAIRS, side="right")) - 1 if pairs[-1] > MAX_PAIRS else COMMON_WORD

    def _words(self, start: int, end: int) -> np.ndarray:
        return (self._packed[start:end] >> np.uint64(32)).astype(np.uint32)

    def _build_filter(self) -> np.ndarray:
        """Which hashes occur at all: most words of a query need not be looked up."""
        seen = np.zeros(2**FILTER_BITS, bool)
        for start in range(0, len(self._packed), BLOCK_WORDS):
            seen[_filter_hash(self._words(start, start + BLOCK_WORDS))] = True
        return seen

    def candidates(self, queries: Fingerprints, first: int, end: int, *, earlier_only: bool) -> Iterator[Candidates]:
        """Of the queries `first` to `end`, in order, some queries at a time.

        With `earlier_only` the queries are the references themselves, and each is compared with those before it.
        """
        words, query, place = landmarks(queries, first, end, self.step)
        known = self._filter[_filter_hash(words)]
        words, query, place = words[known], query[known], place[known]
        low, count = self._look_up(words, self._firsts[query] if earlier_only else None)
        for start, stop in _parts(query, count):
            votes = self._vote(low[start:stop], count[start:stop], query[start:stop], place[start:stop])
            yield self._ranked(votes, queries)

    def _look_up(self, words: np.ndarray, below: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Where each word's landmarks begin in the index, and how many there are: with numbers less than `below`."""
        order = np.argsort(words, kind="stable")  # neighbours in the index are looked up one after another
        wanted = words[order].astype(np.uint64) << np.uint64(32)
        low = np.searchsorted(self._packed, wanted)
        high = np.searchsorted(self._packed, wanted + np.uint64(2**32 - 1), side="right")
        common = high - low > self._common
        if below is not None:
            high = np.searchsorted(self._packed, wanted + below[order].astype(np.uint64))
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return low[back], np.where(common, 0, high - low)[back]

    def _vote(self, low: np.ndarray, count: np.ndarray, query: np.ndarray, place: np.ndarray) -> np.ndarray:
        """Packed votes of landmarks that lie at `low`, `count` of them each, in the index."""
        within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
        number = (self._packed[np.repeat(low, count) + within] & np.uint64(2**32 - 1)).astype(np.int64)
        reference = np.searchsorted(self._firsts, number, side="right") - 1
        offset = self._places[number].astype(np.int64) - np.repeat(place, count) + MAX_WORDS
        packed = np.repeat(query, count) << (RECORDING_BITS + OFFSET_BITS) | reference << OFFSET_BITS | offset
        return packed.astype(np.uint64)

    def _ranked(self, votes: np.ndarray, queries: Fingerprints) -> Candidates:
        packed, count = np.unique(votes, return_counts=True)
        query = (packed >> np.uint64(RECORDING_BITS + OFFSET_BITS)).astype(np.int64)
        reference = (packed >> np.uint64(OFFSET_BITS)).astype(np.int64) & (MAX_RECORDINGS - 1)
        offset = (packed & np.uint64(2**OFFSET_BITS - 1)).astype(np.int64) - MAX_WORDS
        enough = count >= self._votes_needed(queries, query, reference)
        query, reference, offset, count = query[enough], reference[enough], offset[enough], count[enough]
        order = np.lexsort((offset, reference, -count, query))
        return Candidates(query[order], reference[order], offset[order])

    def _votes_needed(self, queries: Fingerprints, query: np.ndarray, reference: np.ndarray) -> np.ndarray:
        if self.step == 1:
            return np.full(len(query), MIN_VOTES)
        lengths, others = np.diff(queries.starts)[query], np.diff(self._references.starts)[reference]
        return np.clip(np.minimum(lengths, others) // (self.step * LANDMARKS_A_VOTE), 1, MIN_VOTES)


def landmarks(fingerprints: Fingerprints, first: int, end: int, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(words, recordings, places) of the landmarks of the recordings `first` to `end`. Shapes (n,)."""
    start = int(fingerprints.starts[first])
    words = fingerprints.words[start : int(fingerprints.starts[end])]
    chosen = np.arange(len(words))
    if step > 1:
        chosen = np.flatnonzero((words * HASH_FACTOR >> HASH_SHIFT) % np.uint32(step) == 0)
    recordings = np.searchsorted(fingerprints.starts, chosen + start, side="right") - 1
    return words[chosen], recordings, chosen + start - fingerprints.starts[recordings]


def _filter_hash(words: np.ndarray) -> np.ndarray:
    return words * HASH_FACTOR >> np.uint32(32 - FILTER_BITS)


def _parts(query: np.ndarray, count: np.ndarray) -> Iterator[tuple[int, int]]:
    """Slices of whole queries with about PAIRS_AT_ONCE pairs each."""
    ends = np.cumsum(count)
    borders = np.append(np.flatnonzero(np.diff(query)) + 1, len(query))
    start = done = 0
    while start < len(query):
        stop = int(np.searchsorted(ends, done + PAIRS_AT_ONCE, side="right"))
        # back to where a query begins, or, if one alone has more pairs, on to where it ends
        before = borders[np.searchsorted(borders, stop, side="right") - 1] if stop >= borders[0] else 0
        stop = int(before if before > start else borders[np.searchsorted(borders, start, side="right")])
        yield start, stop
        start, done = stop, int(ends[stop - 1])


def _check_size(fingerprints: Fingerprints) -> None:
    longest = int(np.diff(fingerprints.starts).max(initial=0))
    if len(fingerprints) > MAX_RECORDINGS or longest > MAX_WORDS:
        raise UserError(
            f"{len(fingerprints)} recordings, the longest of {longest} words, are more than the search for duplicates "
            f"holds ({MAX_RECORDINGS} and {MAX_WORDS}). Split the catalogue."
        )
