"""A Kubeflow run's stages get their parameters with the digest of their code, and refuse another's."""

import json
from pathlib import Path

import pytest

from music_flamingo import stages
from music_flamingo.core.errors import ConfigError
from music_flamingo.core.params import load_params, stage_json
from music_flamingo.core.stage import Stage, parse_config
from music_flamingo.runs.configured import CODE, configured, parameters_of

PARAMS = load_params(Path(__file__).resolve().parents[2] / "params.yaml")


@pytest.mark.parametrize("name", stages.ORDER)
def test_a_stage_gets_its_parameters_back(name):
    given = parameters_of(configured(PARAMS, name), name)
    assert given == stage_json(PARAMS, name)
    parse_config(stages.load(name), given)


def test_parameters_without_a_digest_pass_as_they_are():
    assert parameters_of(stage_json(PARAMS, "facts"), "facts") == stage_json(PARAMS, "facts")


def test_changed_code_makes_another_text_so_that_kubeflows_cache_does_not_answer(monkeypatch):
    before = configured(PARAMS, "captions")
    # with the code of another stage: what a changed source looks like from here
    other = stages.load("speech").code()
    monkeypatch.setattr(Stage, "code", lambda self: other)
    assert configured(PARAMS, "captions") != before


def test_a_step_of_another_build_is_refused_with_the_remedy():
    text = json.dumps(json.loads(configured(PARAMS, "facts")) | {CODE: "0" * 64})
    with pytest.raises(ConfigError, match=r"`facts` has other code than the step `configure`.*under one TAG"):
        parameters_of(text, "facts")


def test_no_stage_has_a_parameter_of_the_digests_name():
    assert not [name for name in stages.ORDER if CODE in stages.load(name).config.model_fields]
