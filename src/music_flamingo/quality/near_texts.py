"""Near-duplicate long texts over the whole set: MinHash and LSH, in bounded memory.

A text is its set of word n-grams. `signatures` gives 128 minima of 16 bits each (256 bytes a text); equal minima
estimate the Jaccard similarity with a standard error below .045, at .9 below .03. Texts whose minima agree over a
whole band are neighbours, and a neighbour is compared with the first of its band and those just before it, so the
work grows with the number of texts even where a teacher repeats itself endlessly.

# N texts, T n-grams of all texts, P minima, B bands of R minima
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

NUM_MINIMA = 128
BAND_MINIMA = 8
"""16 bands of 8: a pair at .8 is looked at with probability .95, at .9 with .9999, at .5 with .06."""
NEIGHBOURS = 4
"""Texts just before it in its band that a text is compared with, in addition to the first."""
_WORD_SEED = 0x9E3779B97F4A7C15


class TextLimits(BaseModel):
    """When two texts of different tracks are the same text."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    min_words: int = Field(ge=1)
    """Shorter texts repeat by design over tracks (closed questions, one-sentence captions) and are not compared."""
    words_per_gram: int = Field(ge=1)
    similarity: float = Field(gt=0, le=1)
    """Share of n-grams in common from which the later of two texts is a duplicate."""


def count_words(texts: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Words of each text, shape (N,), int64."""
    return np.asarray(pc.list_value_length(_split(texts)).to_numpy(zero_copy_only=False), dtype=np.int64)


def signatures(texts: Sequence[str], words_per_gram: int) -> np.ndarray:
    """MinHash of each text, shape (N, P), uint16. Texts shorter than an n-gram count as one."""
    if not texts:
        return np.empty((0, NUM_MINIMA), np.uint16)
    words = _split(pa.array(texts, pa.string()))
    encoded = words.values.dictionary_encode()
    known = np.array([_hash(w) for w in encoded.dictionary.to_pylist()], dtype=np.uint64)
    word_T = known[encoded.indices.to_numpy()] if len(known) else np.empty(0, np.uint64)
    offsets = words.offsets.to_numpy()
    gram_T, starts_N = _grams(word_T, offsets, words_per_gram)
    minima = np.empty((len(texts), NUM_MINIMA), np.uint16)
    for k, (factor, shift) in enumerate(_permutations()):
        mixed = gram_T * factor + shift
        least = np.minimum.reduceat(mixed >> np.uint64(32), starts_N)
        # the low bits of a minimum are uniform, its high bits are not
        minima[:, k] = (least & np.uint64(0xFFFF)).astype(np.uint16)
    return minima


def _split(texts: pa.Array | pa.ChunkedArray) -> pa.ListArray:
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    # decimal points stay inside a figure: 7.2 is not 7 and 2
    plain = pc.replace_substring_regex(pc.utf8_lower(texts), r"[^\pL\pN.#']+|\.(\s|$)|\s\.", " ")
    return pc.utf8_split_whitespace(pc.utf8_trim_whitespace(plain))


def _hash(word: str) -> int:
    import zlib

    data = word.encode()
    return zlib.crc32(data) << 32 | zlib.crc32(data, 0x9E3779B9)


def _grams(word_T: np.ndarray, offsets: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(hashes of the n-grams of all texts, where each text's begin). An empty text has one n-gram of its own."""
    lengths = np.diff(offsets)
    counts = np.maximum(lengths - size + 1, 1)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    owner = np.repeat(np.arange(len(counts)), counts)
    first = offsets[:-1][owner] + np.arange(counts.sum()) - starts[owner]
    padded = np.concatenate([word_T, np.zeros(size, np.uint64)])
    hashed = np.full(len(first), _WORD_SEED, np.uint64)
    for k in range(size):
        inside = k < lengths[owner]
        word = np.where(inside, padded[np.minimum(first + k, len(padded) - 1)], np.uint64(0))
        hashed = _mix(hashed ^ word)
    return hashed, starts


def _mix(x: np.ndarray) -> np.ndarray:
    """splitmix64's finaliser."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


def _permutations() -> list[tuple[np.uint64, np.uint64]]:
    """Multiply-shift hash functions, always the same."""
    rng = np.random.default_rng(0)
    factors = rng.integers(0, 2**63, NUM_MINIMA, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    shifts = rng.integers(0, 2**63, NUM_MINIMA, dtype=np.uint64)
    return list(zip(factors, shifts, strict=True))


def near_duplicates(minima: np.ndarray, similarity: float) -> dict[int, int]:
    """Number of each text that repeats an earlier one -> the earliest that it repeats and that itself stays."""
    earlier, later = _neighbours(minima)
    agree = np.empty(len(later), np.float32)
    for start in range(0, len(later), 65536):
        part = slice(start, start + 65536)
        agree[part] = (minima[earlier[part]] == minima[later[part]]).mean(axis=1)
    same = agree >= similarity
    found: dict[int, int] = {}
    order = np.lexsort((earlier[same], later[same]))
    for i, j in zip(later[same][order].tolist(), earlier[same][order].tolist(), strict=True):
        found.setdefault(i, found.get(j, j))
    return found


def _neighbours(minima: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (earlier, later) that agree over some band, each once."""
    num_bands = NUM_MINIMA // BAND_MINIMA
    bands = minima.reshape(len(minima), num_bands, BAND_MINIMA)
    pairs = np.empty(0, np.uint64)
    for band in range(num_bands):
        key, beside = (_band_key(bands[:, b % num_bands]) for b in (band, band + 1))
        order = np.lexsort((np.arange(len(key)), beside, key))
        found = np.unique(_within_runs(order, key[order]))
        pairs = np.union1d(pairs, found)
    return (pairs >> np.uint64(32)).astype(np.int64), (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64)


def _band_key(minima: np.ndarray) -> np.ndarray:
    key = np.full(len(minima), _WORD_SEED, np.uint64)
    for k in range(minima.shape[1]):
        key = _mix(key ^ minima[:, k].astype(np.uint64))
    return key


def _within_runs(order: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Packed pairs: each text of a run of equal keys with the run's first and with the few before it."""
    place = np.arange(len(order))
    first = (
        np.maximum.accumulate(np.where(np.concatenate([[True], key[1:] != key[:-1]]), place, 0)) if len(key) else place
    )
    packed = []
    for back in range(NEIGHBOURS + 1):
        other = first if back == 0 else place - back
        together = (other >= first) & (other < place)
        one, two = order[other[together]], order[place[together]]
        packed.append(np.minimum(one, two).astype(np.uint64) << np.uint64(32) | np.maximum(one, two).astype(np.uint64))
    return np.concatenate(packed)
