"""The exam of composite questions on a folder of real recordings: all of it held out, graded by facts, few."""

import os
import sys
from pathlib import Path

import pytest

from music_flamingo import stages
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.params import load_params, stage_json
from music_flamingo.core.ports import Table
from music_flamingo.core.stage import parse_config
from music_flamingo.evaluation.thinking import ThinkingExam, choose_composites
from music_flamingo.records import Facts, Track, trusted
from music_flamingo.runs.workspace import repository
from music_flamingo.scoring.families import COMPOSITES, FAMILIES, heard_in_facts, parts_asked

ROOT = repository()
sys.path.insert(0, str(ROOT / "benchmarks"))

from thinking_recordings import MEASURING, examined, run_stages  # noqa: E402

PARAMS = load_params(ROOT / "params.yaml")
RECORDINGS = os.environ.get("MF_RECORDINGS")


def test_the_folder_is_the_source_and_all_of_it_is_held_out(tmp_path):
    params = examined(PARAMS, tmp_path)
    config = parse_config(stages.load("ingest"), stage_json(params, "ingest"))
    assert (config.source.kind, config.source.path) == ("audio_folder", str(tmp_path.resolve()))
    assert (config.split.train, config.split.dev, config.split.test) == (0.0, 0.0, 1.0)
    exam = parse_config(stages.load("evaluate"), stage_json(params, "evaluate")).thinking
    assert exam.per_track == 8 and exam.families == tuple(PARAMS["evaluate"]["thinking"]["families"])


@pytest.mark.slow
@pytest.mark.skipif(RECORDINGS is None, reason="MF_RECORDINGS names no folder of real recordings")
def test_real_recordings_have_a_few_composite_questions_that_follow_from_their_facts(tmp_path):
    params = examined(PARAMS, Path(RECORDINGS))
    run_stages(MEASURING, params, tmp_path)
    tracks = {t.id: t.split for t in Table(tmp_path / "tracks", Track, read_manifest(tmp_path / "tracks")).ok()}
    assert set(tracks.values()) == {"test"}
    facts = {f.id: trusted(f) for f in Table(tmp_path / "facts", Facts, read_manifest(tmp_path / "facts")).ok()}
    exam = ThinkingExam.model_validate_json(stage_json({"exam": params["evaluate"]["thinking"]}, "exam"))
    items = choose_composites(list(facts.values()), exam, 1)
    assert len({item.work_id for item in items}) >= 2
    for item in items:
        parts = parts_asked(item.family, item.question)
        heard = heard_in_facts(facts[item.track_id], [FAMILIES[part.family] for part in parts])
        assert COMPOSITES[item.family].follows(parts, heard) == item.reference
    silent = {t for t in tracks if facts[t].content is not None and "content" in {w.fact for w in facts[t].withheld}}
    assert not silent & {item.track_id for item in items}
