"""Predictors of an InferenceService as resources: with another release, as a canary, as a patch to another."""

import copy
import math
from typing import Any

Resource = dict[str, Any]
PIN = "RELEASE_SHA256"
"""Variable of the pods: the only release that they serve; any, where it is empty."""
BEFORE = "before"
"""Name of a predictor that had none, when it is brought back."""
CONTAINER = "kserve-container"
MODEL_PATH = "/mnt/models"
SCALING = ("maxReplicas", "scaleMetric", "scaleMetricType", "scaleTarget", "autoScaling")
"""What KServe does not take of a canary."""


def with_release(predictor: Resource, uri: str, sha256: str) -> Resource:
    """The predictor, serving another release: under a name of its own, the release's digest pinned."""
    changed = copy.deepcopy(predictor)
    changed["name"] = f"r-{sha256[:8]}"
    pinned = {PIN: sha256}
    if "model" in changed:
        # a canary's schema asks for the container's name, a predictor's does not
        changed["model"] = {"name": CONTAINER, **changed["model"], "storageUri": uri}
    else:
        pinned["STORAGE_URI"] = uri
        _clear_model_path(changed)
    main = _main(changed)
    main["env"] = [e for e in main.get("env", []) if e["name"] not in pinned]
    main["env"] += [{"name": name, "value": value} for name, value in pinned.items()]
    return changed


def _main(predictor: Resource) -> Resource:
    """What serves: a `model` by its serving runtime, or a container of the predictor's own."""
    found: Resource = predictor["model"] if "model" in predictor else predictor["containers"][0]
    return found


def _clear_model_path(predictor: Resource) -> None:
    """KServe mounts what STORAGE_URI names at /mnt/models: a volume claim there would be in its way."""
    main = _main(predictor)
    taken = {m["name"] for m in main.get("volumeMounts", []) if m["mountPath"] == MODEL_PATH}
    main["volumeMounts"] = [m for m in main.get("volumeMounts", []) if m["name"] not in taken]
    predictor["volumes"] = [v for v in predictor.get("volumes", []) if v["name"] not in taken]


def canary(stable: Resource, predictor: Resource, share: int) -> Resource:
    """An entry of `spec.canary`: as many pods as its share of the requests needs, one at least."""
    replicas = max(1, math.ceil(stable.get("minReplicas", 1) * share / 100))
    own = {k: v for k, v in predictor.items() if k not in SCALING}
    return {"trafficPercent": share, "predictor": {**own, "minReplicas": replicas}}


def restorable(predictor: Resource) -> Resource:
    """With the names that a canary has to have, and a pin of its own: KServe lays a canary over what serves."""
    named = {"name": BEFORE, **copy.deepcopy(predictor)}
    if "model" in named:
        named["model"] = {"name": CONTAINER, **named["model"]}
    if digest_of(named) is None:
        _main(named).setdefault("env", []).append({"name": PIN, "value": ""})
    return named


def in_place_of(was: Resource, becomes: Resource) -> Resource:
    """A merge patch from one to the other: what only the former has is taken away, at every depth."""
    inner = {
        k: in_place_of(was[k], v) for k, v in becomes.items() if isinstance(v, dict) and isinstance(was.get(k), dict)
    }
    return {**{k: None for k in was if k not in becomes}, **becomes, **inner}


def never_served(service: Resource) -> bool:
    """As the manifests leave it: no release was deployed into it, and it is not ready."""
    return not digest_of(service["spec"]["predictor"]) and not is_ready(service)


def is_ready(service: Resource) -> bool:
    """Whether KServe says so, of the resource as it is now."""
    status, generation = service.get("status") or {}, service.get("metadata", {}).get("generation", 0)
    seen = status.get("observedGeneration", generation) >= generation
    return seen and any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or [])


def digest_of(predictor: Resource) -> str | None:
    """SHA-256 of the release that its pods are pinned to; None without a pin."""
    env = _main(predictor).get("env", [])
    return next((e.get("value") for e in env if e["name"] == PIN), None)
