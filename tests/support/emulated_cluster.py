"""A Kubernetes API that is emulated (kmock) for the real client, with a training operator that does as it is told.

Use it with `pytest_plugins = ("support.emulated_cluster",)` and the fixture `cluster`. What kmock leaves out and the
launcher needs is added here: label selectors, watches as the Python client asks for them and their time limit, logs
of pods.
"""

import asyncio
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

import kmock
import pytest
from kubernetes import client

from music_flamingo.cluster.api import client_of
from music_flamingo.cluster.jobs import JobSettings
from support import rights
from support.shaky_api import Phase, ShakyApi

NAMESPACE = "music"
KINDS = {"pytorchjobs": ("kubeflow.org", "v1"), "trainjobs": ("trainer.kubeflow.org", "v1alpha1")}
TICK_S = 0.01
OPERATOR = "operator"
"""User agent of the emulated operators, whose requests are not those of what is tested."""

Fate = Callable[["EmulatedCluster", "Running"], None]
"""What becomes of one start of a job."""


@dataclass
class PodLog:
    """Lines as the kubelet keeps them: (when they came, bytes with time stamp)."""

    lines: list[tuple[float, bytes]] = field(default_factory=list)
    ended: bool = False


@dataclass
class Running:
    """One start of a job."""

    plural: str
    name: str
    pods: list[str] = field(default_factory=list)


class EmulatedCluster:
    def __init__(self) -> None:
        self.fates: list[Fate] = []
        """Of the starts to come, in order; more starts than these hang."""
        self.logs: dict[str, PodLog] = {}
        self.cuts: list[int] = []
        """The next log streams are cut off after so many bytes."""
        self.expire_watches = 0
        """So many watches are answered with 410."""
        self.starts: list[str] = []
        self.watches = 0
        self.log_requests: list[dict[str, str]] = []
        self._uid = 0
        self._shaky: list[ShakyApi] = []
        self._halt = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._loop_thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._operator = threading.Thread(target=self._operate, daemon=True)

    def start(self) -> None:
        self._loop_thread.start()
        self.url = self._on_loop(self._serve())
        self.api, own = (client.ApiClient(client.Configuration(host=self.url)) for _ in range(2))
        own.user_agent = OPERATOR
        self.custom, self.core = client.CustomObjectsApi(own), client.CoreV1Api(own)
        self._operator.start()

    def behind(self, phases: list[Phase], seed: int = 0) -> ShakyApi:
        """From now on `api` reaches this cluster through a server that follows a schedule."""
        shaky = ShakyApi(self.url, phases, seed)
        self.api = shaky.api = client_of(client.Configuration(host=self._on_loop(shaky.start())))
        self._shaky.append(shaky)
        return shaky

    def stop(self) -> None:
        self._halt.set()
        self._operator.join(5)
        for shaky in self._shaky:
            self._on_loop(shaky.stop())
        self._on_loop(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._loop_thread.join(5)

    def objects(self) -> list[tuple[Any, Any]]:
        """What there is, by (resource, namespace, name): read from any thread while the server changes it."""
        while True:
            try:
                return list(self.kmock.objects.items())
            except RuntimeError:
                time.sleep(0)

    def rights_used(self) -> set[rights.Right]:
        """By what is tested."""
        agents = [(r, {k.lower(): v for k, v in r.headers.items()}.get("user-agent")) for r in list(self.kmock)]
        return rights.used(r for r, agent in agents if agent != OPERATOR)

    def _on_loop(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _serve(self) -> str:
        self.kmock = kmock.KubernetesEmulator()
        await self.kmock.__aenter__()
        self._server = kmock.Server(self.kmock)
        await self._server.__aenter__()
        self.kmock.resources["v1/pods"] = {"kind": "Pod"}
        for plural, (group, version) in KINDS.items():
            self.kmock.resources[f"{group}/{version}/{plural}"] = {"kind": plural}
        self.kmock.resources["serving.kserve.io/v1beta1/inferenceservices"] = {"kind": "InferenceService"}
        self.kmock["list", kmock.resource("v1/pods")] << self._list_pods
        self.kmock["list", kmock.params({"watch": "True"})] << self._watch
        self.kmock["get", re.compile(r"/api/v1/namespaces/[^/]+/pods/[^/]+/log")] << self._log
        return str(self._server.url).rstrip("/")

    async def _close(self) -> None:
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()
        await self._server.__aexit__(None, None, None)
        await self.kmock.__aexit__(None, None, None)

    def _list_pods(self, request: Any) -> dict[str, Any]:
        wanted = dict(part.split("=") for part in request.params.get("labelSelector", "").split(",") if part)
        pods = [o.raw for (r, _, _), o in self.objects() if r.plural == "pods" and not o.deleted]
        found = [p for p in pods if wanted.items() <= p["metadata"].get("labels", {}).items()]
        return {"metadata": {"resourceVersion": "1"}, "items": found}

    async def _watch(self, request: Any) -> AsyncIterator[Any]:
        self.watches += 1
        if self.expire_watches:
            self.expire_watches -= 1
            gone = {"code": 410, "reason": "Expired", "message": "too old resource version", "kind": "Status"}
            yield {"type": "ERROR", "object": gone}
            return
        events = self.kmock._serve_watch(request)
        end = time.monotonic() + float(request.params.get("timeoutSeconds", 3600))
        try:
            while (left := end - time.monotonic()) > 0:
                yield await asyncio.wait_for(anext(events), left)
        except TimeoutError:
            return

    def _log(self, request: Any) -> Any:
        self.log_requests.append(dict(request.params))
        pod = request.url.path.split("/")[-2]
        if not self._has_pod(pod):
            return kmock.Response(payload={"kind": "Status", "code": 404, "message": f"no pod {pod}"}, status=404)
        return self._lines(request, self.logs[pod])

    def _has_pod(self, name: str) -> bool:
        found = self.objects()
        return any(r.plural == "pods" and n == name and not o.deleted for (r, _, n), o in found)

    async def _lines(self, request: Any, log: PodLog) -> AsyncIterator[bytes]:
        since_s = float(request.params.get("sinceSeconds", 1e9))
        start, budget = time.monotonic() - since_s, self.cuts.pop(0) if self.cuts else None
        yield b""
        index = 0
        while True:
            ended = log.ended or "follow" not in request.params
            for came, line in log.lines[index:]:
                index += 1
                if came < start:
                    continue
                if budget is not None and len(line) >= budget:
                    yield line[:budget]
                    request._raw_request.transport.abort()
                    return
                budget = budget - len(line) if budget is not None else None
                yield line
            if ended:
                return
            await asyncio.sleep(TICK_S)

    def _operate(self) -> None:
        """Sees new starts of jobs and gives each its fate, in threads of their own."""
        handled: set[tuple[str, str, str]] = set()
        while not self._halt.wait(TICK_S):
            for (resource, _, name), job in self.objects():
                if resource.plural not in KINDS:
                    continue
                if job.deleted:
                    self._collect(name)
                    continue
                restarts = job.raw["metadata"].get("annotations", {}).get("music-flamingo/restarts", "")
                if (resource.plural, name, restarts) not in handled:
                    handled.add((resource.plural, name, restarts))
                    self.starts.append(name)
                    fate = self.fates.pop(0) if self.fates else hang
                    running = Running(resource.plural, name)
                    threading.Thread(target=fate, args=(self, running), daemon=True).start()

    def _collect(self, name: str) -> None:
        """Pods go with their job."""
        for (resource, _, pod), found in self.objects():
            if resource.plural == "pods" and pod.startswith(f"{name}-") and not found.deleted:
                self.core.delete_namespaced_pod(pod, NAMESPACE)
                self.logs[pod].ended = True

    # what fates are told with

    def add_pod(self, running: Running, index: int) -> str:
        """A running pod of a job, in place of one of the same name."""
        name = f"{running.name}-{index}"
        if self._has_pod(name):
            self.core.delete_namespaced_pod(name, NAMESPACE)
        self._uid += 1
        labels = {
            "training.kubeflow.org/job-name": running.name,
            "training.kubeflow.org/replica-type": "master" if index == 0 else "worker",
            "jobset.sigs.k8s.io/jobset-name": running.name,
            "jobset.sigs.k8s.io/replicatedjob-name": "node",
            "batch.kubernetes.io/job-completion-index": str(index),
        }
        self.logs[name] = PodLog()
        metadata = {"name": name, "namespace": NAMESPACE, "uid": f"uid-{self._uid}", "labels": labels}
        body = {"metadata": metadata, "spec": {"containers": []}, "status": {"phase": "Running"}}
        self.core.create_namespaced_pod(NAMESPACE, body)
        running.pods.append(name)
        return name

    def write(self, pod: str, *lines: str) -> None:
        for line in lines:
            self._uid += 1
            stamp = f"2026-11-25T00:00:00.{self._uid:09d}Z"
            self.logs[pod].lines.append((time.monotonic(), f"{stamp} {line}\n".encode()))

    def end_pod(self, pod: str, phase: str, **status: Any) -> None:
        self.core.patch_namespaced_pod(pod, NAMESPACE, {"status": {"phase": phase, **status}})
        self.logs[pod].ended = True

    def tell(self, running: Running, **status: Any) -> None:
        """Change the job's status, as the operator would."""
        group, version = KINDS[running.plural]
        path = (group, version, NAMESPACE, running.plural)
        self.custom.patch_namespaced_custom_object(*path, running.name, {"status": status})

    def tell_condition(self, running: Running, kind: str, message: str = "") -> None:
        if running.plural == "trainjobs":
            kind = {"Succeeded": "Complete"}.get(kind, kind)
            if kind == "Running":
                self.tell(running, jobsStatus=[{"name": "node", "active": 1, "ready": 1}])
                return
        condition = {"type": kind, "status": "True", "message": message}
        self.tell(running, conditions=[condition])

    def job(self, name: str, plural: str = "pytorchjobs") -> dict[str, Any] | None:
        group, version = KINDS[plural]
        try:
            return self.custom.get_namespaced_custom_object(group, version, NAMESPACE, plural, name)
        except client.exceptions.ApiException as error:
            assert error.status == 404
            return None


def _started(cluster: EmulatedCluster, running: Running, *lines: str) -> list[str]:
    pods = [cluster.add_pod(running, index) for index in range(2)]
    cluster.tell_condition(running, "Running")
    cluster.write(pods[0], *lines)
    return pods


def succeed(*lines: str, lasting_s: float = 0.1) -> Fate:
    def fate(cluster: EmulatedCluster, running: Running) -> None:
        pods = _started(cluster, running, *lines)
        time.sleep(lasting_s)
        for pod in pods:
            cluster.end_pod(pod, "Succeeded")
        cluster.tell_condition(running, "Succeeded")

    return fate


def fail(exit_code: int, message: str = "", reason: str = "Error", *lines: str) -> Fate:
    def fate(cluster: EmulatedCluster, running: Running) -> None:
        pods = _started(cluster, running, *lines)
        end = {"exitCode": exit_code, "reason": reason, "message": message}
        cluster.end_pod(pods[0], "Failed", containerStatuses=[container_status(terminated=end)])
        cluster.end_pod(pods[1], "Failed", containerStatuses=[container_status(terminated={"exitCode": 1})])
        cluster.tell_condition(running, "Failed", "PyTorchJob failed because 1 replica failed")

    return fate


def container_status(**state: Any) -> dict[str, Any]:
    always = {"name": "pytorch", "image": "train", "imageID": "", "ready": False, "restartCount": 0}
    return {**always, "state": state}


def evict(*lines: str) -> Fate:
    """A worker is taken away; the first pod then fails for want of its peer."""

    def fate(cluster: EmulatedCluster, running: Running) -> None:
        pods = _started(cluster, running, *lines)
        condition = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
        cluster.end_pod(pods[1], "Failed", conditions=[condition])
        end = {"exitCode": 1, "reason": "Error", "message": "NCCL error: remote process exited"}
        cluster.end_pod(pods[0], "Failed", containerStatuses=[container_status(terminated=end)])
        cluster.tell_condition(running, "Failed", "PyTorchJob failed because 2 replicas failed")

    return fate


def hang(cluster: EmulatedCluster, running: Running) -> None:
    _started(cluster, running)


def settings(kind: str = "pytorchjob", **changed: Any) -> JobSettings:
    """Two nodes of eight GPUs."""
    values = {
        "kind": kind,
        "image": "music-flamingo/train:1",
        "claim": "runs",
        "nodes": 2,
        "processes_per_node": 8,
        "cpu": "32",
        "memory": "512Gi",
        "gpus_per_node": 8,
        "shm": "64Gi",
        "service_account": "music-flamingo-train",
        "node_selector": {"accelerator": "h100"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "priority_class": None,
        "runtime": "music-flamingo-torch",
        "environment": {"NCCL_DEBUG": "WARN"},
        "secrets": {},
        "timeout_s": 30,
    }
    return JobSettings.model_validate(values | changed)


@pytest.fixture
def cluster() -> Iterator[EmulatedCluster]:
    emulated = EmulatedCluster()
    emulated.start()
    yield emulated
    emulated.stop()
