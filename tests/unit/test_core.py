"""The door to every stage, and what lies behind it: manifests, shards, parameters, records."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from pydantic import Field, ValidationError

from music_flamingo.core.errors import ConfigError, CorruptDataError, MissingInputError
from music_flamingo.core.manifest import MANIFEST_NAME, read_manifest, verify
from music_flamingo.core.params import load_params, merge, parse_setting, stage_json
from music_flamingo.core.ports import Folder
from music_flamingo.core.progress import Progress
from music_flamingo.core.record import Record, RecordPart, arrow_schema, read_parquet, write_parquet
from music_flamingo.core.shards import atomic_path
from music_flamingo.core.stage import NOT_IDENTITY, Stage, StageConfig, execute


class Note(Record):
    pitch: int
    onset_s: float


class Config(StageConfig):
    transpose: int
    workers: int = Field(json_schema_extra=NOT_IDENTITY)


runs: list[str] = []


def make(config, notes):
    runs.append("make")
    notes.write_all([Note(id=f"n{i}", pitch=60 + i + config.transpose, onset_s=i / 2) for i in range(5)], 2)
    return {"num_notes": 5}


def copy(config, notes, page):
    (page.work / "scratch").write_text("gone when complete")
    (page.root / "notes.txt").write_text(" ".join(str(n.pitch) for n in notes))
    return {}


MAKE = Stage("make", Config, {}, {"notes": Note}, make)
COPY = Stage("copy", Config, {"notes": Note}, {"page": Folder}, copy)


def config(transpose=0, workers=1):
    return json.dumps({"transpose": transpose, "workers": workers})


def test_two_stages_run_one_after_the_other(tmp_path):
    assert execute(MAKE, config(), {}, {"notes": tmp_path / "notes"})
    assert execute(COPY, config(), {"notes": tmp_path / "notes"}, {"page": tmp_path / "page"})
    assert (tmp_path / "page/notes.txt").read_text() == "60 61 62 63 64"
    assert sorted(p.name for p in (tmp_path / "page").iterdir()) == [MANIFEST_NAME, "notes.txt"]
    manifest = verify(tmp_path / "notes")
    assert (manifest.num_records, manifest.status, len(manifest.files)) == (5, {"ok": 5}, 3)


def test_the_same_work_is_not_done_twice(tmp_path):
    out = {"notes": tmp_path / "notes"}
    assert execute(MAKE, config(), {}, out)
    assert not execute(MAKE, config(), {}, out)
    assert not execute(MAKE, config(workers=2), {}, out), "the number of workers is no part of the work"
    assert execute(MAKE, config(transpose=1), {}, out)


def test_an_input_without_a_manifest_is_refused_with_the_remedy(tmp_path):
    (tmp_path / "notes").mkdir()
    with pytest.raises(MissingInputError, match=r"notes has no _manifest.json.*Run the stage"):
        execute(COPY, config(), {"notes": tmp_path / "notes"}, {"page": tmp_path / "page"})


@pytest.mark.parametrize(
    "text", ['{"transpose": "1", "workers": 1}', '{"transpose": 1}', '{"transpose": 1, "worker": 1}']
)
def test_a_wrong_parameter_is_named_with_its_value(text, tmp_path):
    with pytest.raises(ConfigError, match=r"make\.(transpose|workers?)"):
        execute(MAKE, text, {}, {"notes": tmp_path / "notes"})


def test_large_integers_keep_their_digits(tmp_path):
    seed = 2**61 + 1
    execute(MAKE, stage_json({"make": {"transpose": seed, "workers": 1}}, "make"), {}, {"notes": tmp_path / "notes"})
    assert read_manifest(tmp_path / "notes").config["transpose"] == seed


def test_a_flipped_byte_is_found_by_verify(tmp_path):
    execute(MAKE, config(), {}, {"notes": tmp_path / "notes"})
    shard = tmp_path / "notes/part-00001.parquet"
    data = bytearray(shard.read_bytes())
    data[100] ^= 1
    shard.write_bytes(data)
    with pytest.raises(CorruptDataError, match=r"part-00001\.parquet does not match"):
        verify(tmp_path / "notes")


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import test_core as t
from pathlib import Path

def make(config, notes):
    for index in range(3):
        if notes.has(index):
            print("kept", index, flush=True)
            continue
        if index == 2 and len(sys.argv) > 2:
            os.kill(os.getpid(), signal.SIGKILL)
        print("made", index, flush=True)
        notes.write(index, [t.Note(id=f"n{{index}}", pitch=index, onset_s=0.0)])
    return {{}}

stage = t.Stage("make", t.Config, {{}}, {{"notes": t.Note}}, make)
t.execute(stage, t.config(), {{}}, {{"notes": Path(sys.argv[1])}})
"""


@pytest.mark.reliability
def test_a_killed_stage_goes_on_from_its_shards_to_the_same_digest(tmp_path):
    script = tmp_path / "killed.py"
    script.write_text(textwrap.dedent(KILLED.format(tests=str(Path(__file__).parent))))

    def run(folder, *extra):
        return subprocess.run(
            [sys.executable, str(script), str(tmp_path / folder), *extra],
            capture_output=True,
            text=True,
            env=os.environ,
        )

    assert run("a", "kill").returncode == -signal.SIGKILL
    assert not (tmp_path / "a" / MANIFEST_NAME).exists()
    assert run("a").stdout == "kept 0\nkept 1\nmade 2\n"
    assert run("b").stdout == "made 0\nmade 1\nmade 2\n"
    assert read_manifest(tmp_path / "a").digest == read_manifest(tmp_path / "b").digest


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "x") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


class Chord(RecordPart):
    label: str
    times_s: list[float]


class Song(Record):
    title: str | None
    chords: list[Chord]
    tags: list[str]


def test_records_travel_through_parquet_unchanged_and_datasets_opens_them(tmp_path):
    songs = [
        Song(id="a", title=None, chords=[Chord(label="C:maj", times_s=[0.0, 1.5])], tags=["é"]),
        Song(id="b", title="t", chords=[], tags=[]).quarantined("too_long"),
    ]
    write_parquet(tmp_path / "part-00000.parquet", Song, songs)
    assert list(read_parquet(tmp_path / "part-00000.parquet", Song)) == songs
    assert pq.read_schema(tmp_path / "part-00000.parquet").equals(arrow_schema(Song))
    rows = load_dataset(str(tmp_path), cache_dir=str(tmp_path / "cache"))["train"]
    assert rows[0]["chords"][0]["times_s"] == [0.0, 1.5]
    assert rows[1]["status"] == "quarantined:too_long"


def test_optional_fields_alone_may_be_null():
    schema = arrow_schema(Song)
    assert schema.field("title").nullable
    assert not schema.field("id").nullable
    assert schema.field("chords").type == pa.list_(arrow_schema(Song).field("chords").type.value_type)


@pytest.mark.parametrize("status", ["quarantined", "quarantined:", "fine", ""])
def test_a_status_is_ok_or_quarantined_with_a_reason(status):
    with pytest.raises(ValidationError, match="status is"):
        Note(id="n", pitch=1, onset_s=0.0, status=status)


def test_overlays_merge_by_key_and_replace_where_the_kind_changes():
    base = {"a": {"source": {"kind": "scores", "pieces": 4}, "size": 1}}
    assert merge(base, {"a": {"size": 2}})["a"] == {"source": {"kind": "scores", "pieces": 4}, "size": 2}
    assert merge(base, {"a": {"source": {"kind": "folder", "path": "x"}}})["a"]["source"] == {
        "kind": "folder",
        "path": "x",
    }
    assert merge(base, {"a": {"source": {"pieces": 5}}})["a"]["source"] == {"kind": "scores", "pieces": 5}


def test_settings_are_yaml_values_under_dotted_names():
    assert parse_setting("sft.steps=20") == {"sft": {"steps": 20}}
    assert parse_setting("a.b={kind: x}") == {"a": {"b": {"kind": "x"}}}
    with pytest.raises(ConfigError, match=r"stage\.name=value"):
        parse_setting("sft.steps")


def test_a_missing_parameter_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"no\.yaml does not exist"):
        load_params(tmp_path / "no.yaml")


def test_progress_tells_rate_and_time_left_and_ends_with_the_total(capsys):
    with Progress("facts", 4, "tracks", stream=sys.stderr, line_every_s=0.0) as progress:
        for _ in range(4):
            progress.advance()
    lines = capsys.readouterr().err.splitlines()
    assert "facts  1/4 tracks" in lines[0]
    assert lines[0].endswith("left")
    assert "4/4 tracks" in lines[-1]
    assert lines[-1].endswith("in all")
