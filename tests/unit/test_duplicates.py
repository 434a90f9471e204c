"""Duplicates: what is the same sound, and what is only the same piece."""

import base64
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from support import sounds
from test_audio_decode import LIMITS as DECODE_LIMITS

from music_flamingo.audio.decode import decode_model_copy
from music_flamingo.audio.fingerprint import WORDS_PER_S, decompress, fingerprint
from music_flamingo.core.hashing import sha256_bytes
from music_flamingo.quality import duplicates, landmarks
from music_flamingo.quality.duplicates import Duplicate, DuplicateLimits, Fingerprinted, find_duplicates, find_repeats
from music_flamingo.quality.fingerprint_store import FingerprintsWriter, gather

LIMITS = DuplicateLimits(max_bit_error=0.15, min_overlap=0.8, min_common_s=3.0)
TUNE = sounds.tune(20.0, seed=7)


def fingerprinted(name: str, data: bytes) -> Fingerprinted:
    samples = decode_model_copy(data, DECODE_LIMITS)
    words = np.array(fingerprint(samples, 16000), dtype=np.uint32)
    return Fingerprinted(name, sha256_bytes(samples.tobytes()), words)


def compare(data: bytes) -> Duplicate | None:
    """What is found for a copy of TUNE among it and some others."""
    others = (("tune", TUNE), ("b", sounds.tune(20.0, 8)), ("c", sounds.tune(20.0, 9)))
    known = [fingerprinted(name, sounds.encode(samples, "flac")) for name, samples in others]
    found = find_duplicates([*known, fingerprinted("copy", data)], LIMITS, WORDS_PER_S)
    assert set(found) <= {"copy"}
    return found.get("copy")


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


def plain_search(recordings: list[Fingerprinted]) -> dict[str, str]:
    """The same rule written plainly: every word of every earlier original, in a dictionary."""
    originals: list[np.ndarray] = []
    ids: list[str] = []
    places: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    found = {}
    for recording in recordings:
        votes: Counter[tuple[int, int]] = Counter()
        for position, word in enumerate(recording.words.tolist()):
            votes.update((other, place - position) for other, place in places[word])
        near = []
        for (other, offset), count in sorted(votes.items(), key=lambda item: (-item[1], item[0]))[:8]:
            start, end = max(0, -offset), min(len(recording.words), len(originals[other]) - offset)
            shorter = min(len(recording.words), len(originals[other]))
            differing = recording.words[start:end] ^ originals[other][start + offset : end + offset]
            error = np.bitwise_count(differing).sum() / max(32 * (end - start), 1)
            if count >= 3 and end - start >= max(round(3 * WORDS_PER_S), 0.8 * shorter) and error <= 0.15:
                near.append((error, ids[other]))
        if near:
            found[recording.id] = min(near)[1]
            continue
        for position, word in enumerate(recording.words.tolist()):
            places[word].append((len(originals), position))
        originals.append(recording.words)
        ids.append(recording.id)
    return found


def catalogue(count: int, rng: np.random.Generator, length: int = 200) -> list[Fingerprinted]:
    """Recordings of a few hundred frequent words; every third is a noisy part of one before it."""
    frequent = rng.integers(0, 2**32, 400, dtype=np.uint32)
    made: list[Fingerprinted] = []
    for number in range(count):
        words = frequent[rng.integers(0, len(frequent), length)]
        if number % 3 == 2:
            start = int(rng.integers(0, 20))
            words = made[int(rng.integers(0, number))].words[start:]
            flips = rng.random((len(words), 32)) < rng.choice([0.0, 0.02, 0.1])
            words = words ^ np.packbits(flips, axis=1).view(np.uint32)[:, 0]
        made.append(Fingerprinted(f"r{number:03d}", f"h{number}", words))
    return made


@pytest.mark.parametrize("seed", range(4))
def test_the_index_decides_as_a_plain_search_does(seed: int) -> None:
    recordings = catalogue(60, np.random.default_rng(seed))
    found = find_duplicates(recordings, LIMITS, WORDS_PER_S)
    assert {i: d.of for i, d in found.items()} == plain_search(recordings)
    assert len(found) > 10


def random_recordings(count: int, length: int = 400) -> list[Fingerprinted]:
    words = np.random.default_rng(5).integers(0, 2**32, (count, length), dtype=np.uint32)
    return [Fingerprinted(f"o{i:03d}", f"o{i}", w) for i, w in enumerate(words)]


def noisy(words: np.ndarray, bit_error: float, seed: int) -> np.ndarray:
    flips = np.random.default_rng(seed).random((len(words), 32)) < bit_error
    return words ^ np.packbits(flips, axis=1).view(np.uint32)[:, 0]


def test_thinned_landmarks_still_find_copies_and_excerpts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landmarks, "MAX_LANDMARKS", 5_000)
    originals = random_recordings(200)
    copies = [Fingerprinted(f"c{i}", f"c{i}", noisy(o.words, 0.03, i)) for i, o in enumerate(originals[:60])]
    parts = [Fingerprinted(f"p{i}", f"p{i}", o.words[80:320]) for i, o in enumerate(originals[60:120])]
    assert landmarks.LandmarkIndex(gather(originals)).step == 16
    found = find_duplicates([*originals, *copies, *parts], LIMITS, WORDS_PER_S)
    assert {i: d.of for i, d in found.items() if i.startswith("c")}.items() <= {
        f"c{i}": f"o{i:03d}" for i in range(60)
    }.items()
    assert len(found) >= 0.95 * 120 and not any(i.startswith("o") for i in found)


def test_looking_at_fewer_recordings_at_a_time_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    recordings = catalogue(60, np.random.default_rng(9))
    at_once = find_duplicates(recordings, LIMITS, WORDS_PER_S)
    for module in (duplicates, landmarks):
        monkeypatch.setattr(module, "BLOCK_WORDS", 900)
    monkeypatch.setattr(landmarks, "PAIRS_AT_ONCE", 500)
    assert find_duplicates(recordings, LIMITS, WORDS_PER_S) == at_once


def test_the_order_of_the_catalogue_decides_only_which_copy_stays() -> None:
    originals = random_recordings(30)
    copies = [Fingerprinted(f"c{i}", f"c{i}", noisy(o.words, 0.02, i)) for i, o in enumerate(originals[:10])]
    forwards = find_duplicates([*originals, *copies], LIMITS, WORDS_PER_S)
    backwards = find_duplicates([*originals, *copies][::-1], LIMITS, WORDS_PER_S)
    assert {(i, d.of) for i, d in forwards.items()} == {(d.of, i) for i, d in backwards.items()}
    assert len(forwards) == 10


def test_words_on_disk_decide_as_words_in_memory(tmp_path: Path) -> None:
    recordings = catalogue(30, np.random.default_rng(3))
    with FingerprintsWriter(tmp_path / "words") as writer:
        for r in recordings:
            writer.add([r.id], [r.audio_sha256], r.words, np.array([len(r.words)]))
        on_disk = writer.fingerprints()
    assert find_duplicates(on_disk, LIMITS, WORDS_PER_S) == find_duplicates(recordings, LIMITS, WORDS_PER_S)


def test_a_query_is_found_among_references_by_hash_by_sound_and_as_a_part() -> None:
    references = random_recordings(20)
    queries = [
        Fingerprinted("same", "o3", np.zeros(0, np.uint32)),
        Fingerprinted("noisy", "x1", noisy(references[4].words, 0.05, 1)),
        Fingerprinted("part", "x2", references[5].words[100:180]),
        Fingerprinted("other", "x3", noisy(references[6].words, 0.5, 2)),
        Fingerprinted("no sound", "", np.zeros(0, np.uint32)),
    ]
    found = find_repeats(gather(queries), gather(references), LIMITS, WORDS_PER_S)
    assert {i: (d.of, d.kind) for i, d in found.items()} == {
        "same": ("o003", "exact"),
        "noisy": ("o004", "near"),
        "part": ("o005", "near"),
    }


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
