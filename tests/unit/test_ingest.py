"""ingest, run by `execute` as every driver runs it: scores and a folder of songs, splits, duplicates, interruptions."""

import json
import os
import signal
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from support import sounds

from music_flamingo.audio.decode import decode_model_copy
from music_flamingo.audio.flac import decode_flac
from music_flamingo.audio.originals import open_original
from music_flamingo.core.errors import ConfigError, UserError
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.params import load_params, merge, stage_json
from music_flamingo.core.ports import Table
from music_flamingo.core.stage import execute, parse_config
from music_flamingo.records import Track, Truth
from music_flamingo.sources.about import slug
from music_flamingo.sources.splits import MusicalWork, SplitConfig, deal_splits
from music_flamingo.stages import ingest
from music_flamingo.stages.ingest import STAGE, IngestConfig

PARAMS = Path(__file__).parents[2] / "params.yaml"
SMALL = {
    "source": {"num_works": 4, "performances": 2, "excerpt_s": 4.0, "held_out": None},
    "duplicates": {"min_common_s": 1.0},
    "shard_size": 4,
    "workers": 1,
}
SPLIT = SplitConfig(by="work", seed=1, train=0.62, dev=0.12, test=0.26)


def small_config(**changes: object) -> str:
    return json.dumps(merge(merge(load_params(PARAMS)["ingest"], SMALL), changes))


def folder_config(folder: Path, **changes: object) -> str:
    return small_config(source={"kind": "audio_folder", "path": str(folder)}, **changes)


def ingest_into(data: Path, config: str) -> Table[Track]:
    execute(STAGE, config, {}, {port: data / port for port in STAGE.outputs})
    return Table(data / "tracks", Track, read_manifest(data / "tracks"))


def digests(data: Path) -> dict[str, str]:
    return {port: read_manifest(data / port).digest for port in STAGE.outputs}


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("scores")
    ingest_into(data, small_config())
    return data


def test_rendered_scores_become_tracks_with_truth_and_originals(scores: Path) -> None:
    tracks = list(Table(scores / "tracks", Track, read_manifest(scores / "tracks")))
    truth = {t.id: t for t in Table(scores / "truth", Truth, read_manifest(scores / "truth"))}
    assert len(tracks) == len(truth) == 8
    assert len({t.tradition for t in tracks}) == 4
    for track in tracks:
        assert track.is_ok and track.original_rate_hz == 44100 and track.duration_s == 4.0
        assert truth[track.id].work_id == track.work_id
        assert track.audio is not None and len(decode_flac(track.audio.bytes)) == 4 * 16000
        assert len(track.fingerprint) > 5
        assert open_original(track, scores / "originals").is_file()


def test_the_copy_is_what_the_original_decodes_to(scores: Path) -> None:
    track = next(iter(Table(scores / "tracks", Track, read_manifest(scores / "tracks"))))
    assert track.audio is not None
    limits = parse_config(STAGE, small_config()).limits  # type: ignore[attr-defined]
    decoded = decode_model_copy(open_original(track, scores / "originals"), limits)
    assert np.abs(decode_flac(track.audio.bytes) - decoded).max() <= 1 / 32768


def test_datasets_reads_the_audio_of_the_shards(scores: Path) -> None:
    import pyarrow.parquet as pq

    row = pq.read_table(scores / "tracks" / "part-00000.parquet", columns=["audio"]).to_pylist()[0]["audio"]
    assert set(row) == {"bytes", "path"} and row["bytes"][:4] == b"fLaC"


def test_the_metrics_count_works_splits_and_traditions(scores: Path) -> None:
    metrics = read_manifest(scores / "tracks").metrics
    assert (metrics["num_tracks"], metrics["num_ok"], metrics["reasons"]) == (8, 8, {})
    assert sum(metrics["works_by_split"].values()) == sum(metrics["works_by_tradition"].values()) == 4


def test_two_workers_give_what_one_gives(scores: Path, tmp_path: Path) -> None:
    ingest_into(tmp_path, small_config(workers=2))
    assert digests(tmp_path) == digests(scores)


@pytest.mark.parametrize("stop_after", [0, 1])
def test_an_interrupted_run_goes_on_and_ends_the_same(
    scores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_after: int
) -> None:
    write, written = ingest.Taken.write, []

    def write_then_stop(self: ingest.Taken, index: int, made: list[object]) -> None:
        write(self, index, made)  # type: ignore[arg-type]
        written.append(index)
        if index == stop_after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(ingest.Taken, "write", write_then_stop)
        ingest_into(tmp_path, small_config())
    rendered: list[str] = []
    take_in_unit = ingest.TakeIn.__call__
    monkeypatch.setattr(
        ingest.TakeIn, "__call__", lambda self, unit: [rendered.append(unit), take_in_unit(self, unit)][1]
    )
    ingest_into(tmp_path, small_config())
    assert len(rendered) == 4 - 2 * (stop_after + 1)  # two works in a shard: what is finished is not made again
    assert digests(tmp_path) == digests(scores)


def test_works_of_fewer_recordings_are_counted_as_such_when_an_interrupted_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = small_config(source={"num_works": 2, "held_out": {"num_works": 3, "performances": 1, "dev_every": 4}})
    write = ingest.Taken.write

    def write_then_stop(self: ingest.Taken, index: int, made: list[object]) -> None:
        write(self, index, made)  # type: ignore[arg-type]
        if index == 2:
            raise KeyboardInterrupt

    small_shards = json.dumps({**json.loads(some), "shard_size": 2})
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(ingest.Taken, "write", write_then_stop)
        ingest_into(tmp_path / "stopped", small_shards)
    stopped = list(ingest_into(tmp_path / "stopped", small_shards))
    assert [t.id for t in stopped] == [t.id for t in ingest_into(tmp_path / "whole", small_shards)]
    assert len({t.id for t in stopped}) == len(stopped) == 2 * 2 + 3


def test_an_interruption_between_the_final_shards_changes_nothing(
    scores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(ingest, "_metrics", stop)
        ingest_into(tmp_path, small_config())
    ingest_into(tmp_path, small_config())
    assert digests(tmp_path) == digests(scores)


def test_all_recordings_of_a_work_share_a_split(scores: Path) -> None:
    splits = defaultdict(set)
    for track in Table(scores / "tracks", Track, read_manifest(scores / "tracks")):
        splits[track.work_id].add(track.split)
    assert all(len(found) == 1 for found in splits.values())


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    folder = tmp_path / "My Music"
    files = {
        "a.mp3": sounds.encode(sounds.tune(6.0, 1), "mp3", tags={"title": "One", "artist": "Å", "lyrics": "la\n\nli "}),
        "deep/er/One (live).FLAC": sounds.encode(
            sounds.tune(6.0, 2), "flac", tags={"title": "ONE", "artist": "å", "genre": "Raga"}
        ),
        "two.opus": sounds.encode(sounds.tune(6.0, 3), "opus"),
        "three.m4a": sounds.encode(sounds.tune(6.0, 4), "m4a"),
        "copy of two.ogg": sounds.encode(0.5 * sounds.tune(6.0, 3), "ogg"),
        "cover.jpg": b"x",
        "._a.mp3": b"x",
    }
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def test_a_folder_of_songs_becomes_tracks(songs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    found = list(ingest_into(tmp_path / "data", folder_config(songs)))
    others = {t.uri.rpartition("/")[2]: t.status for t in found if t.original is None}
    assert others == {"cover.jpg": "quarantined:not_audio", "._a.mp3": "quarantined:hidden"}
    tracks = {t.title: t for t in found if t.original is not None}
    assert set(tracks) == {"One", "ONE", "two", "three", "copy of two"}
    one, live = tracks["One"], tracks["ONE"]
    assert (one.artist, one.lyrics, live.tradition) == ("Å", "la\nli", "Raga")
    assert one.work_id == live.work_id == "a-one" and one.split == live.split and one.id != live.id
    assert one.uri == one.original == (songs / "a.mp3").as_uri()
    assert open_original(live, tmp_path / "data" / "originals") == songs / "deep/er/One (live).FLAC"
    assert not len(Table(tmp_path / "data" / "truth", Truth, read_manifest(tmp_path / "data" / "truth")))
    assert read_manifest(tmp_path / "data" / "originals").files == ()
    assert "looked into for sound: 1 .jpg, 1 hidden" in caplog.text


def test_a_copy_in_another_format_is_quarantined_under_what_it_repeats(songs: Path, tmp_path: Path) -> None:
    tracks = {t.title: t for t in ingest_into(tmp_path / "data", folder_config(songs))}
    # files are taken in order of their paths: the copy comes first
    assert tracks["copy of two"].is_ok
    assert tracks["two"].status == f"quarantined:near_duplicate_of:{tracks['copy of two'].id}"
    assert read_manifest(tmp_path / "data" / "tracks").metrics["reasons"] == {
        "hidden": 1,
        "near_duplicate_of": 1,
        "not_audio": 1,
    }


def test_a_new_song_makes_a_new_run_and_an_unchanged_folder_none(songs: Path, tmp_path: Path) -> None:
    outputs = {port: tmp_path / "data" / port for port in STAGE.outputs}
    assert execute(STAGE, folder_config(songs), {}, outputs)
    assert not execute(STAGE, folder_config(songs), {}, outputs)
    (songs / "four.wav").write_bytes(sounds.encode(sounds.tune(6.0, 5), "wav"))
    assert execute(STAGE, folder_config(songs), {}, outputs)
    assert read_manifest(outputs["tracks"]).num_records == 8


def test_a_folder_without_songs_is_refused_with_the_remedy(tmp_path: Path) -> None:
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "notes.txt").write_text("x")
    with pytest.raises(UserError, match=r"holds no wav, flac, mp3, m4a, ogg, opus file .*1 other"):
        ingest_into(tmp_path / "data", folder_config(folder))
    with pytest.raises(UserError, match="is not a folder"):
        ingest_into(tmp_path / "data", folder_config(tmp_path / "gone"))


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(ConfigError, match="source"):
        parse_config(STAGE, small_config(source={"kind": "youtube"}))


def test_the_default_parameters_are_valid() -> None:
    config = parse_config(STAGE, stage_json(load_params(PARAMS), "ingest"))
    assert isinstance(config, IngestConfig) and config.source.kind == "scores"


def works(count: int, tradition: str = "t") -> list[MusicalWork]:
    return [MusicalWork(f"{tradition}{i}", tradition, True) for i in range(count)]


def test_splits_follow_the_fractions_within_every_tradition() -> None:
    found = deal_splits([*works(50, "a"), *works(50, "b")], SPLIT)
    for tradition in "ab":
        counts = Counter(split for work, split in found.items() if work.startswith(tradition))
        assert counts["train"] == pytest.approx(31, abs=1)
        assert counts["dev"] == pytest.approx(6, abs=1)
        assert counts["test"] == pytest.approx(13, abs=1)


@pytest.mark.parametrize("count", range(1, 8))
@pytest.mark.parametrize("fractions", [(0.62, 0.12, 0.26), (0.98, 0.01, 0.01), (0.01, 0.01, 0.98)])
def test_small_sets_have_a_train_work_and_from_two_on_a_test_work(
    count: int, fractions: tuple[float, float, float]
) -> None:
    train, dev, test = fractions
    found = Counter(deal_splits(works(count), SplitConfig(by="work", seed=3, train=train, dev=dev, test=test)).values())
    assert found["train"] >= 1
    assert found["test"] >= (1 if count > 1 else 0)


def test_splits_depend_on_the_seed_and_not_on_the_order() -> None:
    some = works(30)
    assert deal_splits(some, SPLIT) == deal_splits(some[::-1], SPLIT)
    assert deal_splits(some, SPLIT) != deal_splits(some, SPLIT.model_copy(update={"seed": 2}))


def test_works_without_a_usable_recording_take_no_place() -> None:
    bad = [MusicalWork(f"bad{i}", "t", False) for i in range(10)]
    with_bad, without = deal_splits([*works(20), *bad], SPLIT), deal_splits(works(20), SPLIT)
    assert {w: s for w, s in with_bad.items() if not w.startswith("bad")} == without


def test_fractions_must_add_up_to_one() -> None:
    with pytest.raises(ValueError, match="add up to 1"):
        SplitConfig(by="work", seed=1, train=0.6, dev=0.1, test=0.2)


def test_slugs_keep_other_scripts_and_drop_accents() -> None:
    assert slug("Für Elise (live)") == "fur-elise-live"
    assert slug("茉莉花 / Jasmine") == "茉莉花-jasmine"
    assert slug("../../etc/passwd") == "etc-passwd"


class DyingTakeIn(ingest.TakeIn):
    """As a decoder that crashes on one file."""

    def __call__(self, unit: str) -> list[ingest.TakenRecording]:
        if unit == "1.wav":
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().__call__(unit)


@pytest.mark.timeout(120)
def test_a_file_that_crashes_its_decoder_is_a_record_with_that_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "songs").mkdir()
    for seed in range(3):
        (tmp_path / f"songs/{seed}.wav").write_bytes(sounds.encode(sounds.tune(4.0, seed), "wav"))
    monkeypatch.setattr(ingest, "TakeIn", DyingTakeIn)
    tracks = ingest_into(tmp_path, folder_config(tmp_path / "songs", workers=2))
    assert [t.status for t in tracks] == ["ok", "quarantined:crashed", "ok"]
