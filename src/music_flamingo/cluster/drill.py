"""`mf drill`: take a worker away from a running training job, and say what that cost.

The pod is deleted as a pre-emption would delete it. The step that launched the job starts it anew, and training goes
on from its newest checkpoint. What was lost is read from the log of rank 0: its last line of progress before, and how
many steps are still to do after.
"""

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kubernetes import client
from kubernetes.client.rest import ApiException
from urllib3.exceptions import HTTPError

from music_flamingo.cluster.api import in_words
from music_flamingo.cluster.jobs import NAME_LABEL, RESTARTS, JobKind, Resource
from music_flamingo.cluster.kinds import KINDS
from music_flamingo.cluster.watching import Patience, Place, insist, read
from music_flamingo.core.errors import UserError

log = logging.getLogger(__name__)

PROGRESS = re.compile(r"\b(\d+)/(\d+) steps\b")
"""Of a line of `core.progress`: done in this start, and to do from this start on."""


@dataclass(frozen=True)
class DrillReport:
    """What the loss of a worker cost."""

    job: str
    pod: str
    away_s: float
    """From the deletion to all pods running again."""
    lost_steps: int | None
    """Done before and to be done again; None where the log does not say."""

    def line(self) -> str:
        """The report as a sentence."""
        steps = "an unknown number of steps" if self.lost_steps is None else f"{self.lost_steps} steps"
        return f"{self.job}: without {self.pod} for {self.away_s:.0f} s; {steps} are done again"


@dataclass(frozen=True)
class Drill:
    """One drill in a namespace."""

    api: client.ApiClient
    namespace: str
    within_s: float = 1800.0
    """The job has to run again and to show its progress in this time."""
    patience: Patience = field(default_factory=Patience)
    now: Callable[[], float] = time.monotonic

    def run(self, name: str | None = None) -> DrillReport:
        """Delete the last worker of a running job (the only one, unless named), and wait until it trains again.

        Raises UserError where no such job runs, where it has no worker, and where it does not run again in time.
        """
        kind, job = self._running(name)
        name, restarts = job["metadata"]["name"], _restarts(job)
        pods = sorted(self._pods(kind, name), key=lambda pod: pod.metadata.name)
        first = {pod.metadata.uid for pod in self._list(kind.first_pod(name))}
        workers = [pod for pod in pods if pod.metadata.uid not in first]
        if not workers:
            raise UserError(f"{name} has one pod alone: a drill takes away a worker of a job of several nodes.")
        before = self._progress(kind, name)
        gone, begun = workers[-1].metadata.name, self.now()
        self._asked(lambda: self._core.delete_namespaced_pod(gone, self.namespace, **self._soon), f"deleting {gone}")
        log.info("%s: %s is deleted; waiting for its next start", name, gone)
        while not self._runs_again(kind, name, restarts, len(pods)):
            if self.now() - begun > self.within_s:
                raise UserError(f"{name} did not run again within {self.within_s:g} s: see `kubectl describe` of it.")
            time.sleep(self.patience.pause_s)
        away_s, after = self.now() - begun, self._progress(kind, name)
        while after is None and self.now() - begun < self.within_s:
            time.sleep(self.patience.pause_s)
            after = self._progress(kind, name)
        return DrillReport(name, gone, away_s, lost(before, after))

    def _running(self, name: str | None) -> tuple[JobKind, Resource]:
        found = []
        for kind in KINDS:
            for job in self._jobs(kind):
                if kind.condition(job).phase == "running" and name in (None, job["metadata"]["name"]):
                    found.append((kind, job))
        if len(found) != 1:
            names = ", ".join(job["metadata"]["name"] for _, job in found)
            raise UserError(
                f"{len(found)} training jobs of ours run in {self.namespace}"
                + (f" ({names}): name one with --job." if found else ": submit one first, as `mf submit` does.")
            )
        return found[0]

    def _jobs(self, kind: JobKind) -> list[Resource]:
        ours = f"{NAME_LABEL}=music-flamingo"
        listed = client.CustomObjectsApi(self.api).list_namespaced_custom_object
        where = (kind.group, kind.version, self.namespace, kind.plural)
        try:
            found = insist(lambda: listed(*where, label_selector=ours, **self._soon), self.patience)
        except ApiException as error:
            if error.status == 404:
                return []
            raise in_words(error, f"listing {kind.plural}") from error
        # a server that knows no labels would give others' jobs as well
        return [j for j in found["items"] if j["metadata"].get("labels", {}).get(NAME_LABEL) == "music-flamingo"]

    def _runs_again(self, kind: JobKind, name: str, restarts: int, pods: int) -> bool:
        place = Place(kind.group, kind.version, kind.plural, self.namespace)
        job = self._asked(lambda: read(self.api, place, name, self.patience), f"reading {name}")
        if job is None or _restarts(job) <= restarts or kind.condition(job).phase != "running":
            return False
        return sum(pod.status.phase == "Running" for pod in self._pods(kind, name)) == pods

    def _progress(self, kind: JobKind, name: str) -> tuple[int, int] | None:
        """(done, to do) of the newest line of progress of rank 0; None where there is none yet."""
        for pod in self._list(kind.first_pod(name)):
            try:
                text = self._core.read_namespaced_pod_log(
                    pod.metadata.name, self.namespace, container=kind.container, tail_lines=200, **self._soon
                )
            except (ApiException, HTTPError) as error:
                log.debug("no log of %s: %s", pod.metadata.name, error)
                continue
            if found := PROGRESS.findall(text):
                done, of = found[-1]
                return int(done), int(of)
        return None

    def _pods(self, kind: JobKind, name: str) -> list[Any]:
        return self._list(kind.pods(name))

    def _list(self, selector: str) -> list[Any]:
        listed = self._core.list_namespaced_pod
        found: list[Any] = self._asked(
            lambda: listed(self.namespace, label_selector=selector, **self._soon).items, "listing pods"
        )
        return found

    def _asked(self, change: Callable[[], Any], doing: str) -> Any:
        try:
            return insist(change, self.patience)
        except ApiException as error:
            raise in_words(error, doing) from error
        except HTTPError as error:
            raise UserError(f"the Kubernetes API does not answer at {doing} ({type(error).__name__}).") from error

    @property
    def _core(self) -> client.CoreV1Api:
        return client.CoreV1Api(self.api)

    @property
    def _soon(self) -> dict[str, Any]:
        return {"_request_timeout": self.patience.timeout}


def lost(before: tuple[int, int] | None, after: tuple[int, int] | None) -> int | None:
    """Steps that are done again: (done, to do) of the start before, and of the next; each counts from its own start."""
    if before is None or after is None:
        return None
    left_before = before[1] - before[0]
    return max(0, after[1] - left_before)


def _restarts(job: Resource) -> int:
    return int(job["metadata"].get("annotations", {}).get(RESTARTS, 0))
