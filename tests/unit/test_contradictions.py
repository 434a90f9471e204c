"""Parameters that contradict each other are refused at parsing, each with both values and the remedy."""

import pytest

from music_flamingo import stages
from music_flamingo.core.errors import ConfigError
from music_flamingo.core.params import load_params, stage_json
from music_flamingo.core.stage import parse_config
from music_flamingo.runs.workspace import repository

PARAMS = repository() / "params.yaml"

HEARD = "tempo_class: 0.0, drums: 0.0, texture: 0.0, lead_envelope: 0.0"
COMPOSITE = "all_heard: 0.0, count_heard: 0.0, either_or: 0.0"
CONTRADICTIONS = [
    ("ingest.limits.min_duration_s=2000.0", "min_duration_s is 2000.0 and max_duration_s is 1200.0"),
    ("ingest.limits.min_rate_hz=200000", "min_rate_hz is 200000 and max_rate_hz is 192000"),
    ("facts.beats.min_bpm=300.0", "min_bpm is 300.0 and max_bpm is 215"),
    ("facts.limits.max_duration_s=1.0", "min_duration_s is 2.0 and max_duration_s is 1.0"),
    ("synthesize.min_questions=50", "min_questions is 50 and max_questions is 20"),
    ("synthesize.max_distractors=2", "min_distractors is 3 and max_distractors is 2"),
    ("validate.limits.min_distractors=9", "min_distractors is 9 and max_distractors is 8"),
    ("speech.limits.min_duration_s=31.0", "min_duration_s is 31.0 and max_duration_s is 30.0"),
    ("sft.mixture.sources={skills: 0.0, speech: 0.0}", "none of skills, speech weighs more than 0"),
    (f"sft.families={{{HEARD}, short_caption: 0.0}}", "weighs more than 0"),
    (f"grpo.families={{{HEARD}, short_caption: 0.0, {COMPOSITE}}}", "weighs more than 0"),
    (f"warmup.families={{{HEARD}, short_caption: 0.0, {COMPOSITE}}}", "weighs more than 0"),
]


def parsed(*settings: str, stage: str) -> object:
    return parse_config(stages.load(stage), stage_json(load_params(PARAMS, settings=settings), stage))


@pytest.mark.parametrize(("setting", "words"), CONTRADICTIONS)
def test_what_contradicts_another_parameter_is_refused_with_both_values(setting, words):
    stage, _, name = setting.partition("=")[0].partition(".")
    with pytest.raises(ConfigError, match=words) as refused:
        parsed(setting, stage=stage)
    assert f"{stage}.{name.rpartition('.')[0]}" in str(refused.value) and "Mend them under" in str(refused.value)


def test_a_range_of_one_value_and_one_weight_above_zero_are_no_contradiction():
    parsed("synthesize.min_questions=20", stage="synthesize")
    parsed(f"sft.families={{{HEARD}, short_caption: 1.0}}", stage="sft")


@pytest.mark.parametrize("profile", sorted((repository() / "pipelines/profiles").glob("*.yaml")), ids=lambda p: p.stem)
def test_no_profile_contradicts_itself(profile):
    params = load_params(PARAMS, (profile,))
    for stage in stages.ORDER:
        parse_config(stages.load(stage), stage_json(params, stage))
