"""Held-out recordings: what a folder gives, what is recognised among others, and what is refused as a file."""

from pathlib import Path

import numpy as np
import pytest
from support import sounds
from test_audio_decode import LIMITS as DECODE_LIMITS

from music_flamingo.audio.decode import decode_model_copy
from music_flamingo.audio.fingerprint import fingerprint
from music_flamingo.cli import main
from music_flamingo.core.errors import UserError
from music_flamingo.quality.contamination import HeldOut, HeldOutSet, read_held_out, write_held_out
from music_flamingo.quality.duplicates import DuplicateLimits, Fingerprinted

LIMITS = DuplicateLimits(max_bit_error=0.15, min_overlap=0.8, min_common_s=3.0)
RATE_HZ = sounds.RATE_HZ
SONG = sounds.tune(40.0, seed=21)
CLIP = SONG[10 * RATE_HZ : 20 * RATE_HZ]


def heard(name: str, data: bytes) -> Fingerprinted:
    words = fingerprint(decode_model_copy(data, DECODE_LIMITS), 16000)
    return Fingerprinted(name, name, np.array(words, np.uint32))


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that `mf fingerprint` made of an evaluation set: a 10 s clip, another tune, and a broken file."""
    root = tmp_path_factory.mktemp("held")
    (root / "quiz").mkdir()
    (root / "quiz" / "clip 1.opus").write_bytes(sounds.encode(CLIP, "opus"))
    (root / "quiz" / "clip 2.flac").write_bytes(sounds.encode(sounds.tune(10.0, 22), "flac"))
    (root / "quiz" / "broken.mp3").write_bytes(b"no sound")
    arguments = ["fingerprint", str(root / "quiz"), "-o", str(root / "held_out.parquet"), "--set", "ingest.workers=1"]
    assert main([*arguments, "--params", str(Path(__file__).parents[2] / "params.yaml")]) == 0
    return root / "held_out.parquet"


def test_a_folder_gives_ids_hashes_and_fingerprints(held_out: Path) -> None:
    found = {h.id: h for h in read_held_out(held_out)}
    assert set(found) == {"clip 1", "clip 2", "broken"}
    assert {h.set_name for h in found.values()} == {"quiz"}
    assert len(found["clip 1"].fingerprint) > 40 and found["clip 1"].audio_sha256
    assert not found["broken"].fingerprint and len(found["broken"].source_sha256) == 64


def test_the_song_that_a_clip_was_taken_from_is_recognised(held_out: Path) -> None:
    held = HeldOutSet(read_held_out(held_out))
    songs = [heard("song", sounds.encode(SONG, "mp3")), heard("other", sounds.encode(sounds.tune(40.0, 23), "mp3"))]
    found = held.by_sound(songs, LIMITS)
    assert {i: (h.held.id, h.by) for i, h in found.items()} == {"song": ("clip 1", "sound")}


def test_ids_and_bytes_are_recognised_without_sound() -> None:
    held = HeldOutSet([HeldOut(id="a", set_name="x"), HeldOut(id="b", set_name="y", source_sha256="12")])
    by_id, by_bytes = held.by_name("a"), held.by_name("c", "12")
    assert by_id is not None and (by_id.held.set_name, by_id.by) == ("x", "id")
    assert by_bytes is not None and (by_bytes.held.set_name, by_bytes.by) == ("y", "bytes")
    assert held.by_name("c") is None
    assert held.by_sound([Fingerprinted("c", "", np.zeros(0, np.uint32))], LIMITS) == {}


def test_lines_of_json_hold_what_parquet_holds(held_out: Path, tmp_path: Path) -> None:
    held = list(read_held_out(held_out))
    write_held_out(tmp_path / "held_out.jsonl", held)
    assert list(read_held_out(tmp_path / "held_out.jsonl")) == held


def test_a_bad_file_is_refused_naming_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.parquet does not exist.*mf fingerprint"):
        list(read_held_out(tmp_path / "gone.parquet"))
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(UserError, match=r"text\.parquet is no held-out file"):
        list(read_held_out(tmp_path / "text.parquet"))
    (tmp_path / "lines.jsonl").write_text('{"id": "a", "set_name": "x"}\n\n{"id": "b"}\n')
    with pytest.raises(UserError, match=r"lines\.jsonl, line 3"):
        list(read_held_out(tmp_path / "lines.jsonl"))
