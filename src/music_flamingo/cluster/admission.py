"""Apply a namespace's LimitRange and ResourceQuota to a pod: fill in defaults, then list what is refused.

Kubernetes fills a missing request from the container's own limit first, then from the LimitRange; a limit that the
LimitRange fills in may fall below a request that the pod states, and the pod is refused. The quota is asked whether
it has room for these pods alone, in an empty namespace: what does not fit there never starts.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from kubernetes.utils.quantity import parse_quantity

Resource = Mapping[str, Any]
Amounts = dict[str, Decimal]
COMPUTED = ("cpu", "memory")
"""What `requests.X` and `limits.X` of a quota oblige every container to say."""


def refusals(pod: Resource, namespace: Iterable[Resource], count: int = 1) -> list[str]:
    """Why `count` such pods are not admitted among a namespace's LimitRanges and quotas; empty where they are."""
    found = list(namespace)
    ranges = [item for r in found if r["kind"] == "LimitRange" for item in r["spec"]["limits"]]
    quotas = [r["spec"]["hard"] for r in found if r["kind"] == "ResourceQuota"]
    filled = {field: [_filled(c, ranges) for c in pod.get(field) or ()] for field in ("initContainers", "containers")}
    wrong = [line for containers in filled.values() for c in containers for line in _container(c, ranges)]
    return [*wrong, *(line for hard in quotas for line in _quota(filled, hard, count))]


def _filled(container: Resource, ranges: Iterable[Resource]) -> dict[str, Any]:
    own = container.get("resources") or {}
    limits = _amounts(own.get("limits"))
    requests = {**limits, **_amounts(own.get("requests"))}
    for item in ranges:
        if item["type"] == "Container":
            default = _amounts(item.get("default"))
            limits = {**default, **limits}
            requests = {**default, **_amounts(item.get("defaultRequest")), **requests}
    return {"name": container["name"], "requests": requests, "limits": limits}


def _container(filled: Resource, ranges: Iterable[Resource]) -> Iterator[str]:
    requests, limits, name = filled["requests"], filled["limits"], filled["name"]
    for what in sorted(requests.keys() & limits.keys()):
        if requests[what] > limits[what]:
            yield f"{name}: requests.{what} {requests[what]}: must be less than or equal to limit of {limits[what]}"
    for item in ranges:
        if item["type"] != "Container":
            continue
        for what, most in _amounts(item.get("max")).items():
            if limits.get(what, most + 1) > most:
                yield f"{name}: limits.{what} may be {most} at most, and has to be said"
        for what, least in _amounts(item.get("min")).items():
            if requests.get(what, Decimal(0)) < least:
                yield f"{name}: requests.{what} has to be {least} at least"


def _quota(filled: Mapping[str, list[dict[str, Any]]], hard: Mapping[str, str], count: int) -> Iterator[str]:
    for key, most in hard.items():
        side, _, what = key.partition(".")
        if side not in ("requests", "limits") or what == "storage":
            continue
        everyone = [c for containers in filled.values() for c in containers]
        if what in COMPUTED and (silent := [c["name"] for c in everyone if what not in c[side]]):
            yield f"quota {key}: has to be said by {', '.join(silent)}"
        # containers run together, those before them one after the other
        together = sum((c[side].get(what, Decimal(0)) for c in filled["containers"]), Decimal(0))
        wanted = count * max([together, *(c[side].get(what, Decimal(0)) for c in filled["initContainers"])])
        if wanted > parse_quantity(most):
            who = "the pod wants" if count == 1 else f"{count} pods want"
            yield f"quota {key}: {who} {wanted}, the namespace has {most}"


def _amounts(given: Mapping[str, Any] | None) -> Amounts:
    return {name: parse_quantity(str(value)) for name, value in (given or {}).items()}
