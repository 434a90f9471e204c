"""Every overlay renders without a violation, and what would be wrong with it is found and named."""

import copy
import json
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import yaml
from kubernetes.utils.quantity import parse_quantity

from manifests.validation.check import findings
from manifests.validation.pods import pods_of
from manifests.validation.render import RenderError, command, overlays, render
from music_flamingo import __version__
from pipelines.placement import PLACEMENTS, placement

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(p for p in (ROOT / "manifests").rglob("*.yaml"))
KUSTOMIZATIONS = [p for p in FILES if p.name == "kustomization.yaml"]
LIVE = [p for p in FILES if p.name != "kustomization.yaml"]


@pytest.fixture(scope="module")
def rendered():
    """Overlay -> its resources."""
    try:
        command()
    except RenderError as error:
        pytest.skip(str(error))
    return {overlay.name: render(overlay) for overlay in overlays()}


@pytest.fixture
def production(rendered):
    return copy.deepcopy(rendered["production"])


def one(resources, kind, name):
    return next(r for r in resources if (r["kind"], r["metadata"]["name"]) == (kind, name))


def main_container(resource):
    return resource["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize("overlay", [o.name for o in overlays()])
def test_an_overlay_has_no_violations(rendered, overlay):
    assert findings(rendered[overlay]) == []
    assert len(rendered[overlay]) > 30


def test_volumes_that_steps_may_not_write_are_named_with_a_remedy(rendered, tmp_path):
    job = one(rendered["production"], "Job", "claims-setup")
    script = main_container(job)["command"][-1].replace("/claims/", f"{tmp_path}/")
    volumes = job["spec"]["template"]["spec"]["volumes"]
    for volume in volumes:
        (tmp_path / volume["persistentVolumeClaim"]["claimName"]).mkdir()
    assert subprocess.run(["sh", "-c", script], check=False).returncode == 0
    # what even root cannot write
    (tmp_path / "teacher-cache").rmdir()
    done = subprocess.run(["sh", "-c", script], check=False, capture_output=True, text=True)
    assert (done.returncode, "may not write teacher-cache: chgrp 1000" in done.stdout) == (1, True)
    assert [list(path.iterdir()) for path in tmp_path.iterdir()] == [[]]


def test_the_bucket_forgets_runs_and_checkpoints_and_nothing_else(rendered):
    """MinIO takes no rule without an expiration: the whole setup would stop there (minio/minio#15681)."""
    setup = one(rendered["kind"], "ConfigMap", "minio-setup")["data"]
    rules = json.loads(setup["lifecycle.json"])["Rules"]
    assert {rule["Filter"]["Prefix"]: rule["Expiration"] for rule in rules} == {
        "runs/": {"Days": 90},
        "checkpoints/": {"Days": 14},
    }
    assert all(set(rule) == {"ID", "Status", "Filter", "Expiration"} for rule in rules)


@pytest.mark.parametrize("attached_before", [False, True])
def test_the_bucket_its_lifecycle_and_its_user_are_made_and_may_be_made_again(rendered, tmp_path, attached_before):
    """The setup's own script with a stand-in for mc, which refuses to attach what is attached."""
    setup = one(rendered["kind"], "ConfigMap", "minio-setup")["data"]
    for name, text in setup.items():
        (tmp_path / name).write_text(text.replace("/setup/", f"{tmp_path}/"))
    refusing = "exit 1" if attached_before else "true"
    (tmp_path / "mc").write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/said\n'
        f'case "$*" in *attach*) {refusing};; *"user info"*) echo PolicyName: music-flamingo;; esac\n'
    )
    (tmp_path / "mc").chmod(0o755)
    keys = {"ROOT_USER": "root", "ROOT_SECRET": "r", "ACCESS_KEY": "flamingo", "SECRET_KEY": "s"}
    # nothing but mc and the shell: mc's image has no grep
    subprocess.run(["/bin/sh", str(tmp_path / "setup.sh")], env={"PATH": str(tmp_path), **keys}, check=True)
    said = (tmp_path / "said").read_text().splitlines()
    assert said[:2] == ["alias set store http://minio:9000 root r", "mb --ignore-existing store/music-flamingo"]
    assert "ilm rule import store/music-flamingo" in said
    assert "admin user add store flamingo s" in said
    assert said[-1] == "ls store/music-flamingo"


BREAKS = {
    "a misspelt field": (
        lambda rs: one(rs, "InferenceService", "music-flamingo")["spec"]["predictor"].update(minReplica=1),
        "manifests/base/serving.yaml: InferenceService music-flamingo: spec.predictor.minReplica: unknown field",
    ),
    "a misspelt field of the core API": (
        lambda rs: main_container(one(rs, "Deployment", "tensorboard")).update(readynessProbe={}),
        "base/tensorboard.yaml: Deployment tensorboard: spec.template.spec.containers[0].readynessProbe: unknown",
    ),
    "a wrong type": (
        lambda rs: one(rs, "StatefulSet", "minio")["spec"].update(replicas="one"),
        "manifests/components/minio/minio.yaml: StatefulSet minio: spec.replicas: 'one' is not of type",
    ),
    "a privileged container": (
        lambda rs: main_container(one(rs, "Deployment", "mlflow"))["securityContext"].update(privileged=True),
        "mlflow.yaml: Deployment mlflow: spec.template.spec.containers[0].securityContext.privileged: may not be true",
    ),
    "a capability": (
        lambda rs: main_container(one(rs, "Job", "minio-setup"))["securityContext"]["capabilities"].pop("drop"),
        "Job minio-setup: spec.template.spec.containers[0].securityContext.capabilities.drop: has to hold ALL",
    ),
    "a root user behind a runtime": (
        lambda rs: one(rs, "ServingRuntime", "vllm-openai")["spec"]["containers"][0]["securityContext"].update(
            runAsUser=0
        ),
        "text.yaml: InferenceService vllm-text: spec.predictor.containers[0].securityContext.runAsUser: may not",
    ),
    "a folder of the node": (
        lambda rs: one(rs, "Deployment", "mlflow")["spec"]["template"]["spec"]["volumes"].append(
            {"name": "node", "hostPath": {"path": "/"}}
        ),
        "Deployment mlflow: spec.template.spec.volumes[2].hostPath: volumes of this kind are not allowed",
    ),
    "a missing limit": (
        lambda rs: main_container(one(rs, "Deployment", "transcription"))["resources"]["limits"].pop("memory"),
        "Deployment transcription: spec.template.spec.containers[0].resources.limits.memory: is missing",
    ),
    "a missing probe": (
        lambda rs: one(rs, "ServingRuntime", "music-flamingo-vllm")["spec"]["containers"][0].pop("livenessProbe"),
        "gpu-serving/runtime.yaml: ServingRuntime music-flamingo-vllm: spec.containers[0].livenessProbe: is missing",
    ),
    "an image that moves": (
        lambda rs: main_container(one(rs, "Deployment", "mlflow")).update(image="ghcr.io/mlflow/mlflow:latest"),
        "Deployment mlflow: spec.template.spec.containers[0].image: ghcr.io/mlflow/mlflow:latest is not pinned",
    ),
    "an image without a tag": (
        lambda rs: main_container(one(rs, "Deployment", "mlflow")).update(image="registry:5000/mlflow"),
        "image: registry:5000/mlflow is not pinned",
    ),
    "a secret with a value": (
        lambda rs: rs.append(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "object-store", "namespace": "music-flamingo"},
                "stringData": {"AWS_SECRET_ACCESS_KEY": "x"},
            }
        ),
        "Secret object-store: stringData.AWS_SECRET_ACCESS_KEY: a secret's value may not stand in a manifest",
    ),
    "a secret in a variable": (
        lambda rs: main_container(one(rs, "StatefulSet", "minio")).update(
            env=[{"name": "MINIO_ROOT_PASSWORD", "value": "minio123"}]
        ),
        "StatefulSet minio: spec.template.spec.containers[0].env[0].value: MINIO_ROOT_PASSWORD has to come",
    ),
    "a token that nobody needs": (
        lambda rs: one(rs, "Deployment", "mlflow")["spec"]["template"]["spec"].pop("automountServiceAccountToken"),
        "Deployment mlflow: spec.template.spec.automountServiceAccountToken: has to be false",
    ),
    "a service that finds no pods": (
        lambda rs: one(rs, "Service", "teacher-text")["spec"].update(selector={"app": "teacher"}),
        "manifests/components/teachers/text.yaml: Service teacher-text: spec.selector: finds no pods",
    ),
    "a service at a port that nobody has": (
        lambda rs: one(rs, "Service", "teacher-audio")["spec"]["ports"][0].update(targetPort=8080),
        "Service teacher-audio: spec.ports[0].targetPort: no container of its pods has the port 8080",
    ),
    "a network policy that finds no pods": (
        lambda rs: one(rs, "NetworkPolicy", "teachers")["spec"].update(podSelector={"matchLabels": {"app": "x"}}),
        "NetworkPolicy teachers: spec.podSelector: finds no pods",
    ),
    "a peer that is not there": (
        lambda rs: one(rs, "NetworkPolicy", "minio")["spec"]["ingress"][0]["from"].append(
            {"podSelector": {"matchLabels": {"app": "x"}}}
        ),
        "NetworkPolicy minio: spec.ingress[0].from[6].podSelector: finds no pods",
    ),
    "no default-deny": (
        lambda rs: rs.remove(one(rs, "NetworkPolicy", "default-deny")),
        "Namespace music-flamingo: metadata.name: no NetworkPolicy denies all traffic",
    ),
    "a namespace that enforces less": (
        lambda rs: one(rs, "Namespace", "music-flamingo")["metadata"]["labels"].update(
            {"pod-security.kubernetes.io/enforce": "baseline"}
        ),
        "Namespace music-flamingo: metadata.labels: pod-security.kubernetes.io/enforce has to be restricted",
    ),
    "an account that is not there": (
        lambda rs: rs.remove(one(rs, "ServiceAccount", "music-flamingo-serve")),
        "InferenceService vllm-audio: spec.predictor.serviceAccountName: there is no ServiceAccount music-",
    ),
    "a claim that is not there": (
        lambda rs: rs.remove(one(rs, "PersistentVolumeClaim", "mlflow")),
        "Deployment mlflow: spec.template.spec.volumes[0]: there is no PersistentVolumeClaim mlflow",
    ),
    "a runtime that is not there": (
        lambda rs: rs.remove(one(rs, "ServingRuntime", "vllm-openai")),
        "InferenceService vllm-judge: spec.predictor.model.runtime: there is no ServingRuntime vllm-openai",
    ),
    "weights fetched by KServe's own container, which restricted refuses": (
        lambda rs: one(rs, "InferenceService", "vllm-text")["spec"]["predictor"].pop("storageContainerName"),
        "InferenceService vllm-text: spec.predictor.storageContainerName: there is no ClusterStorageContainer (none)",
    ),
    "a container that fetches with every right": (
        lambda rs: one(rs, "ClusterStorageContainer", "music-flamingo")["spec"]["container"].pop("securityContext"),
        "ClusterStorageContainer music-flamingo: spec.initContainers[0].securityContext.allowPrivilegeEscalation",
    ),
    "a misspelt field of what fetches": (
        lambda rs: one(rs, "ClusterStorageContainer", "music-flamingo")["spec"]["container"].update(securityContex={}),
        "ClusterStorageContainer music-flamingo: spec.container.securityContex: unknown field",
    ),
    "a budget for no pods": (
        lambda rs: one(rs, "PodDisruptionBudget", "music-flamingo")["spec"]["selector"].update(matchLabels={"a": "b"}),
        "PodDisruptionBudget music-flamingo: spec.selector: finds no pods",
    ),
}


@pytest.mark.parametrize("what", BREAKS)
def test_what_is_wrong_is_named_with_its_file_its_resource_and_its_field(production, what):
    change, line = BREAKS[what]
    change(production)
    assert any(line in found for found in findings(production)), findings(production)


def test_a_misspelt_field_in_a_file_of_the_base_reaches_the_report(tmp_path, rendered):
    """Through kustomize, as a person would meet it."""
    folder = ROOT / f".cache/kustomize/{tmp_path.name}"
    folder.mkdir(parents=True)
    try:
        (folder / "kustomization.yaml").write_text("resources: [wrong.yaml]")
        (folder / "wrong.yaml").write_text("{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {port: []}}")
        (line,) = findings(render(folder))
    finally:
        for path in [*folder.iterdir(), folder]:
            path.unlink() if path.is_file() else path.rmdir()
    assert line.endswith("wrong.yaml: Service a: spec.port: unknown field; is ports meant?")


@pytest.mark.parametrize("path", KUSTOMIZATIONS, ids=lambda p: p.parent.name)
def test_every_file_beside_a_kustomization_is_listed_in_it(path):
    kustomization = yaml.safe_load(path.read_text())
    listed = {*kustomization.get("resources", ()), *(p.get("path") for p in kustomization.get("patches", ()))}
    there = {p.name for p in path.parent.glob("*.yaml")} - {"kustomization.yaml"}
    assert there <= listed


def standing(resources):
    """(container, how many) of all that runs before anything is asked of it: the fewest predictors that may be."""
    runtimes = {r["metadata"]["name"]: r for r in resources if r["kind"] == "ServingRuntime"}
    for resource in resources:
        if resource["kind"] == "InferenceService":
            predictor = resource["spec"]["predictor"]
            for container in runtimes[predictor["model"]["runtime"]]["spec"]["containers"]:
                yield container, predictor["minReplicas"]
        elif resource["kind"] in ("Deployment", "StatefulSet", "Job"):
            for pods in pods_of(resource):
                for container in pods.spec["containers"]:
                    yield container, resource["spec"].get("replicas", 1)


@pytest.mark.parametrize("overlay", [o.name for o in overlays()])
def test_what_an_overlay_starts_fits_its_quota_and_leaves_room_for_the_steps_of_a_pipeline(rendered, overlay):
    resources = rendered[overlay]
    quota = one(resources, "ResourceQuota", "music-flamingo")["spec"]["hard"]
    asked = Counter()
    for container, count in standing(resources):
        for field in ("requests", "limits"):
            for name, amount in container["resources"][field].items():
                asked[f"{field}.{name}"] += count * parse_quantity(amount)
    claims = [r for r in resources if r["kind"] == "PersistentVolumeClaim"]
    claims += [t for r in resources if r["kind"] == "StatefulSet" for t in r["spec"]["volumeClaimTemplates"]]
    asked["requests.storage"] = sum(parse_quantity(c["spec"]["resources"]["requests"]["storage"]) for c in claims)
    asked["persistentvolumeclaims"] = len(claims)
    steps = [placement(step, "default") for step in PLACEMENTS]
    asked["requests.cpu"] += max(parse_quantity(step.cpu) for step in steps)
    asked["requests.memory"] += max(parse_quantity(step.memory) for step in steps)
    asked["limits.memory"] += max(parse_quantity(step.memory) for step in steps)
    for name, most in quota.items():
        assert asked[name] <= parse_quantity(most), name


def test_one_machine_asks_for_no_gpu_and_production_has_them_with_priorities(rendered):
    assert not any("nvidia.com/gpu" in c["resources"]["requests"] for c, _ in standing(rendered["kind"]))
    production = rendered["production"]
    predictors = [r for r in production if r["kind"] == "InferenceService"]
    assert all(r["spec"]["predictor"]["priorityClassName"] for r in predictors)
    gpus = [c["resources"]["requests"].get("nvidia.com/gpu") for c, _ in standing(production)]
    assert gpus.count("1") == len(predictors) + 1, "each predictor, and transcription"


def test_every_component_is_rendered_by_an_overlay(rendered):
    used = {
        p for o in overlays() for p in re.findall(r"components/([a-z0-9-]+)", (o / "kustomization.yaml").read_text())
    }
    assert used == {p.parent.name for p in KUSTOMIZATIONS if p.parent.parent.name == "components"}


def test_own_images_have_the_version_of_the_project(rendered):
    for resources in rendered.values():
        text = yaml.safe_dump(resources)
        assert set(re.findall(r"image: music-flamingo/[a-z-]+:(\S+)", text)) == {__version__}


def test_every_secret_that_is_referred_to_has_its_line_in_the_documentation(rendered):
    text = (ROOT / "docs/kubernetes.md").read_text()
    for resources in rendered.values():
        rendered_text = yaml.safe_dump(resources)
        names = set(re.findall(r"secretKeyRef:\n\s+key: \S+\n\s+name: (\S+)", rendered_text))
        names |= {s["name"] for r in resources if r["kind"] == "ServiceAccount" for s in r.get("secrets", ())}
        assert names
        for name in names:
            assert f"kubectl create secret generic {name} " in text, name


def test_teachers_have_the_addresses_and_the_models_of_their_profile(rendered):
    profile = (ROOT / "pipelines/profiles/vllm-teachers.yaml").read_text()
    addresses = set(re.findall(r"http://([a-z-]+)\.([a-z-]+)\.svc\.cluster\.local:(\d+)/v1", profile))
    resources = rendered["production"]
    for name, namespace, port in addresses:
        service = one(resources, "Service", name)
        assert service["metadata"]["namespace"] == namespace
        assert service["spec"]["ports"][0]["port"] == int(port)
    served = {r["spec"]["predictor"]["model"]["args"][1] for r in resources if r["metadata"]["name"].startswith("vllm-")
              and r["kind"] == "InferenceService"}  # fmt: skip
    assert served == set(re.findall(r"^\s+model: (\S+)$", profile, re.MULTILINE))


def test_an_installation_on_another_store_holds_nothing_of_minio(rendered):
    text = yaml.safe_dump(rendered["external-s3"])
    assert "minio:" not in text
    assert not [r for r in rendered["external-s3"] if "minio" in r["metadata"]["name"]]
