"""facts, run by `execute` as every driver runs it: tools, problems, workers, originals that changed."""

import json
from pathlib import Path

import numpy as np
import pytest

from music_flamingo.core.errors import CorruptDataError, MissingToolError
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.params import load_params, merge
from music_flamingo.core.ports import Table
from music_flamingo.core.stage import execute, parse_config
from music_flamingo.mir import Signal
from music_flamingo.records import Facts, Track
from music_flamingo.stages.facts import STAGE, Toolbox, measure
from music_flamingo.stages.ingest import STAGE as INGEST

PARAMS = Path(__file__).parents[2] / "params.yaml"
SMALL = {
    "source": {"num_works": 2, "performances": 2, "excerpt_s": 6.0, "held_out": None},
    "shard_size": 2,
    "workers": 1,
}
CHEAP = {"beats": None, "key": None, "chords": None, "sections": None}


def tools_of(**given) -> Toolbox:
    """A toolbox in which the other facts are left out."""
    return Toolbox(**{name: given.get(name) for name in Toolbox.__dataclass_fields__})


def config(**changes: object) -> str:
    return json.dumps(merge(merge(load_params(PARAMS)["facts"], {"workers": 1}), changes))


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two works, two performances each, in two shards."""
    data = tmp_path_factory.mktemp("catalogue")
    execute(INGEST, json.dumps(merge(load_params(PARAMS)["ingest"], SMALL)), {}, {p: data / p for p in INGEST.outputs})
    return data


def facts_of(catalogue: Path, out: Path, text: str) -> Table[Facts]:
    execute(STAGE, text, {port: catalogue / port for port in STAGE.inputs}, {"facts": out / "facts"})
    return Table(out / "facts", Facts, read_manifest(out / "facts"))


@pytest.fixture(scope="module")
def measured(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Table[Facts]:
    return facts_of(catalogue, tmp_path_factory.mktemp("one"), config())


def test_every_track_has_facts_with_tool_version_and_confidence(catalogue, measured):
    tracks = Table(catalogue / "tracks", Track, read_manifest(catalogue / "tracks"))
    assert [f.id for f in measured] == [t.id for t in tracks]
    for facts in measured:
        assert facts.duration_s == pytest.approx(6.0)
        for fact in (facts.key, facts.sections, facts.dynamics, facts.sound, facts.lyrics):
            assert fact is not None and fact.tool and fact.tool_version and 0 <= fact.confidence <= 1
    assert measured.manifest.metrics["audio_minutes"] == pytest.approx(0.4)
    assert measured.manifest.metrics["found"]["sound"] == 4


def test_two_workers_give_the_facts_of_one(catalogue, measured, tmp_path):
    assert facts_of(catalogue, tmp_path, config(workers=2)).digest == measured.digest


def test_a_fact_set_to_null_is_left_out_without_a_problem(catalogue, tmp_path):
    facts = next(iter(facts_of(catalogue, tmp_path, config(**CHEAP))))
    assert (facts.tempo, facts.beats, facts.key, facts.chords, facts.sections) == (None,) * 5
    assert facts.sound is not None and facts.problems == []


class Broken:
    """A tool that fails in the way of its `error`."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def estimate(self, signal: Signal) -> None:
        raise self._error


def test_a_failing_tool_leaves_a_note_and_the_other_facts(catalogue):
    track = next(iter(Table(catalogue / "tracks", Track, read_manifest(catalogue / "tracks"))))
    parsed = parse_config(STAGE, config())
    tools = tools_of(key=Broken(RuntimeError("In Key.compute: no peaks")), sound=parsed.sound.open())
    rng = np.random.default_rng(0)
    facts = measure(track, Signal(rng.normal(0, 0.1, 4 * 44100).astype(np.float32)), tools)
    assert facts.key is None and facts.sound is not None
    assert facts.problems == ["key: RuntimeError: In Key.compute: no peaks"]


def test_a_missing_tool_stops_the_stage(catalogue):
    track = next(iter(Table(catalogue / "tracks", Track, read_manifest(catalogue / "tracks"))))
    tools = tools_of(key=Broken(MissingToolError("no essentia")))
    with pytest.raises(MissingToolError):
        measure(track, Signal(np.ones(44100, np.float32)), tools)


def test_a_short_recording_keeps_what_can_be_measured(catalogue):
    track = next(iter(Table(catalogue / "tracks", Track, read_manifest(catalogue / "tracks"))))
    tools = tools_of(dynamics=parse_config(STAGE, config()).dynamics.open())
    facts = measure(track, Signal(np.full(44100, 0.1, np.float32)), tools)
    assert facts.dynamics is None and facts.problems[0].startswith("dynamics: NothingFoundError: no 3 s")


def test_an_original_that_changed_is_refused(catalogue, tmp_path):
    track = next(iter(Table(catalogue / "tracks", Track, read_manifest(catalogue / "tracks"))))
    path = catalogue / "originals" / track.original
    kept = path.read_bytes()
    path.write_bytes(kept + b"x")
    try:
        with pytest.raises(CorruptDataError, match="SHA-256 differs"):
            facts_of(catalogue, tmp_path, config(**CHEAP))
    finally:
        path.write_bytes(kept)
