"""List-then-watch a resource; relist on 410 Gone.

An API server that starts answers 401 and 403 until its authorizer is filled, and watches end early when it stops. So a
refusal is final only when it lasts, and each try that follows at once on another waits longer than the one before.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from kubernetes import client, watch
from kubernetes.client.rest import ApiException
from urllib3.exceptions import HTTPError

from music_flamingo.cluster.api import FORBIDDEN, GONE, IN_TROUBLE, NOT_FOUND, UNAUTHORIZED, in_words

log = logging.getLogger(__name__)

Resource = dict[str, Any]
T = TypeVar("T")
GOING_S = 5.0
"""A resource that is being deleted is looked at again after this time."""


@dataclass(frozen=True)
class Place:
    """Where resources of one kind lie."""

    group: str
    version: str
    plural: str
    namespace: str

    @property
    def path(self) -> tuple[str, str, str, str]:
        """Group, version, namespace and plural, as the client takes them."""
        return self.group, self.version, self.namespace, self.plural


@dataclass(frozen=True)
class Patience:
    """How long is waited, in seconds."""

    watch_s: float = 60.0
    """A watch is ended and the resource read again after this time, whatever comes."""
    pause_s: float = 2.0
    """Before the second attempt to reach an API that does not answer; each further pause is twice as long."""
    longest_pause_s: float = 30.0
    insist_s: float = 300.0
    """A change that an API in trouble does not take is tried again for so long."""
    forbidden_s: float = 60.0
    """401 and 403 are final when they last so long: a server that has just started gives them to everybody."""
    answer_s: float = 30.0
    """A request whose answer takes longer is given up: its connection may be dead without a word."""
    log_rest_s: float = 90.0
    """How long the rest of a log may take to come after the job's end: some requests without an answer included."""

    @property
    def timeout(self) -> tuple[float, float]:
        """For connecting and for each read, as the client takes it."""
        return min(self.answer_s, 10.0), self.answer_s


def read(api: client.ApiClient, place: Place, name: str, patience: Patience) -> Resource | None:
    """The resource, or None where there is none."""
    try:
        get = client.CustomObjectsApi(api).get_namespaced_custom_object
        found: Resource = get(*place.path, name, _request_timeout=patience.timeout)
    except ApiException as error:
        if error.status == NOT_FOUND:
            return None
        raise
    return found


@dataclass
class Retries:
    """Pauses that grow from one attempt to the next, and since when the API refuses."""

    patience: Patience
    now: Callable[[], float] = time.monotonic
    _pause_s: float = 0.0
    _refused: tuple[str, float] | None = None

    def allowed(self, verb: str) -> None:
        """The API took this verb: a refusal of it that comes later is a new one. The pause stays as it is."""
        if self._refused and self._refused[0] == verb:
            self._refused = None

    def succeeded(self, verb: str) -> None:
        """The API took this verb and is well; the next trouble begins with a short pause."""
        self.allowed(verb)
        self._pause_s = 0.0

    def is_final(self, error: ApiException, verb: str, review: Callable[[str], bool]) -> bool:
        """Whether a 401 or 403 has lasted, and a review of the right does not say that it is there after all."""
        if error.status not in FORBIDDEN:
            self._refused = None
            return False
        if self._refused is None or self._refused[0] != verb:
            self._refused = verb, self.now()
        if self.now() - self._refused[1] < self.patience.forbidden_s:
            return False
        return error.status == UNAUTHORIZED or not review(verb)

    def pause(self, what: str, level: int = logging.WARNING) -> None:
        """Wait, longer from time to time."""
        pause_s = self.next_pause_s()
        log.log(level, "%s; asking again in %g s", what, pause_s)
        time.sleep(pause_s)

    def next_pause_s(self) -> float:
        """The next pause, in seconds, twice as long as the one before."""
        self._pause_s = min(max(self._pause_s * 2, self.patience.pause_s), self.patience.longest_pause_s)
        return self._pause_s


def may(api: client.ApiClient, place: Place, verb: str, patience: Patience) -> bool:
    """Whether the API's own review (SelfSubjectAccessReview) gives us a verb on a kind; False where it does not say."""
    asked = {"group": place.group, "resource": place.plural, "namespace": place.namespace, "verb": verb}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    try:
        answer = client.AuthorizationV1Api(api).create_self_subject_access_review(
            body, _request_timeout=patience.timeout
        )
    except (ApiException, HTTPError) as error:
        log.debug("the right to %s %s is not reviewed: %s", verb, place.plural, error)
        return False
    return bool(answer.status and answer.status.allowed)


def insist(change: Callable[[], T], patience: Patience, review: Callable[[str], bool] = lambda verb: False) -> T:
    """Make a change, again and again while the API is in trouble (429, 5xx, no answer) or refuses for a moment.

    Raises what it ends with. `review` says whether the right is there, when a refusal lasts.
    """
    retries, end = Retries(patience), time.monotonic() + patience.insist_s
    while True:
        try:
            return change()
        except ApiException as error:
            passes = error.status in (*IN_TROUBLE, *FORBIDDEN) and not retries.is_final(error, "change", review)
            if not passes or time.monotonic() > end:
                raise
            retries.pause(f"the API answers {error.status} {error.reason}")
        except HTTPError as error:
            if time.monotonic() > end:
                raise
            retries.pause(f"the API does not answer ({type(error).__name__})")


def follow(
    api: client.ApiClient, place: Place, name: str, deadline: float, patience: Patience, now: Callable[[], float]
) -> Iterator[Resource | None]:
    """The resource now and after each change, None when it is gone; ends at the deadline.

    An API that does not answer is asked again until the deadline. Raises UserError when reading stays forbidden.
    """
    retries = Retries(patience, now)
    while now() < deadline:
        verb = "get"
        try:
            found = read(api, place, name, patience)
            # a watch that may not be kept, or ends at once, is no reason to ask faster: reading alone resets no pause
            if found is None:
                retries.succeeded(verb)
            retries.allowed(verb)
            yield found
            if found is None:
                time.sleep(patience.pause_s)
                continue
            verb, begun = "watch", now()
            yield from _changes(api, place, found, min(patience.watch_s, deadline - now()), patience)
            retries.allowed(verb)
            if now() - begun >= patience.pause_s:
                retries.succeeded(verb)
            else:
                retries.pause("the watch ended at once", logging.DEBUG)
        except ApiException as error:
            if retries.is_final(error, verb, lambda wanted: may(api, place, wanted, patience)):
                raise in_words(error, f"reading {place.plural}") from error
            level = logging.DEBUG if error.status == GONE else logging.WARNING
            retries.pause(f"the API answers {error.status} {error.reason}", level)
        except HTTPError as error:
            if "Read timed out" in str(error):
                retries.succeeded(verb)
            else:
                retries.pause(f"the API does not answer ({type(error).__name__})")


def _changes(
    api: client.ApiClient, place: Place, found: Resource, left_s: float, patience: Patience
) -> Iterator[Resource | None]:
    """The resource as it is now and after each change, as the server's own newest version tells it.

    Not from the object's version: a server that has compacted it away answers 410 for as long as nothing changes.
    """
    name = found["metadata"]["name"]
    if found["metadata"].get("deletionTimestamp"):
        # its end may come between reading and watching, and a watch without a version does not tell it
        left_s = min(left_s, GOING_S)
    events = watch.Watch().stream(
        client.CustomObjectsApi(api).list_namespaced_custom_object,
        *place.path,
        field_selector=f"metadata.name={name}",
        timeout_seconds=max(1, int(left_s)),
        # a connection that died without a word must not hold us: the server ends the watch before this
        _request_timeout=(patience.timeout[0], left_s + min(patience.answer_s, 5.0)),
    )
    for event in events:
        if event["object"].get("metadata", {}).get("name") == name:
            yield None if event["type"] == "DELETED" else event["object"]
