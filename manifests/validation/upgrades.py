"""What an API server would refuse when one rendering of the manifests is applied over another: immutable fields.

Which fields these are stands in Kubernetes' validation code, not in its schemas; `IMMUTABLE` holds them for every kind
that the manifests use, and `unknown_fields` finds a path that the kind's schema does not have. A finished Job that goes
within a minute is no obstacle: the next one is made anew.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from manifests.validation.schemas import schema_of

Resource = Mapping[str, Any]
SOON_S = 60
"""A finished Job that is kept no longer is gone before somebody applies again."""


@dataclass(frozen=True)
class Immutable:
    """Fields of a kind that no update may change."""

    fields: tuple[str, ...] = ()
    """Paths; `x/*` for everything below x except `but`."""
    but: tuple[str, ...] = ()
    way: str = ""
    """How to get to the new form all the same."""


RECREATE = "delete it and apply again; nothing is stored in it"
IMMUTABLE = {
    "Job": Immutable(
        ("spec/template", "spec/selector", "spec/completionMode"), way="delete the Job, which loses nothing, and apply"
    ),
    "StatefulSet": Immutable(
        ("spec/*",),
        (
            "replicas",
            "ordinals",
            "template",
            "updateStrategy",
            "persistentVolumeClaimRetentionPolicy",
            "minReadySeconds",
            "revisionHistoryLimit",
        ),
        "kubectl delete statefulset NAME --cascade=orphan keeps pods and claims; then apply",
    ),
    "Deployment": Immutable(("spec/selector",), way=RECREATE),
    "Service": Immutable(("spec/clusterIP", "spec/clusterIPs"), way=RECREATE),
    "PersistentVolumeClaim": Immutable(
        ("spec/*",),
        ("resources", "volumeAttributesClassName"),
        "copy what you keep (mc mirror, kubectl cp), delete the claim, apply, copy it back",
    ),
    "RoleBinding": Immutable(("roleRef",), way=RECREATE),
    "ClusterRoleBinding": Immutable(("roleRef",), way=RECREATE),
    "ResourceQuota": Immutable(("spec/scopes", "spec/scopeSelector"), way=RECREATE),
    "PriorityClass": Immutable(("value", "preemptionPolicy"), way=RECREATE),
    "InferenceService": Immutable(
        ("metadata/annotations/serving.kserve.io~1deploymentMode",),
        way="delete it, apply, and `mf deploy` again",
    ),
}
"""Kind -> what may not change. ConfigMaps and Secrets only where they say `immutable` themselves."""
MUTABLE = frozenset(
    {
        "ClusterStorageContainer",
        "ClusterTrainingRuntime",
        "ConfigMap",
        "LimitRange",
        "Namespace",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Role",
        "ScaledObject",
        "Secret",
        "ServiceAccount",
        "ServiceMonitor",
        "ServingRuntime",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    }
)
"""Kinds of which every field may change."""


def refused(before: Iterable[Resource], after: Iterable[Resource]) -> list[tuple[str, str, str]]:
    """(kind and name, what is refused, the way) when `after` is applied over `before`; both rendered."""
    old = {_key(r): r for r in before}
    pairs = ((old[_key(new)], new) for new in after if _key(new) in old)
    return sorted(line for was, new in pairs for line in _of_pair(was, new))


def unknown_fields() -> list[str]:
    """Paths of `IMMUTABLE` that the schema of their kind does not have."""
    return [
        f"{kind}: {field}"
        for kind, rule in IMMUTABLE.items()
        for field in (*_plain(rule), *(f"spec/{name}" for name in rule.but))
        if not field.startswith("metadata/annotations") and not _in_schema(kind, field)
    ]


def _of_pair(was: Resource, new: Resource) -> Iterator[tuple[str, str, str]]:
    kind, name = new["kind"], f"{new['kind']} {new['metadata']['name']}"
    if kind == "Job" and was["spec"].get("ttlSecondsAfterFinished", SOON_S + 1) <= SOON_S:
        return
    rule = IMMUTABLE.get(kind, Immutable())
    for field in _expanded(rule, was, new):
        if _at(was, field) != _at(new, field):
            yield name, f"{field.replace('/', '.')} is immutable", rule.way
    if was.get("immutable") and _at(was, "data") != _at(new, "data"):
        yield name, "data is immutable", "give it another name"
    if kind == "PersistentVolumeClaim" and _storage(new) < _storage(was):
        yield name, "spec.resources.requests.storage only grows", rule.way


def _expanded(rule: Immutable, was: Resource, new: Resource) -> Iterator[str]:
    for field in rule.fields:
        if not field.endswith("/*"):
            yield field
            continue
        below = field.removesuffix("/*")
        names = {*(_at(was, below) or {}), *(_at(new, below) or {})} - {*rule.but}
        yield from (f"{below}/{name}" for name in sorted(names))


def _at(resource: Resource, field: str) -> Any:
    found: Any = resource
    for name in field.split("/"):
        found = found.get(name.replace("~1", "/")) if isinstance(found, Mapping) else None
    return found


def _storage(claim: Resource) -> Any:
    return parse_quantity(str(claim["spec"]["resources"]["requests"]["storage"]))


def _key(resource: Resource) -> tuple[str, str, str]:
    return resource["kind"], resource["metadata"]["name"], resource["metadata"].get("namespace", "")


def _plain(rule: Immutable) -> Iterator[str]:
    return (field.removesuffix("/*") for field in rule.fields)


def _in_schema(kind: str, field: str) -> bool:
    schema = schema_of(kind)
    definitions, found = schema["$defs"], schema
    for name in field.split("/"):
        while "$ref" in found:
            found = definitions[found["$ref"].rpartition("/")[2]]
        found = found.get("properties", {}).get(name)
        if found is None:
            return False
    return True
