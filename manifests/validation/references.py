"""Whether the resources of one installation fit each other: names, selectors, accounts, claims, and a default-deny."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from manifests.validation.pods import Pods, pods_of

MADE_BY_CONTROLLERS = {
    "workflows.argoproj.io/workflow": "steps of pipelines (Argo)",
    "training.kubeflow.org/job-name": "pods of a PyTorchJob",
    "jobset.sigs.k8s.io/jobset-name": "pods of a TrainJob (JobSet)",
}
"""Labels of pods that no manifest holds: a selector may ask for these."""

Resource = Mapping[str, Any]


class Installation:
    """All rendered resources of an overlay, to be asked for each other."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self.resources = list(resources)
        self.pods = [(r, p) for r in self.resources for p in pods_of(r) if r["kind"] not in ("ServingRuntime",)]
        self.runtimes = {name(r): r for r in self.resources if r["kind"] == "ServingRuntime"}

    def has(self, kind: str, wanted: str) -> bool:
        claims = {
            f"{t['metadata']['name']}-{name(r)}-{i}"
            for r in self.resources
            if r["kind"] == "StatefulSet"
            for t in r["spec"].get("volumeClaimTemplates") or ()
            for i in range(r["spec"].get("replicas", 1))
        }
        if kind == "PersistentVolumeClaim" and wanted in claims:
            return True
        return any(r["kind"] == kind and name(r) == wanted for r in self.resources)

    def selected(self, selector: Resource) -> list[tuple[Resource, Pods]]:
        return [(r, p) for r, p in self.pods if matches(selector, p.labels)]


def name(resource: Resource) -> str:
    return str((resource.get("metadata") or {}).get("name", ""))


def matches(selector: Resource, labels: Mapping[str, str]) -> bool:
    """A label selector (matchLabels, matchExpressions) against labels; an empty one takes all."""
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for term in selector.get("matchExpressions") or ():
        key, values = term["key"], term.get("values") or ()
        holds = {
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
        }[term["operator"]]
        if not holds:
            return False
    return True


def references(resources: Iterable[Resource]) -> Iterator[tuple[Resource, str]]:
    """(resource, `field: what does not fit`) over a whole installation."""
    all_of = Installation(resources)
    seen = Counter((r["kind"], (r.get("metadata") or {}).get("namespace"), name(r)) for r in all_of.resources)
    for resource in all_of.resources:
        key = (resource["kind"], (resource.get("metadata") or {}).get("namespace"), name(resource))
        if seen[key] > 1:
            yield resource, "metadata.name: another resource of this kind has it too"
        yield from ((resource, line) for line in _selectors(resource, all_of))
        yield from ((resource, line) for line in _named(resource, all_of))
    yield from _denied(all_of)


def _selectors(resource: Resource, all_of: Installation) -> Iterator[str]:
    kind, spec = resource["kind"], resource.get("spec") or {}
    if kind == "Service" and spec.get("selector"):
        yield from _service(spec, all_of)
    elif kind == "PodDisruptionBudget" and not all_of.selected(spec.get("selector") or {}):
        yield "spec.selector: finds no pods"
    elif kind in ("Deployment", "StatefulSet"):
        if not all(matches(spec["selector"], p.labels) for p in pods_of(resource)):
            yield "spec.selector: does not find its own template's labels"
    elif kind == "ServiceMonitor":
        services = [r for r in all_of.resources if r["kind"] == "Service"]
        if not any(matches(spec["selector"], (s["metadata"].get("labels") or {})) for s in services):
            yield "spec.selector: finds no Service"
    elif kind == "NetworkPolicy":
        if _is_lost(spec.get("podSelector") or {}, all_of):
            yield "spec.podSelector: finds no pods"
        for way, side in (("ingress", "from"), ("egress", "to")):
            for i, rule in enumerate(spec.get(way) or ()):
                for j, peer in enumerate(rule.get(side) or ()):
                    # a peer in another namespace is not ours to know
                    if "namespaceSelector" not in peer and _is_lost(peer.get("podSelector") or {}, all_of):
                        yield f"spec.{way}[{i}].{side}[{j}].podSelector: finds no pods"


def _is_lost(selector: Resource, all_of: Installation) -> bool:
    keys = [t["key"] for t in selector.get("matchExpressions") or () if t["operator"] == "Exists"]
    return not any(k in MADE_BY_CONTROLLERS for k in keys) and not all_of.selected(selector)


def _service(spec: Resource, all_of: Installation) -> Iterator[str]:
    found = all_of.selected({"matchLabels": spec["selector"]})
    if not found:
        yield "spec.selector: finds no pods"
        return
    for index, port in enumerate(spec.get("ports") or ()):
        target = port.get("targetPort", port["port"])
        if not any(target in _ports(r, p, all_of) for r, p in found):
            yield f"spec.ports[{index}].targetPort: no container of its pods has the port {target}"


def _ports(resource: Resource, pods: Pods, all_of: Installation) -> set[object]:
    containers = list(pods.spec.get("containers") or ())
    runtime = all_of.runtimes.get((pods.spec.get("model") or {}).get("runtime", ""))
    if resource["kind"] == "InferenceService" and runtime:
        containers += runtime["spec"]["containers"]
    ports = [p for c in containers for p in c.get("ports") or ()]
    return {p["containerPort"] for p in ports} | {p["name"] for p in ports if "name" in p}


def _named(resource: Resource, all_of: Installation) -> Iterator[str]:
    for where, kind, wanted in _asked(resource):
        if not all_of.has(kind, wanted):
            yield f"{where}: there is no {kind} {wanted}"


def _asked(resource: Resource) -> Iterator[tuple[str, str, str]]:
    """(field, kind, name) of what a resource takes for granted."""
    for pods in pods_of(resource):
        if account := pods.spec.get("serviceAccountName"):
            yield f"{pods.where}.serviceAccountName", "ServiceAccount", account
        if priority := pods.spec.get("priorityClassName"):
            yield f"{pods.where}.priorityClassName", "PriorityClass", priority
        if runtime := (pods.spec.get("model") or {}).get("runtime"):
            yield f"{pods.where}.model.runtime", "ServingRuntime", runtime
        if fetching := pods.spec.get("storageContainerName"):
            yield f"{pods.where}.storageContainerName", "ClusterStorageContainer", fetching
        for index, volume in enumerate(pods.spec.get("volumes") or ()):
            if claim := (volume.get("persistentVolumeClaim") or {}).get("claimName"):
                yield f"{pods.where}.volumes[{index}]", "PersistentVolumeClaim", claim
            if config := (volume.get("configMap") or {}).get("name"):
                yield f"{pods.where}.volumes[{index}]", "ConfigMap", config
    if resource["kind"] == "InferenceService":
        predictor = resource["spec"]["predictor"]
        address = (predictor.get("model") or {}).get("storageUri", "")
        if address.startswith("s3://"):
            # KServe's own is refused by "restricted"
            yield (
                "spec.predictor.storageContainerName",
                "ClusterStorageContainer",
                predictor.get("storageContainerName", "(none)"),
            )
        if address.startswith("pvc://"):
            yield "spec.predictor.model.storageUri", "PersistentVolumeClaim", address.split("/")[2]
    if resource["kind"] == "RoleBinding":
        yield "roleRef.name", resource["roleRef"]["kind"], resource["roleRef"]["name"]
        for index, subject in enumerate(resource.get("subjects") or ()):
            yield f"subjects[{index}].name", subject["kind"], subject["name"]


def _denied(all_of: Installation) -> Iterator[tuple[Resource, str]]:
    """Every namespace that is used is made, enforces "restricted", and denies all traffic by default."""
    namespaces = {name(r): r for r in all_of.resources if r["kind"] == "Namespace"}
    for resource in all_of.resources:
        used = (resource.get("metadata") or {}).get("namespace")
        if used and used not in namespaces:
            yield resource, f"metadata.namespace: there is no Namespace {used}"
    for used, resource in namespaces.items():
        labels = resource["metadata"].get("labels") or {}
        if labels.get("pod-security.kubernetes.io/enforce") != "restricted":
            yield resource, "metadata.labels: pod-security.kubernetes.io/enforce has to be restricted"
        if not any(_denies_all(r) for r in all_of.resources if (r.get("metadata") or {}).get("namespace") == used):
            yield resource, "metadata.name: no NetworkPolicy denies all traffic of this namespace by default"


def _denies_all(resource: Resource) -> bool:
    spec = resource.get("spec") or {}
    return (
        resource["kind"] == "NetworkPolicy"
        and not spec.get("podSelector")
        and set(spec.get("policyTypes") or ()) == {"Ingress", "Egress"}
        and not spec.get("ingress")
        and not spec.get("egress")
    )
