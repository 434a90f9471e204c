"""Why a job's pods ended: taken away by the cluster, failed for good, or failed in a way worth another try.

A pod that the cluster takes away (pre-emption, eviction, a lost node) makes its peers fail too, so it decides first.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

TAKEN_AWAY = frozenset(
    {"Evicted", "Preempting", "Preempted", "NodeLost", "NodeShutdown", "Terminated", "Shutdown", "NodeAffinity"}
)
"""`status.reason` of pods that the kubelet or the scheduler ended."""
DISRUPTED = "DisruptionTarget"
"""The condition of pods ended by pre-emption, eviction API, taints or node shutdown (Kubernetes 1.26 and later)."""
MF_SAYS = "mf: "
"""How `mf` begins its last words when the user has to mend something (cli leaves them as termination message)."""
STUCK = frozenset({"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CreateContainerConfigError"})

Kind = Literal["taken_away", "final", "failed", "deleted"]


@dataclass(frozen=True)
class Verdict:
    """Why a job ended without success."""

    kind: Kind
    """`taken_away` and `failed` are worth another try; `final` would fail again in the same way; somebody wanted
    `deleted`."""
    detail: str


def verdict(pods: Iterable[Mapping[str, Any]], told: str) -> Verdict:
    """Judge a failed job by its pods; `told` is what the job itself says, for a job that has none left."""
    found = sorted(pods, key=lambda pod: pod["metadata"]["name"])
    for judge in (_taken_away, _final, _failed):
        for pod in found:
            if reason := judge(pod):
                return reason
    return Verdict("failed", told or "its pods are gone and it says no reason")


def waiting_for(pods: Iterable[Mapping[str, Any]]) -> str:
    """What keeps pods from starting, in words; empty where nothing does."""
    reasons = []
    for pod in pods:
        name = pod["metadata"]["name"]
        for status in pod.get("status", {}).get("containerStatuses") or []:
            waiting = (status.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") in STUCK:
                reasons.append(f"{name}: {waiting['reason']}: {waiting.get('message', '')}".rstrip(": "))
        for condition in pod.get("status", {}).get("conditions") or []:
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                reasons.append(f"{name}: {condition.get('reason', '')}: {condition.get('message', '')}".rstrip(": "))
    return "; ".join(sorted(reasons))


def _taken_away(pod: Mapping[str, Any]) -> Verdict | None:
    status, name = pod.get("status", {}), pod["metadata"]["name"]
    for condition in status.get("conditions") or []:
        if condition["type"] == DISRUPTED and condition["status"] == "True":
            return Verdict("taken_away", f"pod {name}: {condition.get('reason', DISRUPTED)}")
    if status.get("reason") in TAKEN_AWAY:
        return Verdict("taken_away", f"pod {name}: {status['reason']}: {status.get('message', '')}".rstrip(": "))
    return None


def _final(pod: Mapping[str, Any]) -> Verdict | None:
    name = pod["metadata"]["name"]
    for end in _ends(pod):
        if end.get("reason") == "OOMKilled":
            return Verdict("final", f"pod {name} was killed for memory (OOMKilled): give the stage more in placement")
        if str(end.get("message") or "").startswith(MF_SAYS):
            return Verdict("final", f"pod {name}: {str(end['message']).removeprefix(MF_SAYS).strip()}")
    return None


def _failed(pod: Mapping[str, Any]) -> Verdict | None:
    for end in _ends(pod):
        if code := end.get("exitCode"):
            words = f": {end['message'].strip()[-500:]}" if end.get("message") else ""
            return Verdict("failed", f"pod {pod['metadata']['name']} ended with exit status {code}{words}")
    return None


def _ends(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    statuses = pod.get("status", {}).get("containerStatuses") or []
    return [end for s in statuses if (end := (s.get("state") or {}).get("terminated"))]
