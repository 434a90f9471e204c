"""What the launcher renders fits the schemas of its kinds, closed: a misspelt field is an error."""

import copy

import pytest
from support.emulated_cluster import settings

from manifests.validation import violations
from music_flamingo.cluster.jobs import StageJob, named
from music_flamingo.cluster.kinds import kind_of

each_kind = pytest.mark.parametrize("kind", ["pytorchjob", "trainjob"])
WORK = StageJob("grpo", "5c1f", ("-m", "music_flamingo.cli", "run", "grpo"))
MAIN = {
    "pytorchjob": lambda job: job["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"],
    "trainjob": lambda job: job["spec"]["runtimePatches"][0]["trainingRuntimeSpec"]["template"]["spec"][
        "replicatedJobs"
    ][0]["template"]["spec"]["template"]["spec"],
}


def rendered(kind: str, **changed) -> dict:
    asked = settings(kind, **changed)
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "step", "uid": "u"}
    return named(kind_of(asked).render(asked, WORK), WORK, "music", owner)


@each_kind
def test_a_job_fits_its_schema(kind):
    assert violations(rendered(kind)) == []
    assert violations(rendered(kind, nodes=1, gpus_per_node=0, node_selector={}, tolerations=[])) == []


@each_kind
def test_a_misspelt_field_of_the_pod_does_not_fit(kind):
    job = copy.deepcopy(rendered(kind))
    MAIN[kind](job)["nodeSelektor"] = {"accelerator": "h100"}
    assert any("nodeSelektor" in v for v in violations(job))


@each_kind
def test_a_misspelt_field_of_the_job_and_a_wrong_type_do_not_fit(kind):
    job = copy.deepcopy(rendered(kind))
    job["spec"]["runPolicies"] = {}
    job["spec"]["trainer" if kind == "trainjob" else "nprocPerNode"] = 8
    found = violations(job)
    assert any("runPolicies" in v for v in found)
    assert len(found) == 2


@each_kind
def test_pods_run_under_restricted_pod_security(kind):
    pod = MAIN[kind](rendered(kind))
    main = pod["containers"][0]["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert main["allowPrivilegeEscalation"] is False
    assert main["capabilities"] == {"drop": ["ALL"]}


def test_shm_gpus_and_tolerations_reach_the_pods():
    pod = MAIN["pytorchjob"](rendered("pytorchjob"))
    assert {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "64Gi"}} in pod["volumes"]
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "8"
    assert pod["tolerations"][0]["key"] == "nvidia.com/gpu"
    job = rendered("trainjob")
    assert job["spec"]["trainer"]["resourcesPerNode"]["limits"]["nvidia.com/gpu"] == "8"


@each_kind
def test_keys_of_the_checkpoint_store_come_from_a_secret(kind):
    secrets = {"RUN_STORE_ACCESS_KEY": {"secret": "store", "key": "accesskey"}}
    job = rendered(kind, environment={"CHECKPOINT_STORE": "s3://music/checkpoints"}, secrets=secrets)
    assert violations(job) == []
    main = job["spec"]["trainer"] if kind == "trainjob" else MAIN[kind](job)["containers"][0]
    given = {entry["name"]: entry for entry in main["env"]}
    assert given["CHECKPOINT_STORE"]["value"] == "s3://music/checkpoints"
    assert given["RUN_STORE_ACCESS_KEY"]["valueFrom"]["secretKeyRef"] == {"name": "store", "key": "accesskey"}
