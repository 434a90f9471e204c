"""Work on what strangers send, in processes of its own, each with a limit of memory and time.

A decoder is the part of a server that strangers feed. What goes wrong in there, down to a crash of FFmpeg, costs one
request its answer and the pool a process; the server and the other requests go on.
"""

import multiprocessing
import resource
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import FrameType
from typing import Any

from music_flamingo.serving.errors import ApiError

MEMORY_BYTES = 4 * 2**30
"""Address space of a process: 20 minutes take about 300 MB to decode and 1.4 GB to measure, and libraries reserve
more than they use."""


class Isolated:
    """A pool that calls one function. The function is a module's own; it may raise ApiError."""

    def __init__(self, function: Callable[..., Any], workers: int, time_s: float) -> None:
        self.time_s = time_s
        self._function = function
        self._workers = workers
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None

    def __call__(self, *arguments: object) -> Any:
        """From any thread. Raises the function's ApiError, or one (422) when it took too much or died."""
        for _ in range(2):  # another request may have broken the pool under this one
            pool = self._running()
            try:
                found = pool.submit(_call, self._function, arguments, self.time_s).result()
            except BrokenProcessPool:
                self._drop(pool)
                continue
            if isinstance(found, ApiError):
                raise found
            return found
        raise ApiError(422, "the recording broke its reader, twice: send it in another format.", "audio_unreadable")

    def start(self) -> None:
        """Have a process ready before the first recording comes."""
        self._running().submit(_nothing).result()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _running(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                # spawned: a fork of a process with the model's threads may hang
                context = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(self._workers, mp_context=context, initializer=_limit)
            return self._pool

    def _drop(self, pool: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is pool:
                self._pool = None
        pool.shutdown(wait=False)


class _TooSlowError(Exception):
    pass


def _call(function: Callable[..., Any], arguments: tuple[object, ...], time_s: float) -> Any:
    """Errors are given back: they travel between processes as values."""
    signal.setitimer(signal.ITIMER_REAL, time_s)
    try:
        return function(*arguments)
    except ApiError as error:
        return error
    except (_TooSlowError, MemoryError):
        return ApiError(422, "the recording takes too much time or memory.", "audio_too_costly")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _nothing() -> None:
    pass


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, _too_slow)
    # Ctrl-C goes to the server, which ends its processes when it is done
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _too_slow(number: int, frame: FrameType | None) -> None:
    raise _TooSlowError
