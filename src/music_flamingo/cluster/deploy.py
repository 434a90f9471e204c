"""`mf deploy`: a release takes over an InferenceService by 10, 50, 100 % of the requests, or is rolled back at once.

KServe's standard mode (0.20 and later): a `canary` runs next to the predictor with pods of its own and a share of the
requests. The predictor that serves is not touched until the canary has passed every gate; then its place is given to
the canary's pods, without a restart. Rolling back is taking the canary away. Where nothing serves yet, the release
takes the place at once: nobody's requests could judge it. The release's digest is pinned in the pods' environment, and
what serves refuses another: what was verified here is what serves.
"""

import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kubernetes import client
from kubernetes.client.rest import ApiException
from urllib3.exceptions import HTTPError

from music_flamingo.cluster.api import in_words
from music_flamingo.cluster.metrics import Counters, MetricsInterval
from music_flamingo.cluster.naming import joined
from music_flamingo.cluster.predictors import (
    SCALING,
    canary,
    digest_of,
    in_place_of,
    is_ready,
    never_served,
    restorable,
    with_release,
)
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
LOGS = "`kubectl logs` of its pod says why"


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
    """One rollout of an InferenceService by a canary and its gate."""

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
        if digest_of(service["spec"]["predictor"]) == sha256:
            self._finish(service)
            return
        predictor = with_release(service["spec"]["predictor"], uri, sha256)
        joined(self.name, predictor["name"], "predictor")
        if never_served(service):
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
        # pods of the earlier release have to come up next to it before they can take over
        self._take_over(service, restorable(json.loads(kept)), (100,), gated=False)

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
        self._patch({"metadata": {"annotations": kept}, "spec": {"predictor": in_place_of(was, predictor)}})
        self._settle(predictor, was)

    def _settle(self, predictor: Resource, was: Resource) -> None:
        """Wait until the first release serves, or leave the place as it was."""
        done: Resource = {"metadata": {"annotations": {WAITED_AS: None}}}
        try:
            self._until_ready()
        except (Exception, KeyboardInterrupt) as error:
            self._withdraw({**done, "spec": {"predictor": in_place_of(predictor, was)}})
            raise RolledBackError(f"{error or 'Interrupted.'} {self.name} waits for a release, as before.") from error
        self._patch(done)
        log.info("%s: %s serves", self.name, predictor["name"])

    def _until_ready(self) -> None:
        deadline = self.now() + self.gate.ready_within_s
        for found in follow(self.api, self._place, self.name, deadline, self.patience, self.now):
            if is_ready(found or {}):
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
        service = joined(self.name, predictor["name"], "predictor")
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
        """The canary's pods become the predictor's: same name, same template, so nothing restarts.

        Ctrl-C does not stop it half way, a second one does: UserError with the way to finish.
        """
        was = service["spec"]["predictor"]
        scaling = {k: was[k] for k in (*SCALING, "minReplicas") if k in was}
        body = {
            "metadata": {"annotations": {PREVIOUS: json.dumps(was, sort_keys=True)}},
            "spec": {"predictor": in_place_of(was, {**predictor, **scaling}), "canary": None},
        }
        left = f"{predictor['name']} passed its gate and has not taken the place yet; the same `mf deploy` finishes it."
        for is_last in (False, True):
            try:
                self._until_done(body, left)
                break
            except KeyboardInterrupt as error:
                if is_last:
                    raise UserError(f"Interrupted: {left}") from error
                log.warning("%s: the release has passed its gate; its promotion is finished first", self.name)
        log.info("%s: %s serves alone", self.name, predictor["name"])

    def _service(self) -> Resource:
        try:
            found = lambda: read(self.api, self._place, self.name, self.patience)  # noqa: E731
            service = insist(found, self.patience, self._may("get"))
        except ApiException as error:
            raise in_words(error, f"reading {self.name}") from error
        except HTTPError as error:
            raise UserError(
                f"the API does not answer ({type(error).__name__}): see where KUBECONFIG points."
            ) from error
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
            insist(lambda: self._asked(body), self.patience, self._may("patch"))
        except ApiException as error:
            raise in_words(error, f"changing {self.name}") from error
        except HTTPError as error:
            raise UserError(f"the API does not answer to a change of {self.name} ({type(error).__name__}).") from error

    def _asked(self, body: Mapping[str, Any]) -> None:
        patch = client.CustomObjectsApi(self.api).patch_namespaced_custom_object
        patch(*self._place.path, self.name, body, _request_timeout=self.patience.timeout)

    def _withdraw(self, body: Mapping[str, Any]) -> None:
        """Change the service back, tried until it is done: nobody is left with a release that was not judged.

        Raises UserError, with the way, where Ctrl-C ends that or the API refuses the change itself.
        """
        left = f"{self.name} still has a release that nobody judged; take it away with `mf deploy --rollback`."
        try:
            self._until_done(body, left)
        except KeyboardInterrupt as error:
            raise UserError(f"Interrupted: {left}") from error

    def _until_done(self, body: Mapping[str, Any], left: str) -> None:
        """Change the service, whatever the API answers meanwhile; UserError, with what is left, where it refuses."""
        patience = replace(self.patience, insist_s=math.inf, forbidden_s=math.inf)
        try:
            insist(lambda: self._asked(body), patience)
        except ApiException as error:
            raise UserError(f"{in_words(error, f'changing {self.name}')} {left}") from error

    def _may(self, verb: str) -> Callable[[str], bool]:
        return lambda _: may(self.api, self._place, verb, self.patience)

    @property
    def _place(self) -> Place:
        return Place(GROUP, VERSION, PLURAL, self.namespace)
