"""`mf doctor` names what a cluster lacks, each with the line that mends it, and changes nothing."""

import copy
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import pytest
from kubernetes import client
from support.emulated_cluster import settings
from support.rights import granted

from manifests.validation.render import RenderError, command, overlays, render
from music_flamingo.cluster import rights
from music_flamingo.cluster.api import client_of
from music_flamingo.cluster.doctor import ClusterFinding, Patient
from music_flamingo.cluster.looking import Looking
from music_flamingo.cluster.watching import Patience
from music_flamingo.cluster.workload import PlannedStep, Workload, step_pod

pytestmark = pytest.mark.timeout(120)

NAMESPACE = "music-flamingo"
IN = f"/api/v1/namespaces/{NAMESPACE}"
ACCOUNT = "music-flamingo-runner"
JOB = settings(nodes=2, gpus_per_node=8, cpu="32", memory="256Gi", node_selector={"accelerator": "h100"}, claim="runs")
STEP = step_pod({"resources": {"resourceCpuRequest": "500m", "resourceMemoryLimit": "2Gi"}}, {})
WORKLOAD = Workload(
    (
        PlannedStep("facts", STEP, frozenset({"object-store"})),
        PlannedStep("sft", STEP, claims=frozenset({"runs"}), job=JOB),
    )
)
HEALTH = "/api/v1/namespaces/kubeflow/services/ml-pipeline:8888/proxy/apis/v2beta1/healthz"
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/inferenceservices.serving.kserve.io"
JOBS = f"/apis/kubeflow.org/v1/namespaces/{NAMESPACE}/pytorchjobs"


def node(name: str, **gpus: str) -> dict:
    taint = {"key": "nvidia.com/gpu", "effect": "NoSchedule"}
    allocatable = {"cpu": "128", "memory": "1Ti", **({"nvidia.com/gpu": gpus["gpus"]} if gpus else {})}
    labels = {"accelerator": "h100"} if gpus else {}
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": [taint] if gpus else []},
        "status": {"allocatable": allocatable},
    }


def served(*plurals: str) -> dict:
    return {"kind": "APIResourceList", "resources": [{"name": plural} for plural in plurals]}


def healthy() -> dict[str, dict]:
    """Path -> what a cluster that lacks nothing gives."""
    canaries = {"properties": {"spec": {"properties": {"canary": {}, "predictor": {}}}}}
    quota = {"metadata": {"name": "music-flamingo"}, "spec": {"hard": {"requests.nvidia.com/gpu": "16"}}, "status": {}}
    limits = {"spec": {"limits": [{"type": "Container", "default": {"memory": "1Gi"}}]}}
    ready = {"conditions": [{"type": "Programmed", "status": "True"}]}
    return {
        "/version": {"major": "1", "minor": "34+"},
        IN: {"metadata": {"name": NAMESPACE}},
        "/apis/argoproj.io/v1alpha1": served("workflows"),
        "/apis/serving.kserve.io/v1beta1": served("inferenceservices"),
        "/apis/gateway.networking.k8s.io/v1": served("gateways", "httproutes"),
        "/apis/kubeflow.org/v1": served("pytorchjobs"),
        HEALTH: {"tag_name": "2.17.0"},
        CRD: {"spec": {"versions": [{"name": "v1beta1", "schema": {"openAPIV3Schema": canaries}}]}},
        "/apis/gateway.networking.k8s.io/v1/gateways": {"items": [{"metadata": {"name": "g"}, "status": ready}]},
        f"{IN}/serviceaccounts/{ACCOUNT}": {},
        f"{IN}/serviceaccounts/music-flamingo-train": {},
        f"{IN}/secrets/object-store": {},
        f"{IN}/persistentvolumeclaims/runs": {"spec": {}, "status": {"phase": "Bound"}},
        f"{IN}/limitranges": {"items": [limits]},
        f"{IN}/resourcequotas": {"items": [quota]},
        "/api/v1/nodes": {"items": [node("a", gpus="8"), node("b", gpus="8"), node("c")]},
    }


class World:
    """An API server: what it answers, and whom it refuses."""

    def __init__(self) -> None:
        self.paths, self.denied, self.unseen, self.refusal = healthy(), set(), set(), ""
        self.asked: list[tuple[str, str, str]] = []
        world = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(*world.read(urlsplit(self.path).path))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.answer(*world.create(urlsplit(self.path), body))

            def answer(self, status: int, body: dict) -> None:
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.api = client_of(client.Configuration(host=f"http://127.0.0.1:{self.server.server_port}"))

    def read(self, path: str) -> tuple[int, dict]:
        self.asked.append(("get", path, ""))
        if path in self.unseen:
            return 403, {"message": "is forbidden"}
        return (200, self.paths[path]) if path in self.paths else (404, {"message": "not found"})

    def create(self, url: SplitResult, body: dict) -> tuple[int, dict]:
        self.asked.append(("post", url.path, url.query))
        if url.path.endswith("accessreviews"):
            asked = body["spec"]["resourceAttributes"]
            resource = asked["resource"] + (f"/{asked['subresource']}" if asked["subresource"] else "")
            return 201, {"status": {"allowed": (asked["group"], resource, asked["verb"]) not in self.denied}}
        return (422, {"message": self.refusal}) if self.refusal else (201, body)

    def findings(self, workload: Workload = WORKLOAD) -> list[ClusterFinding]:
        looking = Looking(self.api, Patience(insist_s=1.0, pause_s=0.05, forbidden_s=0.0))
        return list(Patient(looking, NAMESPACE, workload, ACCOUNT).findings())

    def missing(self, workload: Workload = WORKLOAD) -> list[ClusterFinding]:
        return [finding for finding in self.findings(workload) if finding.state == "missing"]


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.server.shutdown()


def test_a_cluster_that_lacks_nothing_is_found_so_and_nothing_on_it_is_changed(world):
    found = world.findings()
    assert [f.line() for f in found if f.state != "ok"] == []
    assert {f.topic for f in found} >= {"server", "kinds", "kserve", "rights", "limits", "jobs", "nodes"}
    for method, path, params in world.asked:
        assert method == "get" or path.endswith("accessreviews") or params == "dryRun=All"


LACKS = {
    IN: ("there is no namespace music-flamingo", "kubectl create namespace music-flamingo"),
    "/apis/kubeflow.org/v1": ("no pytorchjobs of kubeflow.org/v1", "training operator 1.9"),
    "/apis/argoproj.io/v1alpha1": ("no workflows", "Kubeflow Pipelines 2.17"),
    HEALTH: ("no service ml-pipeline", "install Kubeflow Pipelines"),
    "/apis/gateway.networking.k8s.io/v1/gateways": ("no Gateway", "create a Gateway"),
    f"{IN}/serviceaccounts/music-flamingo-train": ("no service account music-flamingo-train", "kubectl apply -k"),
    f"{IN}/secrets/object-store": ("no secret object-store", "kubectl create secret generic object-store"),
    f"{IN}/persistentvolumeclaims/runs": ("no volume claim runs", "kubectl apply -k"),
    "/api/v1/nodes": ("there are no nodes", "kubectl get nodes"),
}


@pytest.mark.parametrize("path", LACKS)
def test_what_is_not_there_is_named_with_the_line_that_brings_it(world, path):
    del world.paths[path]
    words, remedy = LACKS[path]
    assert any(words in f.words and remedy in f.remedy for f in world.missing()), [f.line() for f in world.findings()]


def with_change(world, path: str, change) -> list[ClusterFinding]:
    world.paths[path] = copy.deepcopy(world.paths[path])
    change(world.paths[path])
    return world.missing()


def test_versions_that_are_too_old_are_told(world):
    world.paths["/version"] = {"major": "1", "minor": "28"}
    world.paths[HEALTH] = {"tag_name": "2.5.0"}
    [version] = world.paths[CRD]["spec"]["versions"]
    del version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["canary"]
    assert [f.topic for f in world.missing()] == ["server", "pipelines", "kserve"]


def test_a_right_that_the_account_lacks_is_named(world):
    world.denied = {("kubeflow.org", "pytorchjobs", "watch")}
    [finding] = world.missing()
    assert finding.words == "music-flamingo-runner may not watch pytorchjobs.kubeflow.org"


def test_a_limit_below_what_a_step_asks_for_is_named(world):
    [found] = with_change(
        world,
        f"{IN}/limitranges",
        lambda r: r["items"][0]["spec"]["limits"][0].update(max={"memory": "1Gi"}, default={"memory": "1Gi"}),
    )[:1]
    assert found.topic == "limits"
    assert "main: limits.memory may be" in found.words


def test_a_quota_that_has_no_room_for_all_nodes_of_a_job_is_named(world):
    [finding] = with_change(
        world, f"{IN}/resourcequotas", lambda r: r["items"][0]["spec"]["hard"].update({"requests.nvidia.com/gpu": "8"})
    )
    assert "job of sft: quota requests.nvidia.com/gpu: 2 pods want 16, the namespace has 8" in finding.words


def test_a_quota_that_others_have_used_up_is_named(world):
    found = with_change(
        world, f"{IN}/resourcequotas", lambda r: r["items"][0]["status"].update(used={"requests.nvidia.com/gpu": "16"})
    )
    assert [f.words for f in found] == ["music-flamingo is used up: requests.nvidia.com/gpu"]


def test_nodes_are_looked_at_by_label_taint_and_size(world):
    path = "/api/v1/nodes"
    [few] = with_change(world, path, lambda r: r["items"].pop(0))
    assert "2 nodes are wanted with" in few.words
    assert "1 are there" in few.words
    [unlabelled] = with_change(world, path, lambda r: [n["metadata"]["labels"].clear() for n in r["items"][:2]])
    assert "no node has the label accelerator=h100" in unlabelled.words
    world.paths[path] = healthy()[path]
    other = {"key": "team", "effect": "NoExecute"}
    tainted = with_change(world, path, lambda r: [n["spec"]["taints"].append(other) for n in r["items"][:2]])
    assert all("taint team:NoExecute" in f.words for f in tainted)


def test_what_a_webhook_says_of_a_job_is_shown(world):
    world.refusal = 'admission webhook "validator.pytorchjob" denied the request: no such class'
    [finding] = world.missing()
    assert "the job of sft is refused: 422" in finding.words
    assert "no such class" in finding.words


def test_a_claim_without_a_class_that_would_bind_it_is_named(world):
    world.paths[f"{IN}/persistentvolumeclaims/runs"] = {"spec": {}, "status": {"phase": "Pending"}}
    world.paths["/apis/storage.k8s.io/v1/storageclasses"] = {"items": [{"metadata": {"name": "fast"}}]}
    [finding] = world.missing()
    assert finding.remedy == "kubectl annotate storageclass fast storageclass.kubernetes.io/is-default-class=true"


def test_a_queue_that_is_not_there_is_named(world):
    step = replace(WORKLOAD.steps[1], job=JOB.model_copy(update={"queue": "music"}))
    [finding] = world.missing(Workload((step,)))
    assert finding.words == "there is no LocalQueue music"
    world.paths[f"/apis/kueue.x-k8s.io/v1beta1/namespaces/{NAMESPACE}/localqueues/music"] = {}
    assert world.missing(Workload((step,))) == []


def test_what_the_user_may_not_see_is_no_fault_and_is_said(world):
    world.unseen = {"/api/v1/nodes", CRD}
    found = world.findings()
    assert {f.topic for f in found if f.state == "unseen"} == {"nodes", "kserve"}
    assert not any(f.state == "missing" for f in found)


def test_the_rights_that_are_reviewed_are_those_of_the_role():
    assert rights.of_steps(set(rights.GROUPS)) == granted(ACCOUNT)


def test_the_doctor_s_exit_status_says_whether_something_is_missing(world, tmp_path):
    """The command itself, on the profile of the paper with jobs of Trainer v2, against a namespace of production."""
    try:
        command()
    except RenderError as error:
        pytest.skip(str(error))
    [overlay] = [o for o in overlays() if o.name == "production"]
    for kind, path in (("LimitRange", "limitranges"), ("ResourceQuota", "resourcequotas")):
        found = [r for r in render(overlay) if r["kind"] == kind]
        world.paths[f"{IN}/{path}"] = {"items": [{k: v for k, v in r.items() if k != "kind"} for r in found]}
    config = tmp_path / "kubeconfig"
    host = world.api.configuration.host
    config.write_text(
        f"{{apiVersion: v1, kind: Config, current-context: c, clusters: [{{name: c, cluster: {{server: '{host}'}}}}], "
        "contexts: [{name: c, context: {cluster: c, user: u}}], users: [{name: u, user: {token: t}}]}"
    )
    root = Path(__file__).resolve().parents[2]
    env = {**os.environ, "KUBECONFIG": str(config), "JOB_CLAIM": "music-flamingo-runs", "JOB_KIND": "trainjob"}
    arguments = ["doctor", "--profile", "paper", "--namespace", NAMESPACE]
    done = subprocess.run(
        [sys.executable, "-m", "music_flamingo.cli", *arguments], cwd=root, env=env, capture_output=True, text=True
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "16 pods want 128, the namespace has 16" in done.stdout
    assert "the server knows no trainjobs of trainer.kubeflow.org/v1alpha1" in done.stdout
    assert "kubectl apply -k manifests/components/trainer" in done.stdout
