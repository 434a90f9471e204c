"""How a record came to be: found by its id alone, told back to the source, checked where it can be."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.report_ports import HOSTILE_TITLE, make_run
from support.songs import make_track, write_port

from music_flamingo.core.errors import MissingInputError
from music_flamingo.core.hashing import sha256_bytes
from music_flamingo.core.manifest import read_manifest
from music_flamingo.products.explain import explain
from music_flamingo.products.id_index import INDEX_FOLDER, open_index
from music_flamingo.products.lineage import UnknownIdError, trace
from music_flamingo.prompts import load as load_prompt
from music_flamingo.records import Caption, Example, TeacherStamp, Track


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return make_run(tmp_path_factory.mktemp("lineage"))


def ids(data: Path, port: str, **where: str) -> list[str]:
    filters = [(name, "==", value) for name, value in where.items()] or None
    paths = sorted((data / port).glob("part-*.parquet"))
    return [i for p in paths for i in pq.read_table(p, columns=["id"], filters=filters)["id"].to_pylist()]


@pytest.mark.parametrize("port", ["tracks", "captions", "skills", "rejects", "think", "think_rejects", "predictions"])
def test_every_record_of_a_run_is_traced_to_its_track(whole, port):
    for wanted in ids(whole, port):
        lineage = trace(whole, wanted)
        assert lineage.asked.record.id == wanted
        assert lineage.asked.port == port
        assert getattr(lineage.asked.record, "track_id", wanted) == lineage.track.id


def test_a_chain_is_told_with_its_question_its_facts_and_the_model_that_checked_it(whole):
    wanted = ids(whole, "think")[0]
    told = explain(whole, wanted)
    chain = trace(whole, wanted)
    assert chain.example is not None
    assert f"question {chain.example.record.id}" in told
    assert f"facts of {chain.track.id}" in told
    assert f"sft_model {read_manifest(whole / 'sft_model').digest[:12]}" in told
    for port in ("tracks", "facts", "captions", "skills", "sft_model", "think"):
        assert read_manifest(whole / port).digest[:12] in told


def test_a_reject_is_told_with_its_reason(whole):
    wanted = ids(whole, "rejects")[0]
    reason = trace(whole, wanted).asked.record.status.removeprefix("quarantined:")
    assert f"rejected: {reason}" in explain(whole, wanted)


def test_an_unknown_id_is_answered_with_the_nearest_ones(whole):
    known = ids(whole, "skills")[0]
    with pytest.raises(UnknownIdError, match="Nearest:.*" + known):
        trace(whole, known[:-1])
    track = ids(whole, "tracks")[0]
    with pytest.raises(UnknownIdError, match=track):
        trace(whole, "z" + track[1:])


def test_a_folder_without_tracks_says_what_is_missing(tmp_path):
    with pytest.raises(MissingInputError, match="tracks"):
        trace(tmp_path, "a")


def test_a_hostile_title_cannot_command_a_terminal(tmp_path):
    write_port(tmp_path / "tracks", Track, [[make_track("t", title=HOSTILE_TITLE + "\x1b[2J\nstatus ok")]])
    told = explain(tmp_path, "t")
    assert "\x1b" not in told
    assert "\nstatus ok" not in told


def song(tmp_path: Path, **changes) -> Path:
    """A track whose original lies in the originals port."""
    original = tmp_path / "originals" / "ab/song.flac"
    original.parent.mkdir(parents=True)
    original.write_bytes(b"the very bytes")
    track = make_track("song", original="ab/song.flac", source_sha256=sha256_bytes(b"the very bytes"), **changes)
    write_port(tmp_path / "tracks", Track, [[track]])
    return original


def test_the_source_file_is_verified_missed_or_found_changed(tmp_path):
    original = song(tmp_path)
    assert "verified: the file still has these bytes" in explain(tmp_path, "song")
    original.write_bytes(b"other bytes")
    assert f"DIFFERS: {original} holds other bytes now" in explain(tmp_path, "song")
    original.unlink()
    assert "the file is not here: not verified" in explain(tmp_path, "song")


@pytest.mark.parametrize(
    ("stamp", "told"),
    [
        (("qa_harmony", None), "the prompt's file still has this hash"),
        (("qa_harmony", "0" * 64), "CHANGED since: the prompt's file now has"),
        (("no_such_prompt", "0" * 64), "the prompt's file is gone"),
    ],
)
def test_a_prompt_is_held_against_its_file(tmp_path, stamp, told):
    song(tmp_path)
    prompt, sha256 = stamp[0], stamp[1] or load_prompt("qa_harmony").sha256
    teacher = TeacherStamp(kind="scripted", model="m", revision="1", prompt_id=prompt, prompt_sha256=sha256)
    caption = Caption(id="song/0", track_id="song", start_s=0, end_s=1, text="Words.", teacher=teacher)
    write_port(tmp_path / "captions", Caption, [[caption]])
    assert told in explain(tmp_path, "song/0")


def test_a_port_made_from_another_version_of_its_input_says_so(whole, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(whole, data)
    wanted = ids(data, "captions")[0]
    assert "ANOTHER version" not in explain(data, wanted)
    tracks = data / "tracks/_manifest.json"
    tracks.write_text(tracks.read_text().replace(read_manifest(data / "tracks").digest, "f" * 64))
    assert "made from ANOTHER version of tracks" in explain(data, wanted)


def test_the_configuration_of_each_stage_is_printed_when_asked(whole):
    wanted = ids(whole, "skills")[0]
    assert len(explain(whole, wanted, with_configs=True)) > len(explain(whole, wanted))


# --- the index ----------------------------------------------------------------------------------------------------


def test_the_index_is_made_anew_when_the_tracks_change_and_enters_no_port(tmp_path):
    write_port(tmp_path / "tracks", Track, [[make_track("b")], [make_track("a")]])
    digest = read_manifest(tmp_path / "tracks").digest
    index = open_index(tmp_path, read_manifest(tmp_path / "tracks"))
    assert [index.shard(i) for i in ("a", "b", "c", "")] == [1, 0, None, None]
    shutil.rmtree(tmp_path / "tracks")
    write_port(tmp_path / "tracks", Track, [[make_track("c")]])
    index = open_index(tmp_path, read_manifest(tmp_path / "tracks"))
    assert [index.shard(i) for i in ("a", "c")] == [None, 0]
    assert read_manifest(tmp_path / "tracks").digest != digest
    assert len(list((tmp_path / INDEX_FOLDER).iterdir())) == 1


def test_ids_with_slashes_lead_to_the_longest_track_that_fits(tmp_path):
    write_port(tmp_path / "tracks", Track, [[make_track("w"), make_track("w/0")]])
    stamp = TeacherStamp(kind="scripted", model="m", revision="1", prompt_id="qa", prompt_sha256="0" * 64)
    plain = {"work_id": "w", "split": "train", "skill": "harmony", "type": "open", "family": "key", "options": []}
    more = {"question": "Which key?", "answer": "C", "rationale": "", "references": [], "structured": []}
    example = Example.model_validate({**plain, **more, "id": "w/0/key", "track_id": "w/0", "teacher": stamp})
    write_port(tmp_path / "skills", Example, [[example]])
    assert trace(tmp_path, "w/0/key").track.id == "w/0"
