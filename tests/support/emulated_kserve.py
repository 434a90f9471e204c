"""KServe, emulated: brings canaries up, counts what their pods would, and says so as its controller does."""

import threading
from pathlib import Path

import yaml

from support.emulated_cluster import NAMESPACE

ROOT = Path(__file__).resolve().parents[2]
PATH = ("serving.kserve.io", "v1beta1", NAMESPACE, "inferenceservices")


def the_service() -> dict:
    """As the manifests have it."""
    texts = (path.read_text() for path in sorted((ROOT / "manifests/base").glob("*.yaml")))
    resources = (r for text in texts for r in yaml.safe_load_all(text))
    service = next(r for r in resources if r["kind"] == "InferenceService")
    service["metadata"]["namespace"] = NAMESPACE
    return service


def served(service: dict) -> str | None:
    predictor = service["spec"]["predictor"]
    main = predictor["model"] if "model" in predictor else predictor["containers"][0]
    env = {e["name"]: e["value"] for e in main.get("env", []) if "value" in e}
    return env.get("RELEASE_SHA256")


class KServe:
    """Brings canaries up, and counts what their pods would."""

    def __init__(self, cluster, serves: bool = True) -> None:
        self.cluster, self.halt, self.history = cluster, threading.Event(), []
        self.comes_up, self.error_share, self.seconds, self.traffic = True, 0.0, 0.3, 40
        self.answered = self.failed = 0
        self.metrics_of = lambda: self.metrics().encode()
        ready = {"conditions": [{"type": "Ready", "status": "True"}]} if serves else {}
        cluster.custom.create_namespaced_custom_object(*PATH, the_service() | {"status": ready})
        self.thread = threading.Thread(target=self._reconcile, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.halt.set()
        self.thread.join(5)

    def _reconcile(self) -> None:
        shown = None
        while not self.halt.wait(0.02):
            service = self.service()
            if self.comes_up and served(service) and not service["status"].get("conditions"):
                self._say(conditions=[{"type": "Ready", "status": "True"}])
            entries = service["spec"].get("canary") or []
            share = entries[0]["trafficPercent"] if entries else None
            if entries and share != (self.history[-1] if self.history else None):
                self.history.append(share)
            if entries and self.comes_up:
                name = entries[0]["predictor"]["name"]
                status = [{"name": name, "ready": True, "trafficPercent": share}]
                if status != shown:
                    shown = status
                    self._say(canaryStatuses=status)
                    self._pod(name)
                self.answered += self.traffic
                self.failed += round(self.traffic * self.error_share)

    def _say(self, **status) -> None:
        self.cluster.custom.patch_namespaced_custom_object(*PATH, "music-flamingo", {"status": status})

    def _pod(self, canary_name: str) -> None:
        service = f"music-flamingo-{canary_name}-predictor"
        pod = f"{service}-0"
        if pod in self.cluster.logs:
            return
        self.cluster.logs[pod] = None
        metadata = {"name": pod, "namespace": NAMESPACE, "uid": pod, "labels": {"app": f"isvc.{service}"}}
        body = {"metadata": metadata, "spec": {"containers": []}, "status": {"phase": "Running"}}
        self.cluster.core.create_namespaced_pod(NAMESPACE, body)
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}:8080/proxy/metrics"
        self.cluster.kmock["get", path] << (lambda: self.metrics_of())

    def metrics(self) -> str:
        name, fast = "music_flamingo_request_seconds", self.answered if self.seconds <= 0.5 else 0
        return (
            f"# TYPE {name} histogram\n"
            f'{name}_bucket{{le="0.5"}} {fast}\n{name}_bucket{{le="10.0"}} {self.answered}\n'
            f'{name}_bucket{{le="+Inf"}} {self.answered}\n{name}_count {self.answered}\n{name}_sum 1\n'
            f"# TYPE music_flamingo_errors counter\n"
            f'music_flamingo_errors_total{{reason="internal_error"}} {self.failed}\n'
            f'music_flamingo_errors_total{{reason="invalid_request"}} 900\n'
        )

    def service(self) -> dict:
        return self.cluster.custom.get_namespaced_custom_object(*PATH, "music-flamingo")
