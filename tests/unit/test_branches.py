"""A stage run on ranges of shards, and the parts put together: the port of one process."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import songs

from components.captions import collect_captions
from components.fused import captions_synthesize, collect_annotation
from music_flamingo.core.branches import MOST_BRANCHES, collect, divide
from music_flamingo.core.errors import ConfigError, CorruptDataError, MissingInputError
from music_flamingo.core.manifest import MANIFEST_NAME, read_manifest
from music_flamingo.core.ports import Table, Writer
from music_flamingo.core.shards import parse_range, shard_path
from music_flamingo.core.stage import execute
from music_flamingo.records import Caption, Facts, Track
from music_flamingo.stages import BRANCHED, load
from music_flamingo.stages.captions import STAGE as CAPTIONS
from music_flamingo.stages.synthesize import STAGE as SYNTHESIZE
from music_flamingo.teachers import is_settled

NUM_SHARDS = 5


def text(stage) -> str:
    return json.dumps(songs.params(stage.name))


@pytest.fixture
def data(tmp_path):
    """Five shards of a song or two, one of them without facts."""
    names = [[f"w{i}/{k}" for k in range(1 + i % 2)] for i in range(NUM_SHARDS)]
    songs.write_port(tmp_path / "tracks", Track, [[songs.make_track(n, n[:2]) for n in shard] for shard in names])
    known = [[songs.make_facts(n, n[:2]) for n in shard if n != "w3/1"] for shard in names]
    songs.write_port(tmp_path / "facts", Facts, known)
    return tmp_path


def inputs(stage, data, **own):
    return {name: own.get(name, data / name) for name in stage.inputs}


def run_branch(stage, data, shards, folder, **own):
    """One branch; gives the folder of its part."""
    [port] = stage.outputs
    out = folder / shards / port
    execute(stage, text(stage), inputs(stage, data, **own), {port: out}, shards=parse_range(shards))
    return out


def put_together(stage, data, parts):
    [port] = stage.outputs
    collect(stage, text(stage), inputs(stage, data), {port: data / port}, parts)
    return data / port


def one_process(stage, data, folder):
    [port] = stage.outputs
    execute(stage, text(stage), inputs(stage, data), {port: folder / port})
    return folder / port


def same_port(one, other) -> bool:
    files = [sorted(p.relative_to(root) for p in root.rglob("*") if p.is_file()) for root in (one, other)]
    return files[0] == files[1] and all((one / f).read_bytes() == (other / f).read_bytes() for f in files[0])


@pytest.mark.parametrize("branches", [1, 2, 5, 9])
def test_branches_give_the_port_of_one_process_to_the_last_byte_of_its_manifest(data, branches):
    parts = [run_branch(CAPTIONS, data, r, data / "parts") for r in divide(data / "tracks", branches)]
    whole = one_process(CAPTIONS, data, data / "whole")
    assert same_port(put_together(CAPTIONS, data, parts), whole)
    assert read_manifest(whole).metrics["tracks_without_facts"] == 1


def test_a_branch_hands_its_own_part_on_to_the_next_stage(data):
    ranges = divide(data / "tracks", 2)
    described = {r: run_branch(CAPTIONS, data, r, data / "parts") for r in ranges}
    written = [run_branch(SYNTHESIZE, data, r, data / "parts", captions=described[r]) for r in ranges]
    put_together(CAPTIONS, data, list(described.values()))
    whole = one_process(SYNTHESIZE, data, data / "whole")
    assert same_port(put_together(SYNTHESIZE, data, written), whole)


@dataclass(frozen=True)
class Kept:
    """An artifact of a pod: its folder; what a failure leaves in the store goes nowhere."""

    path: str
    uri: str = "file:///nowhere"


def test_fused_steps_give_the_ports_of_one_process(data):
    config = {f"{stage.name}_config": text(stage) for stage in (CAPTIONS, SYNTHESIZE)}
    tracks, facts = Kept(str(data / "tracks")), Kept(str(data / "facts"))
    parts = {}
    for shards in divide(data / "tracks", 2):
        gives = {port: Kept(str(data / "parts" / shards / port)) for port in ("captions", "candidates")}
        captions_synthesize.python_func(**config, tracks=tracks, facts=facts, **gives, shards=shards)
        parts[shards] = gives
    described, whole = [given["captions"] for given in parts.values()], Kept(str(data / "captions"))
    collect_captions.python_func(text(CAPTIONS), tracks=tracks, facts=facts, parts=described, captions=whole)
    assert same_port(data / "captions", one_process(CAPTIONS, data, data / "whole"))
    written = [Path(given["candidates"].path) for given in parts.values()]
    assert same_port(put_together(SYNTHESIZE, data, written), one_process(SYNTHESIZE, data, data / "whole"))


@pytest.mark.parametrize(
    ("fused", "names", "own"),
    [
        (captions_synthesize, ("captions", "synthesize"), {"shards"}),
        (collect_annotation, BRANCHED, {"facts_parts", "captions_parts", "candidates_parts"}),
    ],
)
def test_fused_steps_take_and_give_what_their_stages_do(fused, names, own):
    gives = {port for name in names for port in load(name).outputs}
    takes = {port for name in names for port in load(name).inputs} - gives
    assert set(fused.component_spec.outputs) == gives
    assert set(fused.component_spec.inputs) == takes | own | {f"{name}_config" for name in names}


def test_ranges_are_even_and_no_more_than_there_are_shards(data):
    assert divide(data / "tracks", 2) == ["0-1", "2-4"]
    assert divide(data / "tracks", MOST_BRANCHES) == ["0-0", "1-1", "2-2", "3-3", "4-4"]


@pytest.mark.parametrize("branches", [0, -1, MOST_BRANCHES + 1])
def test_a_number_of_branches_out_of_bounds_is_refused(data, branches):
    with pytest.raises(ConfigError, match=f"between 1 and 32, not be {branches}"):
        divide(data / "tracks", branches)


@pytest.mark.parametrize("wrong", ["", "3", "3-1", "a-b", "-1-2", "0:3"])
def test_a_range_that_is_none_is_refused(wrong):
    with pytest.raises(ConfigError, match="reads FIRST-LAST"):
        parse_range(wrong)


def test_a_branch_sees_its_range_alone(data):
    part = run_branch(CAPTIONS, data, "1-2", data / "parts")
    made = read_manifest(part)
    assert [f.path for f in made.files] == ["part-00001.parquet", "part-00002.parquet"]
    assert {c.track_id for c in Table(part, Caption, made)} == {"w1/0", "w1/1", "w2/0"}
    assert made.key != read_manifest(one_process(CAPTIONS, data, data / "whole")).key


def test_a_range_of_another_catalogue_is_refused(data):
    with pytest.raises(MissingInputError, match="has 5 shards, and not all of 3-8"):
        run_branch(CAPTIONS, data, "3-8", data / "parts")


def test_a_branch_that_failed_is_run_again_without_the_others(data):
    parts = [run_branch(CAPTIONS, data, r, data / "parts") for r in ("0-1", "2-4")]
    before = shard_path(parts[0], 0).stat().st_mtime_ns
    (parts[1] / MANIFEST_NAME).unlink()
    with pytest.raises(MissingInputError, match="has not finished"):
        put_together(CAPTIONS, data, parts)
    run_branch(CAPTIONS, data, "2-4", data / "parts")
    assert same_port(put_together(CAPTIONS, data, parts), one_process(CAPTIONS, data, data / "whole"))
    assert shard_path(parts[0], 0).stat().st_mtime_ns == before


def test_shards_that_no_branch_gave_are_named(data):
    parts = [run_branch(CAPTIONS, data, r, data / "parts") for r in ("0-0", "3-3")]
    with pytest.raises(MissingInputError, match=r"the shards \[1, 2, 4\] of `captions`"):
        put_together(CAPTIONS, data, parts)
    assert not (data / "captions" / MANIFEST_NAME).exists()


def test_a_part_of_other_parameters_is_refused(data):
    config = json.loads(text(CAPTIONS)) | {"seed": 999}
    other = data / "parts/captions"
    execute(CAPTIONS, json.dumps(config), inputs(CAPTIONS, data), {"captions": other}, shards=range(0, 5))
    with pytest.raises(CorruptDataError, match="made from other inputs, parameters or code"):
        put_together(CAPTIONS, data, [other])


def test_a_part_of_songs_that_have_changed_since_is_refused(data):
    part = run_branch(CAPTIONS, data, "0-4", data / "parts")
    changed = [[songs.make_track(f"w{i}/0", f"w{i}", duration_s=99.0)] for i in range(NUM_SHARDS)]
    songs.write_port(data / "tracks", Track, changed)
    with pytest.raises(CorruptDataError, match="Run that branch again"):
        put_together(CAPTIONS, data, [part])


def test_a_damaged_part_is_refused(data):
    part = run_branch(CAPTIONS, data, "0-4", data / "parts")
    path = shard_path(part, 2)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(CorruptDataError, match="part-00002"):
        put_together(CAPTIONS, data, [part])


def test_collecting_again_does_nothing(data):
    parts = [run_branch(CAPTIONS, data, "0-4", data / "parts")]
    put_together(CAPTIONS, data, parts)
    before = (data / "captions" / MANIFEST_NAME).stat().st_mtime_ns
    put_together(CAPTIONS, data, parts)
    assert (data / "captions" / MANIFEST_NAME).stat().st_mtime_ns == before


def test_what_failed_in_a_branch_is_not_asked_again_by_the_one_that_collects(data):
    part = run_branch(CAPTIONS, data, "0-4", data / "parts")
    failed = [c.quarantined("teacher_timeout") for c in _captions(part, 0)]
    Writer(part, Caption).write(0, failed)
    assert not is_settled(Writer(part, Caption), 0), "an interrupted run that goes on asks once more"
    assert is_settled(Writer(part, Caption, made_by_branches=True), 0)


def _captions(part, index):
    return Table(part, Caption, read_manifest(part)).read_shard(index)


def test_the_length_of_a_part_is_counted(data):
    part = run_branch(CAPTIONS, data, "1-2", data / "parts")
    assert len(Table(part, Caption, read_manifest(part))) == 3
