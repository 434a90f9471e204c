"""Schemas of custom resources, closed: a field that they do not name is a violation, as a strict API server has it."""

from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]


def crds() -> Path:
    """The folder of CRD schemas beside the repository. Skips the test where there is none."""
    for parent in ROOT.parents:
        if (parent / "shared/crds").is_dir():
            return parent / "shared/crds"
    pytest.skip("the schemas of custom resources (shared/crds beside the repository) are not here")


def violations(resource: dict[str, Any]) -> list[str]:
    """What does not fit the closed schema of the resource's kind, one line each."""
    validator = jsonschema.Draft202012Validator(_schema(resource["kind"], resource["apiVersion"]))
    return [f"{e.json_path}: {e.message[:300]}" for e in validator.iter_errors(resource)]


@cache
def _schema(kind: str, api_version: str) -> dict[str, Any]:
    group, _, version = api_version.rpartition("/")
    for path in sorted(crds().glob(f"{group}_*.yaml")):
        spec = yaml.safe_load(path.read_text())["spec"]
        if spec["names"]["kind"] == kind:
            found = next(v for v in spec["versions"] if v["name"] == version)["schema"]["openAPIV3Schema"]
            found["properties"]["metadata"] = {"type": "object"}
            return _closed(found)
    raise AssertionError(f"no schema of {api_version} {kind} in {crds()}")


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {k: _closed(v) for k, v in schema.items()}
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        closed.setdefault("additionalProperties", False)
    return closed
