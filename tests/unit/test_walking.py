"""What lies in a folder: each entry once, links followed once, nothing opened that is no file."""

import os
from pathlib import Path

import pytest

from music_flamingo.audio.originals import file_uri_path
from music_flamingo.core.errors import UserError
from music_flamingo.sources.rows import read_rows
from music_flamingo.sources.table import TableConfig
from music_flamingo.sources.walking import walk


def found(root: Path) -> dict[str, str | None]:
    return {e.name: e.problem for e in walk(root, (".mp3",), "metadata.csv")}


def test_a_real_folder_comes_before_a_link_to_it_whatever_their_names(tmp_path):
    (tmp_path / "z album").mkdir()
    (tmp_path / "z album/song.mp3").write_bytes(b"x")
    (tmp_path / "a link").symlink_to("z album")
    assert found(tmp_path) == {"a link": "linked_again", "z album/song.mp3": None}


def test_a_link_to_a_folder_above_is_a_loop_and_a_link_out_of_the_folder_is_followed(tmp_path):
    (tmp_path / "out/inner").mkdir(parents=True)
    (tmp_path / "out/song.mp3").write_bytes(b"x")
    (tmp_path / "out/inner/back").symlink_to(tmp_path / "out")
    (tmp_path / "songs/deep").mkdir(parents=True)
    (tmp_path / "songs/deep/up").symlink_to(tmp_path)
    (tmp_path / "songs/album").symlink_to(tmp_path / "out")
    assert found(tmp_path / "songs") == {
        "deep/up": "link_loop",
        "album/song.mp3": None,
        "album/inner/back": "linked_again",
    }


def test_metadata_is_no_entry_and_an_album_called_like_a_song_is_entered(tmp_path):
    (tmp_path / "best of.mp3").mkdir()
    (tmp_path / "best of.mp3/one.mp3").write_bytes(b"x")
    (tmp_path / "metadata.csv").write_text("file\n")
    assert found(tmp_path) == {"best of.mp3": "folder_named_like_a_song", "best of.mp3/one.mp3": None}


def test_a_folder_that_is_none_is_named(tmp_path):
    with pytest.raises(UserError, match="is not a folder"):
        walk(tmp_path / "none", (), "")


def test_a_uri_of_a_name_that_is_no_utf8_leads_back_to_the_file(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9 %41#?.wav"))
    path.write_bytes(b"x")
    assert file_uri_path(path.as_uri()).read_bytes() == b"x"


STRANGE_ROWS = [
    ('{"uri": "http://[::1/a"}', "cannot be read"),
    ('{"uri": "' + "x" * 5000 + '"}', "5000 characters"),
    ('{"uri": "a\\u0000b.wav"}', "zero byte"),
    ('{"uri": "a\\ud800.wav"}', "cannot be read"),
    ("[" * 100_000, "nested too deeply"),
    ('{"uri": "a.wav", "title": "' + "t" * 2_000_000 + '"}', "2000000 characters"),
]


def test_a_row_that_cannot_be_used_is_a_record_and_the_others_go_on(tmp_path):
    table = tmp_path / "songs.jsonl"
    table.write_text("\n".join([*(row for row, _ in STRANGE_ROWS), '{"uri": "b.wav", "title": "a\\ud800b"}']))
    config = TableConfig(kind="table", path=str(table), columns={}, s3=None)
    assert config.listing_sha256()
    rows = config.listing._table.to_pylist()
    for row, (_, words) in zip(rows, STRANGE_ROWS, strict=False):
        assert words in row["problem"], row
    assert rows[-1]["problem"] is None and rows[-1]["title"] == "a?b"


def test_a_long_cell_of_a_csv_is_read(tmp_path):
    table = tmp_path / "songs.csv"
    table.write_text("uri,lyrics\na.wav," + "la " * 100_000 + "\n")
    assert len(next(read_rows(table, {})).values["lyrics"]) == 300_000
