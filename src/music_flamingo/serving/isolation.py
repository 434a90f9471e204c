"""Call a function on untrusted input in sandboxed worker processes (limits of memory and processor time).

A decoder is the part of a server that strangers feed. What goes wrong in there, down to a crash of FFmpeg, costs one
request its answer and the server a process, which another replaces. Each process has a pipe of its own: one that is
killed while it writes keeps nobody waiting (an executor's processes share theirs, and would wait for ever).

All are forked from one process, Python's forkserver, which is begun again when it dies. They end with it, and it ends
with the server, however that ends.

Each kind of work has its processes, its threads and its queue: what is slow of one kind keeps no other kind waiting.
"""

import asyncio
import ctypes
import math
import multiprocessing
import os
import queue
import resource
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from typing import Any

from music_flamingo.serving.errors import ApiError
from music_flamingo.serving.fairness import Turns, busy

MEMORY_BYTES = 4 * 2**30
"""Address space of a process: 20 minutes take about 300 MB to decode and 1.4 GB to measure, and libraries reserve
more than they use."""
STARTING_S = 120.0
TRIES_AFTER_S = (0.0, 0.1, 0.5, 2.0)
"""To start a process: a forkserver that is killed takes a while to end, and until then processes are asked of it."""
PR_SET_PDEATHSIG = 1
"""Linux' name for `the signal to get when the parent ends`, in its prctl.h."""
BUSY = 5
"""A call may take so many times longer by the clock than its processor time: others may have the processor."""
MAX_WAITING = 64
"""Calls that wait for a process; more are turned away."""
LEFT_S = 1.0
"""A call that nobody waits for may run so long: a process costs more than the end of most calls."""


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names of glibc's settings, in its malloc.h."""
KEPT_BYTES = 32 * 2**20
"""The most that glibc takes for either."""


def keep_memory() -> None:
    """Have glibc use freed memory again: arrays of some MB, given back and fetched each time, cost half the time."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    for setting in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD):
        mallopt(setting, KEPT_BYTES)


class Isolated:
    """A few processes that call one function. The function is a module's own; it may raise ApiError."""

    def __init__(
        self,
        function: Callable[..., Any],
        workers: int,
        time_s: float,
        memory_bytes: int = MEMORY_BYTES,
        max_waiting: int = MAX_WAITING,
        niceness: int = 0,
        *,
        by_clock: bool = False,
    ) -> None:
        """`time_s`: processor seconds of a call, or seconds of the clock (`by_clock`) for what mostly waits.
        `niceness`: how far other processes of the machine go first."""
        self._memory_bytes = memory_bytes
        self.time_s = time_s
        self._by_clock = by_clock
        self._function = function
        self._niceness = niceness
        self._turns = Turns(workers, max_waiting)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix=getattr(function, "__name__", "isolated"))
        # the latest first: on a quiet server one process is warm, and the others never start
        self._idle: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(workers):
            self._idle.put(None)
        self._all: weakref.WeakSet[_Worker] = weakref.WeakSet()
        self._is_closed = False
        self._closing = threading.Lock()

    def __call__(self, *arguments: object) -> Any:
        """From any thread. Raises the function's ApiError, or one: 422 when it took too much or died, 429 without a
        process."""
        return self._answer(_Call(), arguments)

    async def run(self, *arguments: object) -> Any:
        """The same from an event loop; cancelled, its process is ended. Raises ApiError (429) when too many wait."""
        async with self._turns.turn():
            call = _Call()
            try:
                return await asyncio.wrap_future(self._threads.submit(self._answer, call, arguments))
            except asyncio.CancelledError:
                asyncio.get_running_loop().call_later(LEFT_S, call.leave)
                raise

    def start(self) -> None:
        """Have a process ready before the first recording comes."""
        self._idle.put(self._idle.get() or self._new())

    def close(self) -> None:
        """End all processes, those at work too: nobody waits for them any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._closing:
            self._is_closed = True
            workers = list(self._all)
        for worker in workers:
            worker.process.kill()

    def _answer(self, call: "_Call", arguments: tuple[object, ...]) -> Any:
        for _ in range(2):  # what killed the process need not have been this recording
            worker = self._idle.get()
            try:
                if worker is None or not worker.process.is_alive():
                    worker = None
                    worker = self._new()
                with call.running_in(worker):
                    found = worker.call(arguments, self.time_s, self.time_s * (1 if self._by_clock else BUSY))
            except (EOFError, OSError) as error:
                if (ended := worker) is not None:
                    ended.end()
                worker = None
                is_costly = isinstance(error, TimeoutError) or (ended is not None and ended.ran_out)
                if is_costly or call.is_left:
                    raise _too_costly() from error
                continue
            finally:
                self._idle.put(worker)
            if isinstance(found, Exception):
                raise found
            return found
        raise ApiError(422, "the recording broke its reader, twice: send it in another format.", "audio_unreadable")

    def _new(self) -> "_Worker":
        for wait_s in TRIES_AFTER_S:
            time.sleep(wait_s)
            try:
                worker = _Worker(self._function, self._memory_bytes, self._niceness)
            except TimeoutError:
                break
            except (EOFError, OSError):
                continue
            with self._closing:
                self._all.add(worker)
                if not self._is_closed:
                    return worker
            worker.end()
            break
        raise busy("no process could be started")


class _Call:
    """One call, which may lose whoever waits for it."""

    def __init__(self) -> None:
        self.is_left = False
        self._worker: _Worker | None = None
        self._lock = threading.Lock()

    @contextmanager
    def running_in(self, worker: "_Worker") -> Iterator[None]:
        """From a thread: while this lasts, `leave` ends the process. Raises OSError where nobody waits any more."""
        with self._lock:
            if self.is_left:
                raise OSError("nobody waits for this call")
            self._worker = worker
        try:
            yield
        finally:
            with self._lock:
                self._worker = None

    def leave(self) -> None:
        """Nobody waits any more: end the process that works for this call, if one still does."""
        with self._lock:
            self.is_left = True
            if self._worker is not None:
                self._worker.process.kill()


def preload(*modules: str, now: bool = False) -> None:
    """Import these once, in the process that later workers are forked from: each then starts in a moment.

    `now`: begin at once, while this process goes on.
    """
    forkserver.set_forkserver_preload(list(modules))
    if now:
        forkserver.ensure_running()


class _Worker:
    def __init__(self, function: Callable[..., Any], memory_bytes: int, niceness: int) -> None:
        # a fork of a process with the model's threads may hang: these come from one that has none
        context = multiprocessing.get_context("forkserver")
        self._pipe, other = context.Pipe()
        self.process = context.Process(target=_work, args=(other, function, memory_bytes, niceness), daemon=True)
        self.process.start()
        other.close()
        try:
            self._receive(STARTING_S)
        except (EOFError, OSError):
            self.end()
            raise

    @property
    def ran_out(self) -> bool:
        """Whether the system ended it at its limit of processor time."""
        return self.process.exitcode == -signal.SIGXCPU

    def call(self, arguments: tuple[object, ...], cpu_s: float, wait_s: float) -> Any:
        """Raises EOFError or OSError when the process dies, TimeoutError when it takes longer."""
        self._pipe.send((arguments, cpu_s))
        return self._receive(wait_s)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self._pipe.close()

    def _receive(self, time_s: float) -> Any:
        if not self._pipe.poll(time_s):
            raise TimeoutError
        return self._pipe.recv()


def _work(pipe: Connection, function: Callable[..., Any], memory_bytes: int, niceness: int) -> None:
    """Until the server's end of the pipe is closed. Errors are given back: they travel as values."""
    _end_with_parent()
    keep_memory()
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(niceness)
    # Ctrl-C goes to the server, which ends its processes when it is done
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe.send(None)
    while True:
        try:
            arguments, cpu_s = pipe.recv()
        except EOFError:
            return
        _allow(cpu_s)
        try:
            found = function(*arguments)
        except MemoryError:
            found = _too_costly()
        except Exception as error:
            found = error
        pipe.send(found)


def _allow(cpu_s: float) -> None:
    """Have the system end this process when it has worked for so many seconds more (whole ones, as it counts)."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    ends_s = math.ceil(used.ru_utime + used.ru_stime + cpu_s)
    resource.setrlimit(resource.RLIMIT_CPU, (ends_s, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _end_with_parent() -> None:
    """Be killed when the forkserver ends, in the midst of native code too; where the system can (Linux)."""
    # the forkserver lasts as long as anybody holds this: the server alone shall
    os.close(forkserver._forkserver._forkserver_alive_fd)  # type: ignore[attr-defined]
    try:
        prctl = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _too_costly() -> ApiError:
    return ApiError(422, "the recording takes too much time or memory.", "audio_too_costly")
