"""Duplicates: what is the same sound, and what is only the same piece."""

import base64
import time
from pathlib import Path

import numpy as np
import pytest
import sounds
from test_audio_decode import LIMITS as DECODE_LIMITS

from music_flamingo.audio.decode import decode_model_copy
from music_flamingo.audio.fingerprint import WORDS_PER_S, decompress, fingerprint
from music_flamingo.core.hashing import sha256_bytes
from music_flamingo.quality.duplicates import Duplicate, DuplicateIndex, DuplicateLimits, Fingerprinted, find_duplicates

LIMITS = DuplicateLimits(max_bit_error=0.15, min_overlap=0.8, min_common_s=3.0)
TUNE = sounds.tune(20.0, seed=7)


def fingerprinted(name: str, data: bytes) -> Fingerprinted:
    samples = decode_model_copy(data, DECODE_LIMITS)
    words = np.array(fingerprint(samples, 16000), dtype=np.uint32)
    return Fingerprinted(name, sha256_bytes(samples.tobytes()), words)


def compare(data: bytes) -> Duplicate | None:
    """What is found for a copy of TUNE among it and some others."""
    index = DuplicateIndex(LIMITS, WORDS_PER_S)
    for name, samples in (("tune", TUNE), ("b", sounds.tune(20.0, 8)), ("c", sounds.tune(20.0, 9))):
        index.add(fingerprinted(name, sounds.encode(samples, "flac")))
    return index.find(fingerprinted("copy", data))


def test_the_same_samples_in_another_lossless_container_are_an_exact_duplicate() -> None:
    assert compare(sounds.encode(TUNE, "wav")) == Duplicate("tune", "exact", 0.0)


@pytest.mark.parametrize("suffix", ["mp3", "m4a", "ogg", "opus"])
def test_another_encoder_is_a_near_duplicate(suffix: str) -> None:
    found = compare(sounds.encode(TUNE, suffix, bit_rate=96_000))
    assert found is not None and (found.of, found.kind) == ("tune", "near")


@pytest.mark.parametrize(
    "samples",
    [
        0.1 * TUNE,
        TUNE[round(0.5 * sounds.RATE_HZ) :],
        TUNE[: round(18.7 * sounds.RATE_HZ)],
        np.concatenate([np.zeros(sounds.RATE_HZ, "f4"), TUNE]),
        TUNE[5 * sounds.RATE_HZ : 13 * sounds.RATE_HZ],
    ],
    ids=["quieter", "trimmed start", "trimmed end", "late start", "preview"],
)
def test_levels_trims_and_previews_are_near_duplicates(samples: np.ndarray) -> None:
    found = compare(sounds.encode(np.ascontiguousarray(samples), "mp3"))
    assert found is not None and (found.of, found.kind) == ("tune", "near")


def test_another_tune_is_no_duplicate() -> None:
    assert compare(sounds.encode(sounds.tune(20.0, seed=10), "flac")) is None


def test_half_a_common_recording_is_no_duplicate() -> None:
    half = np.concatenate([TUNE[: 8 * sounds.RATE_HZ], sounds.tune(12.0, seed=11)])
    assert compare(sounds.encode(half, "flac")) is None


def test_performances_of_one_work_are_no_duplicates(tmp_path: Path) -> None:
    from test_scores import CONFIG

    from music_flamingo.sources.scores import ScoresSource

    source = ScoresSource(CONFIG)
    made = [r for u in ("bach-bwv253", "essenFolksong-han1-1") for r in source.recordings(u, tmp_path)]
    assert find_duplicates([fingerprinted(r.id, r.path.read_bytes()) for r in made], LIMITS, WORDS_PER_S) == {}


def test_only_the_first_of_several_copies_stays() -> None:
    words = np.random.default_rng(0).integers(0, 2**32, 100, dtype=np.uint32)
    noisy = words ^ np.where(np.arange(100) % 3 == 0, 5, 0).astype(np.uint32)
    copies = [Fingerprinted("a", "1", words), Fingerprinted("b", "2", noisy), Fingerprinted("c", "1", words)]
    assert find_duplicates(copies, LIMITS, WORDS_PER_S) == {
        "b": Duplicate("a", "near", pytest.approx(2 / 32 * 34 / 100)),
        "c": Duplicate("a", "exact", 0.0),
    }


def test_a_held_chord_does_not_match_another_one() -> None:
    steady = [np.full(100, word, dtype=np.uint32) for word in (0x0F0F0F0F, 0xF0F0F0F0)]
    recordings = [Fingerprinted(str(i), str(i), w) for i, w in enumerate(steady)]
    assert find_duplicates(recordings, LIMITS, WORDS_PER_S) == {}


def test_a_recording_too_short_for_a_fingerprint_is_compared_by_its_hash_alone() -> None:
    nothing = np.zeros(0, dtype=np.uint32)
    recordings = [Fingerprinted("a", "1", nothing), Fingerprinted("b", "2", nothing), Fingerprinted("c", "1", nothing)]
    assert set(find_duplicates(recordings, LIMITS, WORDS_PER_S)) == {"c"}


def test_the_search_stays_quick_over_two_thousand_recordings() -> None:
    rng = np.random.default_rng(1)
    index = DuplicateIndex(LIMITS, WORDS_PER_S)
    catalogue = rng.integers(0, 2**32, (2_000, 240), dtype=np.uint32)
    for number, words in enumerate(catalogue):
        index.add(Fingerprinted(str(number), str(number), words))
    started = time.process_time()
    flips = (np.arange(240) % 2).astype(np.uint32)
    found = [index.find(Fingerprinted("x", "x", words ^ flips)) for words in catalogue[:200]]
    assert [d.of for d in found if d] == [str(i) for i in range(200)]
    assert (time.process_time() - started) / 200 < 0.01


def test_fingerprints_are_chromaprints_words_at_its_rate() -> None:
    words = fingerprint(decode_model_copy(sounds.encode(TUNE, "flac"), DECODE_LIMITS), 16000)
    assert all(0 <= w < 2**32 for w in words)
    assert len(words) / WORDS_PER_S == pytest.approx(20.0, abs=3.5)


@pytest.mark.parametrize(("data", "words"), [
    ([0, 0, 0, 1, 1], [1]),
    ([0, 0, 0, 1, 73, 0], [7]),
    ([0, 0, 0, 1, 7, 0], [1 << 6]),
    ([0, 0, 0, 1, 7, 2], [1 << 8]),
    ([0, 0, 0, 2, 65, 0], [1, 0]),
    ([0, 0, 0, 2, 1, 0], [1, 1]),
    ([], []),
])  # fmt: skip
def test_chromaprints_own_examples_are_decompressed(data: list[int], words: list[int]) -> None:
    assert decompress(base64.urlsafe_b64encode(bytes(data)).decode().rstrip("=")) == words
