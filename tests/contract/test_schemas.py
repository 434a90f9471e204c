"""The closed schemas of Kubernetes resources: what an API server refuses is a violation that names the field."""

import copy
import gzip
import json
from pathlib import Path

import pytest

from manifests.validation import violations
from manifests.validation.pruning import CORE_KINDS, CRDS, pruned_crd
from manifests.validation.schemas import SCHEMAS, known

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = next((p / "shared/crds" for p in ROOT.parents if (p / "shared/crds").is_dir()), None)

POD = {
    "containers": [{"name": "main", "image": "music-flamingo/train:0.2.0", "resources": {"limits": {"cpu": "1"}}}],
    "restartPolicy": "Never",
}
JOB = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": {"template": {"spec": POD}}}
PYTORCHJOB = {
    "apiVersion": "kubeflow.org/v1",
    "kind": "PyTorchJob",
    "metadata": {"name": "train", "labels": {"a": "b"}},
    "spec": {
        "pytorchReplicaSpecs": {
            "Master": {"replicas": 1, "template": {"metadata": {"labels": {"a": "b"}}, "spec": POD}},
        }
    },
}


def changed(resource, path, value):
    """A copy with one more or another value at the end of the path."""
    resource = copy.deepcopy(resource)
    place = resource
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return resource


MASTER = ("spec", "pytorchReplicaSpecs", "Master")
CONTAINER = (*MASTER, "template", "spec", "containers", 0)


@pytest.mark.parametrize("resource", [JOB, PYTORCHJOB], ids=lambda r: r["kind"])
def test_a_resource_that_fits_has_no_violations(resource):
    assert violations(resource) == []


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ((*MASTER, "replica"), 2, "spec.pytorchReplicaSpecs.Master.replica: unknown field; is replicas meant?"),
        ((*MASTER, "replicas"), "two", "spec.pytorchReplicaSpecs.Master.replicas: 'two' is not of type 'integer'"),
        ((*CONTAINER, "comand"), ["x"], f"{'.'.join(MASTER)}.template.spec.containers[0].comand: unknown field"),
        ((*MASTER, "template", "metadata", "label"), {}, "template.metadata.label: unknown field; is labels meant?"),
        (("metadata", "lables"), {}, "metadata.lables: unknown field; is labels meant?"),
        (("specs",), {}, "specs: unknown field; is spec meant?"),
    ],
)
def test_a_misspelt_field_or_a_wrong_type_of_a_custom_resource_is_named(path, value, line):
    found = violations(changed(PYTORCHJOB, path, value))
    assert len(found) == 1
    assert line in found[0]


def test_a_misspelt_field_of_the_core_api_is_named():
    found = violations(changed(JOB, ("spec", "backofLimit"), 1))
    assert found == ["spec.backofLimit: unknown field; is backoffLimit meant?"]


@pytest.mark.parametrize("amount", ["2 Gi", "two", None, True])
def test_an_amount_that_is_no_quantity_is_a_violation(amount):
    for resource, before in ((JOB, ("spec", "template", "spec", "containers", 0)), (PYTORCHJOB, CONTAINER)):
        assert violations(changed(resource, (*before, "resources", "limits", "cpu"), amount))


@pytest.mark.parametrize("missing", ["apiVersion", "kind", "metadata"])
def test_a_resource_without_a_name_tag_of_its_own_is_a_violation(missing):
    assert violations({k: v for k, v in PYTORCHJOB.items() if k != missing})


def test_an_unknown_kind_is_a_violation_and_not_passed_over():
    (line,) = violations({"apiVersion": "example.org/v1", "kind": "Sonata", "metadata": {}})
    assert "no schema of example.org/v1 Sonata" in line


def test_every_kind_that_is_listed_is_there():
    kinds = {f"{api_version} {kind}" for api_version, kind in known()}
    assert set(CORE_KINDS) <= kinds
    assert len(list(SCHEMAS.glob("*.json.gz"))) == len(CRDS) + 1


@pytest.mark.parametrize("name", CRDS)
def test_the_committed_schema_is_the_published_one_pruned(name):
    if PUBLISHED is None:
        pytest.skip("the published CustomResourceDefinitions (shared/crds beside the repository) are not here")
    committed = json.loads(gzip.decompress((SCHEMAS / f"{name}.json.gz").read_bytes()))
    assert committed == json.loads(json.dumps(pruned_crd((PUBLISHED / f"{name}.yaml").read_text())))
