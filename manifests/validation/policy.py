"""What is asked of each resource beyond its schema and "restricted": images, resources, probes, tokens, secrets."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from manifests.validation.pods import Pods, containers_of, pods_of

SECRET_NAME = re.compile(r"(password|secret|(?<!tik)token|api_?key|access_?key|credential)", re.IGNORECASE)
DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
TAG = re.compile(r":([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})$")
MOVING = {"latest", "main", "master", "nightly", "stable", "edge"}
MAY_HAVE_TOKEN = {"music-flamingo-runner"}
"""Accounts whose pods talk to the Kubernetes API."""

Resource = Mapping[str, Any]


def policy(resource: Resource) -> Iterator[str]:
    """One line a violation, as `field: what and what instead`."""
    if resource.get("kind") == "Secret":
        for field in ("data", "stringData"):
            for key in resource.get(field) or {}:
                yield f"{field}.{key}: a secret's value may not stand in a manifest: create it with kubectl"
    for pods in pods_of(resource):
        for field, container, is_first in containers_of(pods.spec):
            for line in _container(container, pods, is_first):
                yield f"{pods.where}.{field}.{line}"
        yield from (f"{pods.where}.{line}" for line in _token(resource, pods))


def _container(container: Resource, pods: Pods, is_first: bool) -> Iterator[str]:
    yield from _values(container)
    is_patch = not pods.is_whole and "image" not in container
    if is_patch:
        return
    yield from _image(str(container.get("image", "")))
    yield from _resources(container.get("resources") or {})
    if (container.get("securityContext") or {}).get("readOnlyRootFilesystem") is not True:
        yield "securityContext.readOnlyRootFilesystem: has to be true; mount an emptyDir where something is written"
    if pods.runs_on and not is_first:
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            if not container.get(probe):
                yield f"{probe}: is missing"


def _image(image: str) -> Iterator[str]:
    if DIGEST.search(image):
        return
    tag = TAG.search(image.rpartition("/")[2])
    if tag is None or tag.group(1) in MOVING:
        yield f"image: {image or 'none'} is not pinned: name a version or a digest under `images` of the kustomization"


def _resources(resources: Resource) -> Iterator[str]:
    for field, needed in (("requests", ("cpu", "memory")), ("limits", ("memory",))):
        for name in needed:
            if name not in (resources.get(field) or {}):
                yield f"resources.{field}.{name}: is missing"
    gpu = "nvidia.com/gpu"
    if (resources.get("requests") or {}).get(gpu) != (resources.get("limits") or {}).get(gpu):
        yield f"resources.limits.{gpu}: has to equal the request"


def _values(container: Resource) -> Iterator[str]:
    for index, variable in enumerate(container.get("env") or ()):
        if SECRET_NAME.search(variable.get("name", "")) and variable.get("value"):
            yield f"env[{index}].value: {variable['name']} has to come from a secret (valueFrom.secretKeyRef)"


def _token(resource: Resource, pods: Pods) -> Iterator[str]:
    """Pods that do not talk to the API mount no token; KServe's take it from their account, which has none."""
    if not pods.is_whole or resource.get("kind") in ("InferenceService", "ClusterStorageContainer"):
        return
    if pods.spec.get("serviceAccountName") in MAY_HAVE_TOKEN:
        return
    if pods.spec.get("automountServiceAccountToken") is not False:
        yield "automountServiceAccountToken: has to be false"
