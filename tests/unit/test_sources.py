"""The `table` source, and what a folder's metadata.csv adds: rows, problems, splits, balance, held-out recordings."""

import csv
import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import sounds
from test_ingest import SPLIT, digests, folder_config, ingest_into, small_config

from music_flamingo.audio.originals import open_original
from music_flamingo.core.errors import ConfigError, UserError
from music_flamingo.core.manifest import read_manifest
from music_flamingo.quality.contamination import HeldOut, write_held_out
from music_flamingo.records import Track
from music_flamingo.sources.balance import BalanceConfig, effective_number, sampling_weights
from music_flamingo.sources.rows import read_rows
from music_flamingo.sources.splits import MusicalWork, deal_splits

HEAD = (
    "id",
    "uri",
    "title",
    "artist",
    "work",
    "album",
    "region",
    "tradition",
    "language",
    "licence",
    "lyrics",
    "split",
)
TAGGED = {
    "title": "Tagged",
    "artist": "Someone",
    "genre": "Rock",
    "country": "Peru",
    "license": "CC0",
    "mood": "dark\n",
}


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("songs")
    for number in range(6):
        (folder / f"{number}.flac").write_bytes(sounds.encode(sounds.tune(5.0, 30 + number), "flac", tags=TAGGED))
    return folder


def table_config(path: Path, **changes: object) -> str:
    source = {"kind": "table", "path": str(path), "columns": changes.pop("columns", {}), "s3": None}
    return small_config(source=source, **changes)


def row(**values: str) -> list[str]:
    return [values.get(name, "") for name in HEAD]


def write_csv(path: Path, rows: list[list[str]], head: tuple[str, ...] = HEAD) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return path


def by_id(data: Path, config: str) -> dict[str, Track]:
    return {t.id: t for t in ingest_into(data, config)}


def test_what_a_row_says_comes_before_the_tags_and_all_tags_are_kept(songs: Path, tmp_path: Path) -> None:
    says = {
        "title": "Row",
        "work": "Op. 1",
        "album": "Live",
        "region": "Mali",
        "language": "bm",
        "licence": "CC BY 4.0",
    }
    path = write_csv(
        songs / "two.csv", [row(id="a", uri="0.flac", **says), row(id="b", uri=(songs / "1.flac").as_uri())]
    )
    tracks = by_id(tmp_path, table_config(path))
    a, b = tracks["a"], tracks["b"]
    assert (a.title, a.artist, a.work_id, a.album) == ("Row", "Someone", "op.-1", "Live")
    assert (a.region, a.tradition, a.language, a.licence) == ("Mali", "Rock", "bm", "CC BY 4.0")
    assert (b.title, b.region, b.licence, b.work_id) == ("Tagged", "Peru", "CC0", "someone-tagged")
    assert {tag.name: tag.value for tag in a.tags}["mood"] == "dark\n"
    assert open_original(b, tmp_path / "originals") == songs / "1.flac"


def test_bad_rows_are_quarantined_naming_file_and_line(songs: Path, tmp_path: Path) -> None:
    lines = [
        ",".join(HEAD),
        "good,0.flac" + "," * 10,
        "too,few",
        "," * 11,
        'quoted,"no\nsuch.flac"' + "," * 10,
        "ftp,ftp://x/y.mp3" + "," * 10,
        "s3,s3://bucket/key.mp3" + "," * 10,
        "../../etc/passwd,1.flac" + "," * 10,
        "split,2.flac" + "," * 10 + "validation",
    ]
    (songs / "bad.csv").write_text("\n".join(lines))
    tracks = ingest_into(tmp_path, table_config(songs / "bad.csv"))
    statuses = [t.status for t in tracks]
    assert statuses[0] == "ok" and statuses[3] == "quarantined:missing"
    assert [s.partition(", ")[2].split(":")[0] for s in statuses if "bad_row" in s] == [
        "line 3", "line 4", "line 7", "line 8", "line 9", "line 10",
    ]  # fmt: skip
    assert all(s.startswith("quarantined:bad_row:bad.csv, line ") for s in statuses if "bad_row" in s)
    assert "s3 says of no store" in statuses[5] and "'validation', not one of train, dev, test" in statuses[7]
    assert read_manifest(tmp_path / "tracks").metrics["reasons"] == {"bad_row": 6, "missing": 1}
    assert all(t.audio is None and t.original is None for t in tracks if not t.is_ok)


def test_two_rows_with_one_id_are_refused_naming_both_lines(songs: Path, tmp_path: Path) -> None:
    path = write_csv(
        songs / "twice.csv", [row(id="a", uri="0.flac"), row(id="b", uri="1.flac"), row(id="a", uri="2.flac")]
    )
    with pytest.raises(UserError, match=r"twice\.csv: lines 2 and 4 have the same id, 'a'"):
        ingest_into(tmp_path, table_config(path))


def test_jsonl_and_parquet_give_what_csv_gives(songs: Path, tmp_path: Path) -> None:
    values = [{"id": str(n), "file": f"{n}.flac", "title": f"T{n}", "extra": n} for n in range(3)]
    (songs / "t.jsonl").write_text("\n".join(map(json.dumps, values)))
    pq.write_table(pa.Table.from_pylist(values), songs / "t.parquet")
    write_csv(songs / "t.csv", [[str(v) for v in r.values()] for r in values], tuple(values[0]))
    for suffix in ("csv", "jsonl", "parquet"):
        ingest_into(tmp_path / suffix, table_config(songs / f"t.{suffix}", columns={"uri": "file"}))
    assert digests(tmp_path / "csv") == digests(tmp_path / "jsonl") == digests(tmp_path / "parquet")
    assert read_manifest(tmp_path / "csv" / "tracks").metrics["num_ok"] == 3


def test_lines_that_are_no_json_are_bad_rows(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"uri": "a.mp3"}\n{"uri": \n[1]\n\n{"uri": {"a": 1}}\n')
    assert [(r.line, bool(r.problem)) for r in read_rows(tmp_path / "t.jsonl", {})] == [
        (1, False), (2, True), (3, True), (5, True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "columns", "message"),
    [
        ("t.csv", b"a,b\n1,2\n", {"uri": "path"}, "has no column path. It has: a, b"),
        ("t.csv", b"uri\n", {}, "has no rows"),
        ("t.csv", b"uri\n\xff\xfe.mp3\n", {}, "cannot be read"),
        ("t.parquet", b"no parquet", {}, "cannot be read"),
        ("t.xlsx", b"", {}, "no table that is known"),
        ("t.csv", b"uri\na.mp3\n", {"colour": "x"}, "name the fields colour"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(
    tmp_path: Path, name: str, content: bytes, columns: dict[str, str], message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        ingest_into(tmp_path / "data", table_config(tmp_path / name, columns=columns))


def test_a_changed_song_of_a_table_makes_a_new_run(songs: Path, tmp_path: Path) -> None:
    (tmp_path / "x.flac").write_bytes((songs / "0.flac").read_bytes())
    path = write_csv(tmp_path / "t.csv", [row(uri="x.flac")])
    first = ingest_into(tmp_path / "data", table_config(path)).digest
    (tmp_path / "x.flac").write_bytes((songs / "1.flac").read_bytes())
    assert ingest_into(tmp_path / "data", table_config(path)).digest != first


def test_two_workers_give_what_one_gives_of_a_table(songs: Path, tmp_path: Path) -> None:
    path = write_csv(songs / "six.csv", [row(id=str(n), uri=f"{n}.flac") for n in range(6)])
    for workers in (1, 2):
        ingest_into(tmp_path / str(workers), table_config(path, workers=workers))
    assert digests(tmp_path / "1") == digests(tmp_path / "2")


def test_recordings_of_an_artist_share_a_split_when_splits_go_by_artist(songs: Path, tmp_path: Path) -> None:
    rows = [row(id=str(n), uri=f"{n}.flac", title=f"T{n}", artist=f"Artist {n % 3}") for n in range(6)]
    path = write_csv(songs / "artists.csv", rows)
    tracks = by_id(tmp_path, table_config(path, split={"by": "artist"}))
    assert len({t.split for t in tracks.values()}) > 1
    assert all(tracks[str(n)].split == tracks[str(n + 3)].split for n in range(3))


def test_given_splits_hold_and_the_most_held_out_wins_for_what_belongs_together(songs: Path, tmp_path: Path) -> None:
    given = ["train", "test", "dev", "train"]
    rows = [row(id=str(n), uri=f"{n}.flac", work=f"w{min(n, 2)}", split=s) for n, s in enumerate(given)]
    tracks = by_id(tmp_path, table_config(write_csv(songs / "given.csv", rows)))
    assert [tracks[str(n)].split for n in range(4)] == ["train", "test", "dev", "dev"]


def test_versions_of_works_that_share_a_recording_are_in_one_split(tmp_path: Path) -> None:
    """Work a and work b hold the same sound under two titles: their other recordings belong together too."""
    tune = sounds.tune(8.0, 40)
    for name, samples in {"a1": tune, "a2": sounds.tune(8.0, 41), "b2": sounds.tune(8.0, 42)}.items():
        (tmp_path / f"{name}.flac").write_bytes(sounds.encode(samples, "flac"))
    (tmp_path / "b1.mp3").write_bytes(sounds.encode(tune, "mp3"))
    names = ("a1.flac", "a2.flac", "b1.mp3", "b2.flac")
    rows = [row(id=n[:2], uri=n, work=n[0], split="test" if n == "b2.flac" else "") for n in names]
    tracks = by_id(tmp_path / "data", table_config(write_csv(tmp_path / "t.csv", rows)))
    assert tracks["b1"].status == "quarantined:near_duplicate_of:a1"
    assert {t.split for t in tracks.values()} == {"test"}


def test_given_splits_take_no_part_in_the_dealing() -> None:
    works = [MusicalWork(f"w{i}", "t", True) for i in range(30)]
    given = [MusicalWork(f"g{i}", "t", True, "test") for i in range(10)]
    dealt = deal_splits([*works, *given], SPLIT)
    assert {w: s for w, s in dealt.items() if w.startswith("w")} == deal_splits(works, SPLIT)


def test_held_out_recordings_are_refused_by_id_bytes_and_sound(songs: Path, tmp_path: Path) -> None:
    tracks = by_id(tmp_path / "before", folder_config(songs))
    one, two, three = (t for t in list(tracks.values())[:3])
    words = tuple(w ^ (n % 5 == 0) for n, w in enumerate(three.fingerprint))
    write_held_out(tmp_path / "h.parquet", [
        HeldOut(id=one.id, set_name="quiz"),
        HeldOut(id="x", set_name="other", source_sha256=two.source_sha256),
        HeldOut(id="y", set_name="quiz", fingerprint=words),
    ])  # fmt: skip
    refused = by_id(tmp_path / "after", folder_config(songs, held_out=[str(tmp_path / "h.parquet")]))
    assert {t.id: t.status for t in refused.values() if not t.is_ok and t.original} == {
        one.id: "quarantined:evaluation_set:quiz",
        two.id: "quarantined:evaluation_set:other",
        three.id: "quarantined:evaluation_set:quiz",
    }
    with pytest.raises(UserError, match=r"gone\.parquet does not exist"):
        ingest_into(tmp_path / "gone", folder_config(songs, held_out=["gone.parquet"]))


def test_a_folders_metadata_says_more_than_the_tags(songs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "music"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "x.flac").write_bytes((songs / "0.flac").read_bytes())
    before = next(iter(ingest_into(tmp_path / "data", folder_config(folder))))
    (folder / "metadata.csv").write_text("file,region,tradition\ndeep/x.flac,Bali,Gamelan\n")
    after = next(iter(ingest_into(tmp_path / "data", folder_config(folder))))
    assert (before.region, before.tradition, before.title) == ("Peru", "Rock", "Tagged")
    assert (after.region, after.tradition, after.title) == ("Bali", "Gamelan", "Tagged")
    (folder / "metadata.csv").write_text("file,region\ndeep/y.flac,Bali\n")
    with pytest.raises(UserError, match=r"metadata\.csv, line 2: there is no file 'deep/y\.flac' here"):
        ingest_into(tmp_path / "data", folder_config(folder))


def test_coverage_is_counted_and_weights_favour_the_rare(songs: Path, tmp_path: Path) -> None:
    rows = [
        row(id=str(n), uri=f"{n}.flac", work=str(n), tradition="a" if n < 5 else "b", split="train") for n in range(6)
    ]
    path = write_csv(songs / "covered.csv", rows)
    balance = {"by": "tradition", "exponent": 1.0, "max_weight": 4.0}
    tracks = by_id(tmp_path / "even", table_config(path, balance=balance))
    assert tracks["5"].sampling_weight == 3.0 and tracks["0"].sampling_weight == 0.6
    plain = by_id(tmp_path / "plain", table_config(path))
    assert {t.sampling_weight for t in plain.values()} == {1.0}
    covered = read_manifest(tmp_path / "plain" / "tracks").metrics["coverage"]["tradition"]
    assert covered["groups"]["a"] == {"tracks": 5, "hours": pytest.approx(25 / 3600, abs=1e-3)}
    assert covered["largest_share"] == pytest.approx(5 / 6, abs=1e-4)
    assert covered["effective_number"] == pytest.approx(effective_number([5, 1]), abs=1e-3)


def test_effective_numbers_and_weights_follow_their_definitions() -> None:
    assert effective_number([7, 7, 7, 7]) == pytest.approx(4.0)
    assert effective_number([]) == 0.0
    config = BalanceConfig(by="region", exponent=0.5, max_weight=2.0)
    weights = sampling_weights({"big": 81, "small": 16, "tiny": 1}, config)
    assert weights["small"] / weights["big"] == pytest.approx(81**0.5 / 16**0.5, rel=1e-4)
    assert weights["tiny"] == 2.0
    with pytest.raises(ValueError, match="max_weight"):
        BalanceConfig(by="region", exponent=0.5, max_weight=0.5)


def test_an_exponent_out_of_range_is_refused_by_name(songs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="exponent lies between 0 and 1"):
        ingest_into(tmp_path, folder_config(songs, balance={"exponent": 2.0}))


def test_more_lyrics_than_the_limit_are_named_and_not_cut(songs: Path, tmp_path: Path) -> None:
    path = write_csv(songs / "long.csv", [row(id="a", uri="0.flac", lyrics="la " * 50), row(id="b", uri="1.flac")])
    tracks = by_id(tmp_path, table_config(path, limits={"max_tag_chars": 120}))
    assert Counter(t.status for t in tracks.values()) == {"quarantined:tags_too_large": 1, "ok": 1}
