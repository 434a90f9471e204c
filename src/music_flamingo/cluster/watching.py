"""List-then-watch a resource; relist on 410 Gone."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from kubernetes import client, watch
from kubernetes.client.rest import ApiException
from urllib3.exceptions import HTTPError

from music_flamingo.cluster.api import FORBIDDEN, GONE, NOT_FOUND, in_words

log = logging.getLogger(__name__)

Resource = dict[str, Any]
T = TypeVar("T")
IN_TROUBLE = (429, 500, 502, 503, 504)


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
    """Between two attempts to reach an API that does not answer."""
    insist_s: float = 300.0
    """A change that an API in trouble does not take is tried again for so long."""
    log_rest_s: float = 30.0
    """How long the rest of a log may take to come after the job's end."""


def read(api: client.ApiClient, place: Place, name: str) -> Resource | None:
    """The resource, or None where there is none."""
    try:
        found: Resource = client.CustomObjectsApi(api).get_namespaced_custom_object(*place.path, name)
    except ApiException as error:
        if error.status == NOT_FOUND:
            return None
        raise
    return found


def insist(change: Callable[[], T], patience: Patience) -> T:
    """Make a change, again and again while the API is in trouble (429, 5xx, no answer). Raises what it ends with."""
    end = time.monotonic() + patience.insist_s
    while True:
        try:
            return change()
        except ApiException as error:
            if error.status not in IN_TROUBLE or time.monotonic() > end:
                raise
            _pause(f"the API answers {error.status} {error.reason}", patience)
        except HTTPError as error:
            if time.monotonic() > end:
                raise
            _pause(f"the API does not answer ({type(error).__name__})", patience)


def follow(
    api: client.ApiClient, place: Place, name: str, deadline: float, patience: Patience, now: Callable[[], float]
) -> Iterator[Resource | None]:
    """The resource now and after each change, None when it is gone; ends at the deadline.

    An API that does not answer is asked again until the deadline. Raises UserError when reading is not allowed.
    """
    while now() < deadline:
        try:
            found = read(api, place, name)
            yield found
            if found is not None:
                left = min(patience.watch_s, deadline - now())
                yield from _changes(api, place, found, left)
            else:
                time.sleep(patience.pause_s)
        except ApiException as error:
            if error.status == GONE:
                continue
            if error.status in FORBIDDEN:
                raise in_words(error, f"reading {place.plural}") from error
            _pause(f"the API answers {error.status} {error.reason}", patience)
        except HTTPError as error:
            if "Read timed out" not in str(error):
                _pause(f"the API does not answer ({type(error).__name__})", patience)


def _changes(api: client.ApiClient, place: Place, found: Resource, left_s: float) -> Iterator[Resource | None]:
    name = found["metadata"]["name"]
    seconds = max(1, int(left_s))
    events = watch.Watch().stream(
        client.CustomObjectsApi(api).list_namespaced_custom_object,
        *place.path,
        field_selector=f"metadata.name={name}",
        resource_version=found["metadata"].get("resourceVersion"),
        timeout_seconds=seconds,
        # a connection that died without a word must not hold us: the server ends the watch before this
        _request_timeout=(10, left_s + 5),
    )
    for event in events:
        if event["object"].get("metadata", {}).get("name") == name:
            yield None if event["type"] == "DELETED" else event["object"]


def _pause(what: str, patience: Patience) -> None:
    log.warning("%s; asking again in %g s", what, patience.pause_s)
    time.sleep(patience.pause_s)
