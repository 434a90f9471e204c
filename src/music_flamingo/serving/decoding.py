"""Uploads are decoded in processes of their own, each with a limit of memory and time.

A decoder is the part of a server that strangers feed. What goes wrong in there, down to a crash of FFmpeg, costs one
request its answer and the pool a process; the server and the other requests go on.
"""

import multiprocessing
import resource
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from types import FrameType

import numpy as np

from music_flamingo.audio.windows import Rule
from music_flamingo.core.errors import UserError
from music_flamingo.model.context import Hearing
from music_flamingo.serving.errors import ApiError
from music_flamingo.serving.uploads import Upload, decode_upload

MEMORY_BYTES = 4 * 2**30
"""Address space of a decoding process: 20 minutes take about 300 MB, and libraries reserve more than they use."""
TIME_S = 60.0
"""For one recording: 20 minutes take 2 to 4 s."""
WORKERS = 2


@dataclass(frozen=True)
class Stretch:
    """What the model will hear of a recording."""

    samples: np.ndarray
    """float32 mono at the model's rate."""
    window_s: tuple[float, float]
    duration_s: float


class Decoder:
    """`stretch_of` from any thread."""

    def __init__(self, hearing: Hearing, rule: Rule, workers: int = WORKERS, time_s: float = TIME_S) -> None:
        self._hearing = hearing
        self._rule: Rule = rule
        self._workers = workers
        self._time_s = time_s
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None

    def stretch_of(self, upload: Upload) -> Stretch:
        """Raises ApiError: 400 unreadable, 413 too large, 422 too short, too long or too costly."""
        for _ in range(2):  # another request's recording may have broken the pool under this one
            pool = self._running()
            try:
                found = pool.submit(stretch_of, upload, self._hearing, self._rule, self._time_s).result()
            except BrokenProcessPool:
                self._drop(pool)
                continue
            if isinstance(found, ApiError):
                raise found
            return found
        raise ApiError(422, "the recording broke its decoder, twice: send it in another format.", "audio_unreadable")

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


def stretch_of(upload: Upload, hearing: Hearing, rule: Rule, time_s: float = 0.0) -> Stretch | ApiError:
    """Decode and cut to the stretch that is heard. Errors are given back: they travel between processes as values."""
    signal.setitimer(signal.ITIMER_REAL, time_s)  # 0: no limit
    try:
        return cut(decode_upload(upload, hearing.sample_rate_hz), hearing, rule)
    except ApiError as error:
        return error
    except (_TooSlowError, MemoryError):
        return ApiError(422, "the recording takes too much time or memory to decode.", "audio_too_costly")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def cut(samples: np.ndarray, hearing: Hearing, rule: Rule) -> Stretch:
    """The stretch that is heard of a whole recording. Raises ApiError when it is too short."""
    try:
        start, end = hearing.window_of(len(samples), rule)
    except UserError as error:
        raise ApiError(422, str(error), "audio_too_short") from error
    rate = hearing.sample_rate_hz
    return Stretch(samples[start:end].copy(), (start / rate, end / rate), len(samples) / rate)


def _nothing() -> None:
    pass


class _TooSlowError(Exception):
    pass


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, _too_slow)
    # Ctrl-C goes to the server, which ends its processes when it is done
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _too_slow(number: int, frame: FrameType | None) -> None:
    raise _TooSlowError
