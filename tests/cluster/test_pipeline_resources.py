"""What `python -m pipelines` writes is what the API server and Kubeflow's own schemas take, closed."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from google.protobuf.json_format import ParseDict, ParseError
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

from manifests.validation import violations

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("annotation", "training", "music_flamingo")
each_pipeline = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("pipelines")
    words = {"TEACHER_CACHE_CLAIM": "cache", "TEACHER_KEY_SECRET": "key", "SONGS_SECRET": "songs", "PROFILE": "smoke"}
    subprocess.run([sys.executable, "-m", "pipelines", str(made)], cwd=ROOT, env={**os.environ, **words}, check=True)
    return made


@each_pipeline
def test_pipeline_and_version_are_resources_that_kubectl_applies(folder, name):
    resources = list(yaml.safe_load_all((folder / f"{name}.kubernetes.yaml").read_text()))
    assert [r["kind"] for r in resources] == ["Pipeline", "PipelineVersion"]
    assert [violations(r) for r in resources] == [[], []]
    assert resources[1]["spec"]["pipelineName"] == resources[0]["metadata"]["name"]
    misspelt = copy.deepcopy(resources[1])
    misspelt["spec"]["pipelinName"] = "x"
    assert any("pipelinName" in v for v in violations(misspelt))


@each_pipeline
@pytest.mark.parametrize("where", ["container", "resources", "env"])
def test_what_executors_run_knows_every_field_though_the_specification_would_take_any(folder, name, where):
    """`deploymentSpec` is free-form for the compiler: it is read as what the API server makes of it."""
    spec, platform = yaml.safe_load_all((folder / f"{name}.yaml").read_text())
    ParseDict(spec["deploymentSpec"], pipeline_spec_pb2.PipelineDeploymentConfig())
    ParseDict(platform, pipeline_spec_pb2.PlatformSpec())
    container = spec["deploymentSpec"]["executors"]["exec-configure"]["container"]
    container.setdefault("env", [{"name": "A", "value": "b"}])
    misspelt = {"container": container, "resources": container["resources"], "env": container["env"][0]}[where]
    misspelt["memoryLimitt"] = "2Gi"
    ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    with pytest.raises(ParseError, match="memoryLimitt"):
        ParseDict(spec["deploymentSpec"], pipeline_spec_pb2.PipelineDeploymentConfig())


@each_pipeline
def test_the_specification_and_what_executors_ask_of_kubernetes_know_every_field(folder, name):
    spec, platform = yaml.safe_load_all((folder / f"{name}.yaml").read_text())
    ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert executors
    for settings in executors.values():
        ParseDict(settings, kubernetes_executor_config_pb2.KubernetesExecutorConfig())
    misspelt = copy.deepcopy(next(iter(executors.values()))) | {"tolerationz": []}
    with pytest.raises(ParseError, match="tolerationz"):
        ParseDict(misspelt, kubernetes_executor_config_pb2.KubernetesExecutorConfig())
