"""Manifests are well-formed, closed against the schemas of their kinds, and hold no secret."""

from pathlib import Path

import pytest
import yaml

from manifests.validation import violations

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "manifests").rglob("*.yaml"))


@pytest.mark.parametrize("path", [p for p in FILES if p.name != "kustomization.yaml"], ids=lambda p: p.name)
def test_every_resource_fits_the_closed_schema_of_its_kind(path):
    for resource in yaml.safe_load_all(path.read_text()):
        assert violations(resource) == []


def test_every_resource_of_the_base_is_listed_and_there():
    listed = yaml.safe_load((ROOT / "manifests/base/kustomization.yaml").read_text())["resources"]
    there = [p.name for p in (ROOT / "manifests/base").glob("*.yaml") if p.name != "kustomization.yaml"]
    assert sorted(listed) == sorted(there)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_no_manifest_carries_a_secret(path):
    for resource in yaml.safe_load_all(path.read_text()):
        assert resource["kind"] != "Secret"
        assert "password" not in path.read_text().lower()
