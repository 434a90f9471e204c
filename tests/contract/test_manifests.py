"""Manifests are well-formed, closed against the schemas of their kinds, and hold no secret."""

from pathlib import Path

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CRDS = ROOT.parent / "shared/crds"
FILES = sorted((ROOT / "manifests").rglob("*.yaml"))


def closed(schema):
    """The schema with unknown fields forbidden: a misspelt field is an error, not a silent nothing."""
    if isinstance(schema, dict):
        schema = {k: closed(v) for k, v in schema.items()}
        if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)
    elif isinstance(schema, list):
        schema = [closed(s) for s in schema]
    return schema


def inference_service_schema():
    path = CRDS / "serving.kserve.io_inferenceservices.yaml"
    if not path.is_file():
        pytest.skip(f"the CRD schema is not here: {path.name}")
    versions = yaml.safe_load(path.read_text())["spec"]["versions"]
    schema = next(v for v in versions if v["name"] == "v1beta1")["schema"]["openAPIV3Schema"]
    schema["properties"]["metadata"] = {"type": "object"}
    return closed(schema)


def test_the_inference_service_fits_its_schema_and_a_misspelt_field_does_not():
    schema = inference_service_schema()
    resource = yaml.safe_load((ROOT / "manifests/base/inferenceservice.yaml").read_text())
    jsonschema.validate(resource, schema)
    resource["spec"]["predictor"]["minReplica"] = 1
    with pytest.raises(jsonschema.ValidationError, match="minReplica"):
        jsonschema.validate(resource, schema)


def test_every_resource_of_the_base_is_listed_and_there():
    listed = yaml.safe_load((ROOT / "manifests/base/kustomization.yaml").read_text())["resources"]
    there = [p.name for p in (ROOT / "manifests/base").glob("*.yaml") if p.name != "kustomization.yaml"]
    assert sorted(listed) == sorted(there)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_no_manifest_carries_a_secret(path):
    for resource in yaml.safe_load_all(path.read_text()):
        assert resource["kind"] != "Secret"
        assert "password" not in path.read_text().lower()
