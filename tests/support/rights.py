"""Rights of Kubernetes: what requests use, as its authoriser reads them, and what a Role of the manifests grants."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

ROLES = Path(__file__).resolve().parents[2] / "manifests/base/rights.yaml"
PATH = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/[^/]+/namespaces/[^/]+/(?P<resource>[^/]+)(?:/(?P<name>[^/]+)(?:/(?P<sub>[^/]+))?)?"
)
VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}

Right = tuple[str, str, str]
"""(API group, resource or resource/subresource, verb)."""


def used(requests: Iterable[Any]) -> set[Right]:
    """The rights that requests need."""
    # every authenticated user may review their own rights (system:basic-user)
    asked = (r for r in requests if not r.url.path.endswith("/selfsubjectaccessreviews"))
    return {_right(r.method.value, r.url.path, r.params) for r in asked}


def granted(role: str) -> set[Right]:
    """The rights that a Role gives to every object; those to named objects alone are left out."""
    found = next(
        r for r in yaml.safe_load_all(ROLES.read_text()) if (r["kind"], r["metadata"]["name"]) == ("Role", role)
    )
    rules = [rule for rule in found["rules"] if "resourceNames" not in rule]
    return {(g, r, v) for rule in rules for g in rule["apiGroups"] for r in rule["resources"] for v in rule["verbs"]}


def _right(method: str, path: str, params: Any) -> Right:
    match = PATH.match(path)
    assert match, path
    group, name, sub = match["group"] or "", match["name"], match["sub"]
    read = "get" if name else "watch" if str(params.get("watch", "")).lower() == "true" else "list"
    return group, match["resource"] + (f"/{sub}" if sub else ""), VERBS.get(method, read)
