"""Follow the log of a job's first pod into a file, without repetition or loss.

A stream that breaks off is opened again from a little before the last line that came. Lines are asked for with their
time stamps, so that those of the overlap are known again; a line torn by the break is shown when it comes whole.
"""

import logging
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubernetes import client
from kubernetes.client.rest import ApiException
from urllib3.exceptions import HTTPError

from music_flamingo.cluster.api import NOT_FOUND
from music_flamingo.cluster.watching import Patience, Retries

log = logging.getLogger(__name__)

OVERLAP_S = 15.0
"""Asked for again after a break: more than a line can be on its way."""
REMEMBERED = 50_000
"""Lines that can be known again."""
ENDED = ("Succeeded", "Failed")


@dataclass
class LogTail:
    """The last lines that were shown, with their time stamps."""

    lines: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def again(self) -> Counter[str]:
        """The lines with their counts, to recognise them when a stream is reopened."""
        return Counter(self.lines)


@dataclass
class Follower:
    """Follows the first pod of a job, and the one that takes its place."""

    api: client.ApiClient
    namespace: str
    selector: str
    container: str
    kept: Path
    show: Callable[[str], None]
    patience: Patience
    quiet_s: float = 120.0
    """A stream that says nothing for so long is opened again: the connection may be dead."""
    _stop: threading.Event = field(default_factory=threading.Event)
    _abandon: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _done: set[str] = field(default_factory=set)

    def start(self) -> None:
        """Follow in a background thread."""
        self._thread = threading.Thread(target=self._follow_all, daemon=True)
        self._thread.start()

    def finish(self, within_s: float) -> None:
        """Let what is still coming come for so long, then stop."""
        self._stop.set()
        if self._thread and not self._abandon.is_set():
            self._thread.join(within_s)
        self._abandon.set()

    def _follow_all(self) -> None:
        self.kept.parent.mkdir(parents=True, exist_ok=True)
        with self.kept.open("a", encoding="utf-8") as file:
            while not self._abandon.is_set():
                stopping = self._stop.is_set()
                pods = self._pods()
                for pod in pods or ():
                    self._follow(pod, file)
                # what is still to come after the job's end cannot be known from an API that does not list
                if stopping and pods is not None:
                    return
                (self._abandon if stopping else self._stop).wait(self.patience.pause_s)

    def _pods(self) -> list[Any] | None:
        """Started pods of rank 0 that were not followed to their end; None where the API does not say."""
        core = client.CoreV1Api(self.api)
        try:
            found = core.list_namespaced_pod(self.namespace, label_selector=self.selector, **self._soon).items
        except (ApiException, HTTPError) as error:
            log.debug("pods are not listed: %s", error)
            return None
        return [p for p in found if p.metadata.uid not in self._done and p.status.phase not in (None, "Pending")]

    @property
    def _soon(self) -> dict[str, Any]:
        return {"_request_timeout": self.patience.timeout}

    def _follow(self, pod: Any, file: Any) -> None:
        seen, last_came, ends, retries = LogTail(), time.monotonic(), 0, Retries(self.patience)
        # an API server that shuts down ends a stream as a pod's end does: the end is believed the second time
        while ends < 2 and not self._abandon.is_set():
            # judged before the stream is opened: what comes after an end is the whole rest
            ended = self._ended(pod)
            since_s = math.ceil(time.monotonic() - last_came + OVERLAP_S) if seen.lines else None
            known, rest, fresh = seen.again(), b"", 0
            try:
                for chunk in self._stream(pod, since_s):
                    *whole, rest = (rest + chunk).split(b"\n")
                    fresh += sum(self._take(line, known, seen, file) for line in whole)
                    last_came = time.monotonic()
                if ended and rest:
                    fresh += self._take(rest, known, seen, file)
                ends = ends + 1 if ended else 0
            except ApiException as error:
                if error.status == NOT_FOUND:
                    break
                log.debug("no log of %s: %s %s", pod.metadata.name, error.status, error.reason)
            except HTTPError as error:
                log.debug("the log of %s broke off (%s); opened again", pod.metadata.name, type(error).__name__)
            if fresh:
                retries.succeeded("log")
            if ends < 2:
                self._pause(retries)
        self._done.add(pod.metadata.uid)

    def _pause(self, retries: Retries) -> None:
        """Ever longer while the pod runs; short when the job has ended and little time is left."""
        if self._stop.is_set():
            self._abandon.wait(self.patience.pause_s)
        else:
            self._stop.wait(retries.next_pause_s())

    def _take(self, raw: bytes, known: Counter[str], seen: LogTail, file: Any) -> bool:
        """Show and keep a line; False for one that is known from before a break."""
        line = raw.decode(errors="replace")
        if known[line] > 0:
            known[line] -= 1
            return False
        seen.lines.append(line)
        words = line.partition(" ")[2].rstrip("\r")
        file.write(words + "\n")
        file.flush()
        self.show(words)
        return True

    def _ended(self, pod: Any) -> bool:
        now = self._now(pod)
        return now is None or now.metadata.uid != pod.metadata.uid or now.status.phase in ENDED

    def _now(self, pod: Any) -> Any:
        """The pod that has this name now: another one, when the job was started anew; None when none has."""
        try:
            return client.CoreV1Api(self.api).read_namespaced_pod(pod.metadata.name, self.namespace, **self._soon)
        except ApiException as error:
            return None if error.status == NOT_FOUND else pod
        except HTTPError:
            return pod

    def _stream(self, pod: Any, since_s: int | None) -> Iterator[bytes]:
        more = {} if since_s is None else {"since_seconds": since_s}
        response = client.CoreV1Api(self.api).read_namespaced_pod_log(
            pod.metadata.name,
            self.namespace,
            container=self.container,
            follow=True,
            timestamps=True,
            _preload_content=False,
            _request_timeout=(10, self.quiet_s),
            **more,
        )
        try:
            # a log is asked for by name: looked at after the stream is open, an older pod of the name cannot pass
            now = self._now(pod)
            if now is None or now.metadata.uid == pod.metadata.uid:
                yield from response.stream(amt=2**16, decode_content=False)
        finally:
            # closed first: a stream that was left before its end must not serve the next request
            response.close()
            response.release_conn()
