"""Stages that ask teachers get the volume of finished calls and the key's secret when compiled for them."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
ASKING = {"captions", "collect-captions", "synthesize", "collect-synthesize", "validate"}
COMPILE = "import sys; from kfp.compiler import Compiler; from pipelines.annotation import annotation; "
COMPILE += "Compiler().compile(annotation, sys.argv[1])"


def executors(path, **environment):
    """Executor name -> its Kubernetes settings, of the annotation pipeline compiled in this environment."""
    own = {k: v for k, v in os.environ.items() if not k.startswith("TEACHER_")}
    subprocess.run([sys.executable, "-c", COMPILE, str(path)], env={**own, **environment}, cwd=ROOT, check=True)
    documents = list(yaml.safe_load_all(path.read_text()))
    platform = documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"] if len(documents) > 1 else {}
    return {name.removeprefix("exec-"): settings for name, settings in platform.items()}


def test_without_the_variables_no_stage_needs_a_volume_or_a_secret(tmp_path):
    found = executors(tmp_path / "pipeline.yaml").values()
    assert not any({"pvcMount", "secretAsEnv"} & settings.keys() for settings in found)


def test_with_them_the_stages_that_ask_teachers_get_both_and_no_other_does(tmp_path):
    variables = {"TEACHER_CACHE_CLAIM": "teacher-cache", "TEACHER_KEY_SECRET": "teacher-key"}
    found = executors(tmp_path / "pipeline.yaml", **variables)
    assert {name for name, settings in found.items() if "pvcMount" in settings} == ASKING
    mount, secret = found["captions"]["pvcMount"][0], found["captions"]["secretAsEnv"][0]
    assert mount["mountPath"] == "/teacher-cache"
    assert [(k["envVar"], k["secretKey"]) for k in secret["keyToEnv"]] == [("TEACHER_API_KEY", "api-key")]


def test_a_secret_of_the_songs_bucket_reaches_ingest_alone(tmp_path):
    found = executors(tmp_path / "pipeline.yaml", SONGS_SECRET="songs")
    assert {name for name, settings in found.items() if "secretAsEnv" in settings} == {"ingest"}
    keys = found["ingest"]["secretAsEnv"][0]["keyToEnv"]
    assert [(k["envVar"], k["secretKey"]) for k in keys] == [
        ("S3_ACCESS_KEY", "access-key"),
        ("S3_SECRET_KEY", "secret-key"),
    ]
