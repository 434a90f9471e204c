"""Check that a pod fits a node of the cluster: selector, taints, GPUs, CPUs and memory, on empty nodes."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from kubernetes.utils.quantity import parse_quantity

Resource = Mapping[str, Any]


def no_room(pod: Resource, count: int, nodes: Iterable[Resource]) -> tuple[str, str] | None:
    """(why, the line that mends it) where not even empty nodes hold `count` such pods, each on one of its own."""
    found = list(nodes)
    if not found:
        return "there are no nodes", "kubectl get nodes"
    selector = pod.get("nodeSelector") or {}
    labelled = [n for n in found if selector.items() <= n["metadata"].get("labels", {}).items()]
    if not labelled:
        wanted = ",".join(f"{k}={v}" for k, v in selector.items())
        return f"no node has the label {wanted}", f"kubectl label node NODE {wanted} (GPU feature discovery sets it)"
    open_to = [n for n in labelled if not _forbidding(n, pod.get("tolerations") or [])]
    if not open_to:
        taint = _forbidding(labelled[0], pod.get("tolerations") or [])
        return (
            f"every such node has the taint {taint}",
            f"kubectl taint node NODE {taint}- (or let the steps tolerate it)",
        )
    wanted_of = _asked(pod)
    large = [n for n in open_to if all(_has(n, what) >= much for what, much in wanted_of.items())]
    if len(large) < count:
        most = {what: max(_has(n, what) for n in open_to) for what in wanted_of}
        short = [f"{what} {_plain(much)} (most: {_plain(most[what])})" for what, much in wanted_of.items()]
        return f"{count} nodes are wanted with {', '.join(short)}; {len(large)} are there", _larger(wanted_of)
    return None


def _larger(wanted: Mapping[str, Decimal]) -> str:
    if any("gpu" in what for what in wanted):
        return "add such nodes, or NVIDIA's device plugin to those that have GPUs"
    return "add larger nodes, or give the step less in pipelines/placement.py"


def _forbidding(node: Resource, tolerations: Iterable[Resource]) -> str:
    for taint in node.get("spec", {}).get("taints") or []:
        if taint["effect"] in ("NoSchedule", "NoExecute") and not any(_tolerates(t, taint) for t in tolerations):
            return f"{taint['key']}:{taint['effect']}"
    return ""


def _tolerates(toleration: Resource, taint: Resource) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    same: bool = toleration.get("key") == taint["key"] and toleration.get("value", "") == taint.get("value", "")
    return same


def _asked(pod: Resource) -> dict[str, Decimal]:
    """What the containers request together; a limit stands for a request that is not said."""
    total: dict[str, Decimal] = {}
    for container in pod["containers"]:
        resources = container.get("resources") or {}
        for what, much in {**(resources.get("limits") or {}), **(resources.get("requests") or {})}.items():
            total[what] = total.get(what, Decimal(0)) + parse_quantity(str(much))
    return total


def _has(node: Resource, what: str) -> Decimal:
    amount: Decimal = parse_quantity(str((node.get("status") or {}).get("allocatable", {}).get(what, "0")))
    return amount


def _plain(amount: Decimal) -> str:
    return f"{float(amount) / 2**30:.0f} GiB" if amount >= 2**30 else f"{float(amount):g}"
