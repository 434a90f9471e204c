"""The project's own fingerprints find what Chromaprint's find, without essentia."""

from pathlib import Path

import numpy as np
import pytest
from support import sounds
from test_audio_decode import LIMITS as DECODE_LIMITS

from music_flamingo.audio.chroma_print import FRAMES_A_WORD, WORDS_PER_S, chroma_fingerprint, chromagram
from music_flamingo.audio.decode import decode_model_copy
from music_flamingo.audio.fingerprint import fingerprint
from music_flamingo.core.errors import UserError
from music_flamingo.core.hashing import sha256_bytes
from music_flamingo.quality.contamination import HeldOut, HeldOutSet
from music_flamingo.quality.duplicates import Duplicate, DuplicateLimits, Fingerprinted, find_duplicates

LIMITS = DuplicateLimits(max_bit_error=0.15, min_overlap=0.8, min_common_s=3.0)
TUNE = sounds.tune(20.0, seed=7)


def fingerprinted(name: str, data: bytes) -> Fingerprinted:
    samples = decode_model_copy(data, DECODE_LIMITS)
    words = np.array(fingerprint(samples, 16000, "chroma"), dtype=np.uint32)
    return Fingerprinted(name, sha256_bytes(samples.tobytes()), words)


def compare(data: bytes) -> Duplicate | None:
    others = (("tune", TUNE), ("b", sounds.tune(20.0, 8)), ("c", sounds.tune(20.0, 9)))
    known = [fingerprinted(name, sounds.encode(samples, "flac")) for name, samples in others]
    found = find_duplicates([*known, fingerprinted("copy", data)], LIMITS, WORDS_PER_S)
    assert set(found) <= {"copy"}
    return found.get("copy")


@pytest.mark.parametrize("suffix", ["mp3", "m4a", "ogg", "opus"])
def test_another_encoder_is_a_near_duplicate(suffix: str) -> None:
    found = compare(sounds.encode(TUNE, suffix, bit_rate=96_000))
    assert found is not None and (found.of, found.kind) == ("tune", "near")


@pytest.mark.parametrize(
    "samples",
    [
        0.1 * TUNE,
        TUNE[round(0.5 * sounds.RATE_HZ) :],
        TUNE[round(0.06 * sounds.RATE_HZ) :],
        TUNE[: round(18.7 * sounds.RATE_HZ)],
        np.concatenate([np.zeros(sounds.RATE_HZ, "f4"), TUNE]),
        TUNE[5 * sounds.RATE_HZ : 13 * sounds.RATE_HZ],
    ],
    ids=["quieter", "trimmed start", "half a frame off", "trimmed end", "late start", "preview"],
)
def test_levels_trims_and_previews_are_near_duplicates(samples: np.ndarray) -> None:
    found = compare(sounds.encode(np.ascontiguousarray(samples), "mp3"))
    assert found is not None and (found.of, found.kind) == ("tune", "near")


def test_another_tune_is_no_duplicate() -> None:
    assert compare(sounds.encode(sounds.tune(20.0, seed=10), "flac")) is None


def test_performances_of_one_work_are_no_duplicates(tmp_path: Path) -> None:
    from test_scores import CONFIG

    from music_flamingo.sources.scores import ScoresSource

    source = ScoresSource(CONFIG)
    made = [r for u in ("bach-bwv253", "essenFolksong-han1-1") for r in source.recordings(u, tmp_path)]
    assert find_duplicates([fingerprinted(r.id, r.path.read_bytes()) for r in made], LIMITS, WORDS_PER_S) == {}


def test_words_have_32_bits_and_chromaprints_pace() -> None:
    words = chroma_fingerprint(decode_model_copy(sounds.encode(TUNE, "flac"), DECODE_LIMITS), 16000)
    assert all(0 <= w < 2**32 for w in words)
    assert len(words) / WORDS_PER_S == pytest.approx(20.0 - FRAMES_A_WORD / WORDS_PER_S, abs=0.5)


def test_a_recording_too_short_has_no_words_and_silence_has_zeros() -> None:
    assert chroma_fingerprint(np.zeros(16000, np.float32), 16000) == []
    assert chroma_fingerprint(np.zeros(0, np.float32), 16000) == []
    assert set(chroma_fingerprint(np.zeros(5 * 16000, np.float32), 16000)) == {0}


def test_a_note_lies_in_its_pitch_class_at_any_rate_and_octave() -> None:
    for rate_hz, frequency_hz in ((16000, 440.0), (44100, 880.0), (22050, 220.0)):
        chroma = chromagram(sounds.sine(2.0, frequency_hz, rate_hz=rate_hz), rate_hz)
        assert (chroma.argmax(axis=1) == 0).all() and chroma[:, 0].min() > 0.99


def test_held_out_words_of_another_kind_are_refused_by_name() -> None:
    """They would never agree, and contamination would pass unseen."""
    held = HeldOutSet([HeldOut(id="song", set_name="gtzan", fingerprint=(1, 2, 3))])
    mine = [Fingerprinted("a", "", np.zeros(0, np.uint32))]
    assert held.by_sound(mine, LIMITS, "chromaprint") == {}
    with pytest.raises(UserError, match=r"song \(gtzan\) is of kind chromaprint"):
        held.by_sound(mine, LIMITS, "chroma")
