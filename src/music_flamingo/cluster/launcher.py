"""Run a job to its end: submit or adopt, watch, follow the log, restart if retryable, clean up.

- The same work of the same run has one name: a step that is tried again finds its job (409). It adopts one that runs
  or has succeeded, starts one anew that the cluster took away, and repeats the error of one that failed for good.
- The job belongs to the step's pod: it goes when that pod is deleted, whatever becomes of this process.
- SIGTERM and the time limit delete it. What it saved lies on the shared volume, and the next start goes on from there.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from kubernetes import client
from kubernetes.client.rest import ApiException
from urllib3.exceptions import HTTPError

from music_flamingo.cluster.api import CONFLICT, NOT_FOUND, in_words
from music_flamingo.cluster.jobs import RESTARTS, JobKind, JobSettings, Resource, StageJob, named
from music_flamingo.cluster.kinds import kind_of
from music_flamingo.cluster.logs import Follower
from music_flamingo.cluster.pods import Verdict, verdict, waiting_for
from music_flamingo.cluster.watching import Patience, Place, follow, insist, may, read
from music_flamingo.core.errors import UserError

log = logging.getLogger(__name__)

MAX_RESTARTS = 3


class JobFailedError(UserError):
    """A job failed for good, or too often, or took too long."""


class Cancelled(BaseException):
    """SIGTERM came."""


def own_pod() -> dict[str, str] | None:
    """Owner reference to the pod this runs in, by the variables that Kubeflow Pipelines sets; None outside one."""
    name, uid = os.environ.get("KFP_POD_NAME"), os.environ.get("KFP_POD_UID")
    return {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid} if name and uid else None


@dataclass
class Launcher:
    """Runs one job: API client, namespace, settings, log file, patience."""

    api: client.ApiClient
    namespace: str
    settings: JobSettings
    kept_log: Path
    """The log of rank 0 is added to this file."""
    show: Callable[[str], None] = print
    patience: Patience = field(default_factory=Patience)
    now: Callable[[], float] = time.monotonic

    @property
    def kind(self) -> JobKind:
        """The kind of job."""
        return kind_of(self.settings)

    @property
    def place(self) -> Place:
        """API group, version, plural and namespace of the job."""
        return Place(self.kind.group, self.kind.version, self.kind.plural, self.namespace)

    def run(self, work: StageJob, owner: Mapping[str, str] | None = None) -> str:
        """Do the work by a job and wait for its success; gives the job's name.

        Raises JobFailedError when it failed, Cancelled after SIGTERM, UserError when the cluster refuses for good; the
        job is gone then, unless it failed or the error names it as left.
        """
        job = named(self.kind.render(self.settings, work), work, self.namespace, owner)
        name, deadline = job["metadata"]["name"], self.now() + self.settings.timeout_s
        with self._deleted_on_cancel(name):
            restarts = self._submit(job)
            while (ended := self._one_start(name, deadline)) is not None:
                if ended.kind in ("final", "deleted") or restarts >= MAX_RESTARTS:
                    self._fail(name, ended, restarts)
                restarts += 1
                log.warning("%s: %s; start %d of %d anew", name, ended.detail, restarts, MAX_RESTARTS)
                self._replace(job, restarts, deadline)
        return str(name)

    def _one_start(self, name: str, deadline: float) -> Verdict | None:
        """Watch and follow one start of the job; None after success, else why it ended."""
        follower = self._follower(name)
        follower.start()
        try:
            return self._wait(name, deadline)
        except (Cancelled, KeyboardInterrupt):
            # seconds are left until SIGKILL: the job has to go first
            follower.finish(within_s=0)
            raise
        finally:
            # before a job is deleted its log has to be here
            follower.finish(self.patience.log_rest_s)

    def _submit(self, job: Resource) -> int:
        """Create the job, or adopt the one that is there; gives how often it was started anew."""
        name = job["metadata"]["name"]
        try:
            self._create(job)
            log.info("%s: created (%s)", name, self.settings.kind)
            return 0
        except ApiException as error:
            if error.status != CONFLICT:
                raise in_words(error, f"creating {name}") from error
        found = insist(lambda: read(self.api, self.place, name, self.patience), self.patience, self._may("get"))
        if found is None or found["metadata"].get("deletionTimestamp"):
            # an earlier step's job is on its way out
            self._replace(job, 0, self.now() + self.settings.timeout_s)
            return 0
        log.info("%s: adopted, it is %s", name, self.kind.condition(found).phase)
        self._adopt(name, job)
        return int(found["metadata"].get("annotations", {}).get(RESTARTS, 0))

    def _create(self, job: Resource) -> None:
        create = client.CustomObjectsApi(self.api).create_namespaced_custom_object
        insist(lambda: create(*self.place.path, job, **self._soon), self.patience, self._may("create"))

    def _adopt(self, name: str, job: Resource) -> None:
        """The job belongs to this step from now on: it must not go with the pod of the try before."""
        owners = job["metadata"].get("ownerReferences")
        if not owners:
            return
        body = {"metadata": {"ownerReferences": owners}}
        try:
            patch = client.CustomObjectsApi(self.api).patch_namespaced_custom_object
            insist(lambda: patch(*self.place.path, name, body, **self._soon), self.patience, self._may("patch"))
        except ApiException as error:
            raise in_words(error, f"adopting {name}") from error

    def _wait(self, name: str, deadline: float) -> Verdict | None:
        """None after success, else why the job ended."""
        phase, reported = "", ""
        for job in follow(self.api, self.place, name, deadline, self.patience, self.now):
            if job is None or job["metadata"].get("deletionTimestamp"):
                return Verdict("deleted", "it was deleted from outside")
            condition = self.kind.condition(job)
            if condition.phase != phase:
                phase = condition.phase
                log.info("%s: %s", name, f"suspended, {self._queue}" if phase == "suspended" else phase)
            if phase == "succeeded":
                return None
            if phase == "failed":
                return self._judge(name, condition.told)
            if phase == "waiting" and (why := waiting_for(self._pods(name))) and why != reported:
                reported = why
                log.warning("%s waits: %s", name, why)
        reported = (phase != "running" and waiting_for(self._pods(name))) or reported
        reported = self._queue if phase == "suspended" else reported
        self._delete(name)
        waited = f" It waited: {reported}" if reported else ""
        raise JobFailedError(
            f"the job {name} was not done within {self.settings.timeout_s} s and was deleted. What it saved stays: run "
            f"again to go on, with a longer `timeout_s` if that is what it needs.{waited}"
        )

    def _judge(self, name: str, told: str) -> Verdict:
        """Why the job failed, by its pods: without them an eviction would count as a failure, a final one as another.

        An API in trouble is asked again; one that stays so leaves the job's own words.
        """
        try:
            return verdict(insist(lambda: self._listed(name), self.patience), told)
        except (ApiException, HTTPError) as error:
            log.warning("the pods of %s are not listed: %s", name, error)
            return verdict([], told)

    def _pods(self, name: str) -> list[dict[str, Any]]:
        """The job's pods; none while the API is in trouble."""
        try:
            return self._listed(name)
        except (ApiException, HTTPError) as error:
            log.debug("the pods of %s are not listed: %s", name, error)
            return []

    def _listed(self, name: str) -> list[dict[str, Any]]:
        core = client.CoreV1Api(self.api)
        found = core.list_namespaced_pod(self.namespace, label_selector=self.kind.pods(name), **self._soon)
        return [self.api.sanitize_for_serialization(pod) for pod in found.items]

    def _replace(self, job: Resource, restarts: int, deadline: float) -> None:
        """Delete the job, wait until its name is free, create it again."""
        name = job["metadata"]["name"]
        self._delete(name)
        for found in follow(self.api, self.place, name, deadline, self.patience, self.now):
            if found is None:
                break
        metadata = {**job["metadata"], "annotations": {**job["metadata"]["annotations"], RESTARTS: str(restarts)}}
        try:
            self._create({**job, "metadata": metadata})
        except ApiException as error:
            # the answer to a creation that was asked for twice
            if error.status == CONFLICT:
                return
            raise in_words(error, f"creating {name} again") from error

    def _delete(self, name: str) -> None:
        try:
            delete = client.CustomObjectsApi(self.api).delete_namespaced_custom_object
            gone = lambda: delete(*self.place.path, name, propagation_policy="Foreground", **self._soon)  # noqa: E731
            insist(gone, self.patience, self._may("delete"))
        except ApiException as error:
            if error.status != NOT_FOUND:
                raise in_words(error, f"deleting {name}") from error

    def _leave(self, name: str) -> str:
        """Delete the job of a launcher that gives up; gives what became of it, in words."""
        try:
            self._delete(name)
        except (UserError, HTTPError) as error:
            log.warning("%s: not deleted: %s", name, error)
            way = f"kubectl delete {self.kind.plural}.{self.kind.group} {name} -n {self.namespace}"
            return f"The job {name} may still be there; delete it with: {way}"
        return f"The job {name} was deleted, what it saved stays."

    def _may(self, verb: str) -> Callable[[str], bool]:
        return lambda _: may(self.api, self.place, verb, self.patience)

    @property
    def _queue(self) -> str:
        return f"in the queue {self.settings.queue} of Kueue" if self.settings.queue else "by somebody"

    @property
    def _soon(self) -> dict[str, Any]:
        return {"_request_timeout": self.patience.timeout}

    def _fail(self, name: str, ended: Verdict, restarts: int) -> NoReturn:
        tries = f" {restarts + 1} times" if restarts else ""
        remedy = {
            "final": "Mend that; the same job would fail again.",
            "deleted": "Its checkpoints stay: run again to go on from the last, once whoever deleted it agrees.",
            "failed": "Its checkpoints stay: run again to go on from the last.",
            "taken_away": "Its checkpoints stay: run again when the cluster has room, or with a higher priority.",
        }[ended.kind]
        raise JobFailedError(f"the job {name} failed{tries}: {ended.detail}. {remedy} Its log: {self.kept_log}")

    def _follower(self, name: str) -> Follower:
        return Follower(
            api=self.api,
            namespace=self.namespace,
            selector=self.kind.first_pod(name),
            container=self.kind.container,
            kept=self.kept_log,
            show=self.show,
            patience=self.patience,
        )

    @contextmanager
    def _deleted_on_cancel(self, name: str) -> Iterator[None]:
        """SIGTERM and Ctrl-C delete the job. Signals come to the main thread; elsewhere nothing is installed."""
        main = threading.current_thread() is threading.main_thread()
        before = signal.signal(signal.SIGTERM, _cancel) if main else None
        try:
            yield
        except (Cancelled, KeyboardInterrupt):
            log.warning("%s: cancelled; the job is deleted, what it saved stays", name)
            log.info(self._leave(name))
            raise
        except JobFailedError:
            raise
        except (UserError, ApiException, HTTPError) as error:
            raise UserError(f"{error} {self._leave(name)}") from error
        except Exception as error:
            # a slip of ours is no reason to leave GPUs taken
            error.add_note(self._leave(name))
            raise
        finally:
            if main:
                signal.signal(signal.SIGTERM, before)


def _cancel(number: int, frame: object) -> NoReturn:
    del number, frame
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Cancelled
