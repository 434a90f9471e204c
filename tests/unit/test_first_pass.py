"""The first pass of validation, made by branches on ranges of shards: the ports of one process."""

import json

import pytest
from support import songs

from music_flamingo.cli import main
from music_flamingo.core.errors import ConfigError, CorruptDataError
from music_flamingo.core.first_pass import execute_after, run_first_pass
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.stage import execute
from music_flamingo.records import Facts, Track
from music_flamingo.stages import captions, synthesize, validate

STAGE = validate.STAGE
NUM_SHARDS = 3


def config(**changes) -> str:
    params = songs.params("validate")
    expected = {**params["expected"], "min_kept_fraction": 0.0, "min_questions": 0.0}
    return json.dumps({**params, "expected": expected, **changes})


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three shards of a song each, with all that the scripted teacher writes of them."""
    root = tmp_path_factory.mktemp("data")
    names = [f"w{i}/0" for i in range(NUM_SHARDS)]
    songs.write_port(root / "tracks", Track, [[songs.make_track(n, n[:2])] for n in names])
    songs.write_port(root / "facts", Facts, [[songs.make_facts(n, n[:2])] for n in names])
    for stage in (captions.STAGE, synthesize.STAGE):
        songs.run_stage(stage, songs.params(stage.name), root)
    return root


def inputs(data):
    return {name: data / name for name in STAGE.inputs}


def outputs(root):
    return {name: root / name for name in STAGE.outputs}


def digests(root):
    return {name: (read_manifest(root / name).key, read_manifest(root / name).digest) for name in ("skills", "rejects")}


@pytest.fixture(scope="module")
def one_process(data, tmp_path_factory):
    """Digests of the ports that one process gives."""
    root = tmp_path_factory.mktemp("one")
    execute(STAGE, config(), inputs(data), outputs(root))
    return digests(root)


def test_branches_give_the_ports_of_one_process(data, one_process, tmp_path):
    parts = []
    for shards in ("0-0", "1-2"):
        parts.append(tmp_path / shards)
        assert run_first_pass(STAGE, config(), inputs(data), parts[-1], shards)
        assert not run_first_pass(STAGE, config(), inputs(data), parts[-1], shards), "made already"
    assert execute_after(STAGE, config(), inputs(data), outputs(tmp_path / "made"), parts)
    assert digests(tmp_path / "made") == one_process


def test_what_no_branch_gave_is_made_by_the_stage(data, one_process, tmp_path):
    run_first_pass(STAGE, config(), inputs(data), tmp_path / "part", "1-1")
    execute_after(STAGE, config(), inputs(data), outputs(tmp_path / "made"), [tmp_path / "part"])
    assert digests(tmp_path / "made") == one_process


def test_a_part_of_other_parameters_is_refused(data, tmp_path):
    other = config(over_tracks=None)
    run_first_pass(STAGE, other, inputs(data), tmp_path / "part", "0-1")
    with pytest.raises(CorruptDataError, match="shards 0-1, made from other inputs, parameters or code"):
        execute_after(STAGE, config(), inputs(data), outputs(tmp_path / "made"), [tmp_path / "part"])


def test_a_stage_without_a_first_pass_says_so(data, tmp_path):
    with pytest.raises(ConfigError, match="`captions` has no first pass"):
        run_first_pass(captions.STAGE, json.dumps(songs.params("captions")), {}, tmp_path / "part", "0-1")


def test_mf_run_leaves_its_range_beside_the_ports(data):
    own = json.loads(config())["expected"]
    settings = [f"--set=validate.expected.{name}={own[name]}" for name in ("min_kept_fraction", "min_questions")]
    main(["run", "validate", "--shards", "0-1", "--data", str(data), *settings])
    [part] = (data / "_first_pass/validate").iterdir()
    assert part.name == "0-1"
    assert sorted(p.name for p in part.glob("checked-*")) == ["checked-00000.parquet", "checked-00001.parquet"]
