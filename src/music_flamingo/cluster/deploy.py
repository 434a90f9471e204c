"""`mf deploy`: a release takes over an InferenceService by 10, 50, 100 % of the requests, or is rolled back at once.

KServe's standard mode (0.20 and later): a `canary` stands beside the predictor with pods of its own and a share of the
requests. The predictor that serves is not touched until the canary has passed every gate; then its place is given to
the canary's pods, without a restart. Rolling back is taking the canary away. Where nothing serves yet, the release
takes the place at once: nobody's requests could judge it. The release's digest is pinned in the pods' environment, and
what serves refuses another: what was verified here is what serves.
"""

import copy
import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kubernetes import client
from kubernetes.client.rest import ApiException

from music_flamingo.cluster.api import in_words
from music_flamingo.cluster.metrics import Counters, MetricsInterval
from music_flamingo.cluster.watching import Patience, Place, Resource, follow, insist, may, read
from music_flamingo.core.errors import UserError

log = logging.getLogger(__name__)

GROUP, VERSION, PLURAL = "serving.kserve.io", "v1beta1", "inferenceservices"
MODE = "serving.kserve.io/deploymentMode"
STANDARD = ("RawDeployment", "Standard")
PREVIOUS = "music-flamingo/previous-predictor"
"""Annotation: the predictor before the last promotion, for `mf deploy --rollback`."""
WAITED_AS = "music-flamingo/waited-as"
"""Annotation while the first release comes up: the predictor to leave, where it does not."""
PIN = "RELEASE_SHA256"
"""Variable of the pods: the only release that they serve; any, where it is empty."""
BEFORE = "before"
"""Name of a predictor that had none, when it is brought back."""
CONTAINER = "kserve-container"
MODEL_PATH = "/mnt/models"
LOGS = "`kubectl logs` of its pod says why"
SCALING = ("maxReplicas", "scaleMetric", "scaleMetricType", "scaleTarget", "autoScaling")
"""What KServe does not take of a canary."""


@dataclass(frozen=True)
class CanaryGate:
    """What a canary has to hold at each share before it gets the next."""

    shares: tuple[int, ...] = (10, 50, 100)
    """Percent of the requests."""
    hold_s: float = 300.0
    """How long each share is watched."""
    min_requests: int = 50
    """Fewer say nothing: the share is watched on, up to `patience_s`."""
    patience_s: float = 3600.0
    max_error_rate: float = 0.01
    max_p95_s: float = 10.0
    ready_within_s: float = 1800.0
    """Fetching and loading the weights included."""

    def against(self, seen: MetricsInterval) -> str:
        """Why the canary must not go on; empty where it may."""
        if seen.error_rate > self.max_error_rate:
            most = f"at most {self.max_error_rate:.1%}"
            return f"{seen.errors} of {seen.requests} requests failed ({seen.error_rate:.1%}; {most})"
        if seen.p95_s is not None and seen.p95_s > self.max_p95_s:
            return f"95 % of the answers took up to {seen.p95_s:.2f} s (at most {self.max_p95_s:.2f} s)"
        return ""


class RolledBackError(UserError):
    """The new release was taken away again; what served before serves on."""


@dataclass
class Deployment:
    api: client.ApiClient
    namespace: str
    name: str
    gate: CanaryGate
    measure: Callable[[str], Counters]
    """Counters of the pods of a predictor, by its Kubernetes name."""
    patience: Patience = field(default_factory=Patience)
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def roll_out(self, uri: str, sha256: str) -> None:
        """Give the service to the release step by step. Raises RolledBackError when a gate closes."""
        service = self._service()
        if _digest_of(service["spec"]["predictor"]) == sha256:
            self._finish(service)
            return
        predictor = with_release(service["spec"]["predictor"], uri, sha256)
        if _never_served(service):
            self._begin(service, predictor)
        else:
            self._take_over(service, predictor, self.gate.shares)

    def _finish(self, service: Resource) -> None:
        """What an earlier `mf deploy` of this release left undone when it was killed."""
        if service["spec"].get("canary"):
            self._withdraw({"spec": {"canary": None}})
            log.info("%s: a canary that nobody judges any more was taken away", self.name)
        if (kept := service["metadata"].get("annotations", {}).get(WAITED_AS)) is not None:
            self._settle(service["spec"]["predictor"], json.loads(kept))
        log.info("%s serves this release already", self.name)

    def roll_back(self) -> None:
        """Take a canary away, or else bring back the predictor from before the last promotion."""
        service = self._service()
        if service["spec"].get("canary"):
            self._withdraw({"spec": {"canary": None}})
            log.info("%s: the canary is gone; the release before serves alone", self.name)
            return
        kept = service["metadata"].get("annotations", {}).get(PREVIOUS)
        if not kept:
            raise UserError(f"{self.name} has no release to go back to: it was not promoted by `mf deploy`.")
        # pods of the earlier release have to come up beside before they can take over
        self._take_over(service, _named(json.loads(kept)), (100,), gated=False)

    def _take_over(self, service: Resource, predictor: Resource, shares: tuple[int, ...], gated: bool = True) -> None:
        try:
            for share in shares:
                self._share(service, predictor, share)
                if gated:
                    self._hold(predictor, share)
        except (Exception, KeyboardInterrupt) as error:
            # whatever happened, Ctrl-C too: nobody is left with a release that was not judged
            self._withdraw({"spec": {"canary": None}})
            why = str(error) or "Interrupted."
            raise RolledBackError(
                f"{why} The new release was taken away; {self.name} serves what it served before."
            ) from error
        self._promote(service, predictor)

    def _begin(self, service: Resource, predictor: Resource) -> None:
        """The first release: in place of a predictor that waits for one."""
        was = service["spec"]["predictor"]
        log.info("%s: nothing serves yet; %s takes the place at once", self.name, predictor["name"])
        kept = {WAITED_AS: json.dumps(was, sort_keys=True)}
        self._patch({"metadata": {"annotations": kept}, "spec": {"predictor": _in_place_of(was, predictor)}})
        self._settle(predictor, was)

    def _settle(self, predictor: Resource, was: Resource) -> None:
        """Wait until the first release serves, or leave the place as it was."""
        done: Resource = {"metadata": {"annotations": {WAITED_AS: None}}}
        try:
            self._until_ready()
        except (Exception, KeyboardInterrupt) as error:
            self._withdraw({**done, "spec": {"predictor": _in_place_of(predictor, was)}})
            raise RolledBackError(f"{error or 'Interrupted.'} {self.name} waits for a release, as before.") from error
        self._patch(done)
        log.info("%s: %s serves", self.name, predictor["name"])

    def _until_ready(self) -> None:
        deadline = self.now() + self.gate.ready_within_s
        for found in follow(self.api, self._place, self.name, deadline, self.patience, self.now):
            if _is_ready(found or {}):
                return
        raise UserError(f"the release was not ready within {self.gate.ready_within_s:g} s: {LOGS}.")

    def _share(self, service: Resource, predictor: Resource, share: int) -> None:
        self._patch({"spec": {"canary": [canary(service["spec"]["predictor"], predictor, share)]}})
        log.info("%s: %s gets %d %% once it is ready", self.name, predictor["name"], share)
        deadline = self.now() + self.gate.ready_within_s
        for found in follow(self.api, self._place, self.name, deadline, self.patience, self.now):
            for status in ((found or {}).get("status") or {}).get("canaryStatuses") or []:
                if status["name"] == predictor["name"] and status["ready"] and status["trafficPercent"] == share:
                    return
                if (info := (status.get("modelStatus") or {}).get("lastFailureInfo")) and info.get("message"):
                    raise UserError(f"{predictor['name']} does not come up: {info['message']}.")
        raise UserError(f"{predictor['name']} was not ready within {self.gate.ready_within_s:g} s: {LOGS}.")

    def _hold(self, predictor: Resource, share: int) -> None:
        """Watch the canary at a share. Raises UserError when its gate closes."""
        service = f"{self.name}-{predictor['name']}-predictor"
        before, start = self._measured(service), self.now()
        while True:
            self.sleep(self._between_s)
            seen, held_s = self._measured(service).since(before), self.now() - start
            # a bad release goes as soon as enough is known, not at the end of the hold
            if seen.requests >= self.gate.min_requests and (reason := self.gate.against(seen)):
                raise UserError(f"at {share} %, {reason}.")
            if held_s >= self.gate.hold_s and seen.requests >= self.gate.min_requests:
                p95 = "-" if seen.p95_s is None else f"{seen.p95_s:.2f} s"
                log.info(
                    "%s: %d %% held: %d requests, %d failed, p95 %s", self.name, share, seen.requests, seen.errors, p95
                )
                return
            if held_s >= self.gate.patience_s:
                raise UserError(
                    f"at {share} %, {seen.requests} requests came in {held_s:.0f} s, fewer than the "
                    f"{self.gate.min_requests} that the gate wants: send it traffic, or lower --min-requests."
                )

    def _measured(self, service: str) -> Counters:
        """The counters; a reading that fails is tried again for as long as a share is held."""
        end = self.now() + self.gate.hold_s
        while True:
            try:
                return self.measure(service)
            except UserError as error:
                if self.now() > end:
                    raise
                log.warning("%s: %s Tried again within the hold.", self.name, error)
                self.sleep(self._between_s)

    @property
    def _between_s(self) -> float:
        return min(self.gate.hold_s / 10, 15.0)

    def _promote(self, service: Resource, predictor: Resource) -> None:
        """The canary's pods become the predictor's: same name, same template, so nothing restarts."""
        was = service["spec"]["predictor"]
        scaling = {k: was[k] for k in (*SCALING, "minReplicas") if k in was}
        self._patch(
            {
                "metadata": {"annotations": {PREVIOUS: json.dumps(was, sort_keys=True)}},
                "spec": {"predictor": _in_place_of(was, {**predictor, **scaling}), "canary": None},
            }
        )
        log.info("%s: %s serves alone", self.name, predictor["name"])

    def _service(self) -> Resource:
        try:
            found = lambda: read(self.api, self._place, self.name)  # noqa: E731
            service = insist(found, self.patience, self._may("get"))
        except ApiException as error:
            raise in_words(error, f"reading {self.name}") from error
        if service is None:
            raise UserError(
                f"there is no InferenceService {self.name} in {self.namespace}: apply the manifests first "
                "(kubectl apply -k manifests/overlays/...), then deploy into it."
            )
        asked = service["metadata"].get("annotations", {}).get(MODE)
        mode = asked or (service.get("status") or {}).get("deploymentMode")
        if mode not in STANDARD:
            raise UserError(
                f"{self.name} is deployed in KServe's mode {mode!r}; a canary of this kind needs the standard mode: "
                f"set its annotation {MODE}: RawDeployment."
            )
        return service

    def _patch(self, body: Mapping[str, Any]) -> None:
        try:
            patch = client.CustomObjectsApi(self.api).patch_namespaced_custom_object
            insist(lambda: patch(*self._place.path, self.name, body), self.patience, self._may("patch"))
        except ApiException as error:
            raise in_words(error, f"changing {self.name}") from error

    def _withdraw(self, body: Mapping[str, Any]) -> None:
        """Change the service back, tried until it is done: nobody is left with a release that was not judged.

        Raises UserError, with the way, where Ctrl-C ends that or the API refuses the change itself.
        """
        patience = replace(self.patience, insist_s=math.inf, forbidden_s=math.inf)
        patch = client.CustomObjectsApi(self.api).patch_namespaced_custom_object
        try:
            insist(lambda: patch(*self._place.path, self.name, body), patience)
        except (ApiException, KeyboardInterrupt) as error:
            why = in_words(error, f"changing {self.name} back") if isinstance(error, ApiException) else "Interrupted:"
            raise UserError(
                f"{why} {self.name} still has a release that nobody judged; take it away with `mf deploy --rollback`."
            ) from error

    def _may(self, verb: str) -> Callable[[str], bool]:
        return lambda _: may(self.api, self._place, verb)

    @property
    def _place(self) -> Place:
        return Place(GROUP, VERSION, PLURAL, self.namespace)


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


def _named(predictor: Resource) -> Resource:
    """With the names that a canary has to have, and a pin of its own: KServe lays a canary over what serves."""
    named = {"name": BEFORE, **copy.deepcopy(predictor)}
    if "model" in named:
        named["model"] = {"name": CONTAINER, **named["model"]}
    if _digest_of(named) is None:
        _main(named).setdefault("env", []).append({"name": PIN, "value": ""})
    return named


def _in_place_of(was: Resource, becomes: Resource) -> Resource:
    """A merge patch from one to the other: what only the former has is taken away, at every depth."""
    inner = {
        k: _in_place_of(was[k], v) for k, v in becomes.items() if isinstance(v, dict) and isinstance(was.get(k), dict)
    }
    return {**{k: None for k in was if k not in becomes}, **becomes, **inner}


def _never_served(service: Resource) -> bool:
    """As the manifests leave it: no release was deployed into it, and it is not ready."""
    return not _digest_of(service["spec"]["predictor"]) and not _is_ready(service)


def _is_ready(service: Resource) -> bool:
    """Whether KServe says so, of the resource as it is now."""
    status, generation = service.get("status") or {}, service.get("metadata", {}).get("generation", 0)
    seen = status.get("observedGeneration", generation) >= generation
    return seen and any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or [])


def _digest_of(predictor: Resource) -> str | None:
    env = _main(predictor).get("env", [])
    return next((e.get("value") for e in env if e["name"] == PIN), None)
