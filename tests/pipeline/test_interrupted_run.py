"""A run in which one branch fails, by kfp.local: the page says why, and the next run repeats that branch alone."""

import json
import os
import sys
from pathlib import Path

import pytest
from kfp import dsl, local
from kfp.dsl import Dataset
from support import songs

from components.captions import captions, collect_captions
from components.divide import divide
from components.outcome import outcome
from music_flamingo.core.manifest import MANIFEST_NAME, read_manifest
from music_flamingo.core.shards import shard_path
from music_flamingo.core.stage import execute
from music_flamingo.records import Facts, Track
from music_flamingo.runs.summary_page import FAILURE_NAME
from music_flamingo.stages.captions import STAGE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BRANCHES = 4
CONFIG = json.dumps(songs.params("captions"))


@dsl.pipeline(name="described")
def described(tracks_uri: str, facts_uri: str, config: str) -> None:
    """The part of the annotation pipeline that one branched stage is, on ports that are there."""
    tracks, facts = (
        dsl.importer(artifact_uri=uri, artifact_class=Dataset, reimport=False).output for uri in (tracks_uri, facts_uri)
    )
    last = outcome(run=dsl.PIPELINE_JOB_ID_PLACEHOLDER, profile="test").set_caching_options(False)
    with dsl.ExitHandler(last):
        ranges = divide(port=tracks, branches=BRANCHES)
        with dsl.ParallelFor(ranges.output) as shards:
            part = captions(config=config, tracks=tracks, facts=facts, shards=shards).outputs["captions"]
        collect_captions(config=config, tracks=tracks, facts=facts, parts=dsl.Collected(part))


@pytest.fixture
def ports(tmp_path):
    names = [f"w{i}/0" for i in range(BRANCHES)]
    songs.write_port(tmp_path / "data/tracks", Track, [[songs.make_track(n, n[:2])] for n in names], stage="ingest")
    songs.write_port(tmp_path / "data/facts", Facts, [[songs.make_facts(n, n[:2])] for n in names], stage="facts")
    return {name: tmp_path / "data" / name for name in ("tracks", "facts")}


def run(ports: dict[str, Path], root: Path, cache: Path) -> Path:
    """One run with Kubeflow's caching; gives its folder."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    runner = local.SubprocessRunner(use_venv=False)
    settings = {"raise_on_error": False, "enable_caching": True, "cache_root": str(cache)}
    local.init(runner, pipeline_root=str(root), **settings)
    described(tracks_uri=str(ports["tracks"]), facts_uri=str(ports["facts"]), config=CONFIG)
    [folder] = root.glob("described-*")
    return folder


def branches_made(folder: Path) -> set[str]:
    """The shards that branches of this very run made."""
    found = folder.rglob(f"*iteration*/*/captions/{MANIFEST_NAME}")
    return {f.path for path in found for f in read_manifest(path.parent).files}


def test_the_page_names_the_failure_and_the_next_run_repeats_that_branch_alone(ports, tmp_path):
    torn = shard_path(ports["tracks"], 1)
    whole = torn.read_bytes()
    torn.write_bytes(b"not a table")
    first = run(ports, tmp_path / "first", tmp_path / "cache")
    page = (first / "outcome/page").read_text()
    assert "profile test: failed" in page
    assert "shards 1-1: CorruptDataError" in page
    assert len(list(first.rglob(FAILURE_NAME))) == 1
    made = branches_made(first)
    assert made, "other branches finished"

    torn.write_bytes(whole)
    second = run(ports, tmp_path / "second", tmp_path / "cache")
    everything = {f"part-0000{i}.parquet" for i in range(BRANCHES)}
    assert branches_made(second) == everything - made
    assert "succeeded" in (second / "outcome/page").read_text()
    execute(STAGE, CONFIG, ports, {"captions": tmp_path / "data/captions"})
    collected = read_manifest(second / "collect-captions/captions")
    assert collected == read_manifest(tmp_path / "data/captions")
