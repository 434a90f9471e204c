"""Recordings of training: read where they lie, a few at a time."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from support import tiny_world as world
from support.songs import make_track, write_port

from music_flamingo.audio.flac import decode_flac
from music_flamingo.core.errors import UserError
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.ports import Table
from music_flamingo.core.record import write_parquet
from music_flamingo.records import Audio, Track, Utterance
from music_flamingo.training.data.audio import Kept, Recordings, SoundBank, TrainingWindow

TRACKS = world.tracks(8)


def table(root, shards, record=Track) -> Table:
    write_port(root, record, shards)
    return Table(root, record, read_manifest(root))


def full(track, **changes) -> Track:
    return make_track(track.id, f"work-{track.id}", audio=track.audio, duration_s=world.SECONDS, **changes)


@pytest.fixture
def recordings(tmp_path) -> Recordings:
    shards = [[full(t) for t in TRACKS[5:]], [full(t, sampling_weight=2.0) for t in TRACKS[:5]]]
    return Recordings([table(tmp_path / "tracks", shards)])


def test_each_recording_is_found_wherever_it_lies(recordings):
    assert list(recordings) == [t.id for t in TRACKS]
    assert {name: recordings[name] for name in recordings} == {t.id: t.audio.bytes for t in TRACKS}
    assert [recordings.weight(name) for name in recordings] == [2.0] * 5 + [1.0] * 3


def test_lengths_are_those_of_the_audio(recordings):
    assert all(recordings.length(t.id) == len(decode_flac(t.audio.bytes)) for t in TRACKS)


def test_a_quarantined_recording_is_not_there(tmp_path):
    silent = full(TRACKS[1], status="quarantined:silent")
    recordings = Recordings([table(tmp_path / "tracks", [[full(TRACKS[0]), silent]])])
    assert list(recordings) == ["t0"]
    with pytest.raises(KeyError):
        recordings["t1"]


def test_tracks_and_utterances_lie_side_by_side(tmp_path):
    utterances = world.utterances(2)
    tables = [table(tmp_path / "tracks", [[full(TRACKS[0])]]), table(tmp_path / "speech", [utterances], Utterance)]
    recordings = Recordings(tables)
    assert recordings[utterances[0].id] == utterances[0].audio.bytes
    assert recordings["t0"] == TRACKS[0].audio.bytes


def test_the_same_id_in_two_tables_is_refused(tmp_path):
    tables = [table(tmp_path / name, [[full(TRACKS[0])]]) for name in ("tracks", "more")]
    with pytest.raises(UserError, match=r"recording t0 .* ids must differ"):
        Recordings(tables)


def test_a_shard_of_long_recordings_is_read_one_at_a_time(tmp_path):
    path = tmp_path / "songs.parquet"
    noise = np.random.default_rng(0).bytes(9 * 2**20)
    write_parquet(path, Track, [full(t).model_copy(update={"audio": Audio(bytes=noise, path="x")}) for t in TRACKS[:4]])
    assert pq.ParquetFile(path).metadata.num_row_groups == 4


def test_a_bank_gives_the_same_sound_from_disk_and_from_memory(recordings):
    window = TrainingWindow("t3", 4_000, 20_000)
    from_disk, from_memory = (SoundBank(world.processor(), held)(window) for held in (recordings, TRACKS))
    assert from_disk.num_tokens == from_memory.num_tokens
    assert (from_disk.features_WMT == from_memory.features_WMT).all()


def test_a_recording_shorter_than_its_table_says_is_an_error_with_the_remedy():
    bank = SoundBank(world.processor(), TRACKS)
    with pytest.raises(UserError, match=r"t0 has 48000 samples, .*at least 60000: run the stage"):
        bank.samples(TrainingWindow("t0", 0, 60_000))


def test_what_was_asked_for_longest_ago_goes_first():
    kept: Kept[str, str] = Kept(10)
    for name in ("a", "b"):
        kept.put(name, name.upper(), 5)
    assert kept.get("a") == "A"
    kept.put("c", "C", 5)
    assert (kept.get("a"), kept.get("b"), kept.get("c"), kept.held) == ("A", None, "C", 10)
