"""Process pool with one pipe per worker, so that a worker killed in the middle of a write blocks no other.

A worker ends with the process that started it, however that ends. Ctrl-C is left to that process.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

A = TypeVar("A")
B = TypeVar("B")

JOIN_S = 5.0


class WorkerDiedError(Exception):
    """A worker was killed or crashed in native code. `item` is what it worked on."""

    def __init__(self, item: object) -> None:
        super().__init__(f"a worker died on {item!r:.200}")
        self.item = item


class WorkerPool:
    """Use as a context manager: on leaving it every worker is gone."""

    def __init__(self, workers: int) -> None:
        # forkserver: no thread of torch or onnxruntime is alive in the process that forks
        self._context = multiprocessing.get_context("forkserver")
        self._workers: list[_Worker] = []
        self._count = workers

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.end()

    def map(
        self,
        work: Callable[[A], B],
        items: Iterable[A],
        ahead: int,
        crashed: Callable[[A, WorkerDiedError], B] | None = None,
    ) -> Iterator[B]:
        """Results in order; at most `ahead` items are drawn before the first of them is given.

        Raises what `work` raises, and WorkerDiedError. Where `crashed` is given, an item whose worker dies is tried
        once more, and then stands in the results as what `crashed` makes of it.
        """
        busy: dict[_Worker, tuple[int, A]] = {}
        try:
            yield from self._results(work, enumerate(items), ahead, crashed, busy)
        finally:
            for worker in busy:  # what it is at is of no use to the next map
                worker.end()
                self._workers.remove(worker)

    def _results(
        self,
        work: Callable[[A], B],
        waiting: Iterator[tuple[int, A]],
        ahead: int,
        crashed: Callable[[A, WorkerDiedError], B] | None,
        busy: "dict[_Worker, tuple[int, A]]",
    ) -> Iterator[B]:
        results = dict[int, tuple[bool, Any]]()
        given, drawn, is_over = 0, 0, False
        while True:
            while not is_over and drawn < given + ahead and (worker := self._idle(busy)) is not None:
                try:
                    index, item = next(waiting)
                except StopIteration:
                    is_over = True
                    break
                busy[worker], drawn = (index, item), drawn + 1
                worker.give(work, item)
            while given in results:
                is_good, found = results.pop(given)
                if not is_good:
                    raise found
                yield found
                given += 1
            if not busy:
                if is_over:
                    return
                continue  # more may be drawn now
            for worker in wait_for(busy):
                index, item = busy.pop(worker)
                results[index] = worker.take(item)
                if worker.is_dead:
                    self._workers.remove(worker)
                    if crashed is not None:
                        results[index] = self._once_more(work, item, crashed)
                is_over = is_over or not results[index][0]

    def _once_more(
        self, work: Callable[[A], B], item: A, crashed: Callable[[A, WorkerDiedError], B]
    ) -> tuple[bool, Any]:
        """A second try in a process of its own: the first may have died of what its neighbours took."""
        worker = _Worker(self._context)
        try:
            worker.give(work, item)
            answer = worker.take(item)
            return (True, crashed(item, answer[1])) if worker.is_dead else answer
        except WorkerDiedError as error:
            return False, error
        finally:
            worker.end()

    def _idle(self, busy: "dict[_Worker, Any]") -> "_Worker | None":
        for worker in self._workers:
            if worker not in busy:
                return worker
        if len(self._workers) == self._count:
            return None
        self._workers.append(_Worker(self._context))
        return self._workers[-1]


def wait_for(busy: "dict[_Worker, Any]") -> "list[_Worker]":
    """Those that have answered or ended."""
    by_handle: dict[Any, _Worker] = {worker.pipe: worker for worker in busy}
    return [by_handle[handle] for handle in wait(list(by_handle))]


class _Worker:
    def __init__(self, context: Any) -> None:
        self.pipe, other = context.Pipe()
        self.is_dead = False
        self._process = context.Process(target=_serve, args=(other,), daemon=True)
        self._process.start()
        other.close()  # so that the pipe ends with the worker
        self._work: Callable[[Any], Any] | None = None

    def give(self, work: Callable[[Any], Any], item: object) -> None:
        try:
            self.pipe.send((work if work is not self._work else None, item))
        except (BrokenPipeError, ConnectionError):
            return  # it is dead, as `take` finds
        self._work = work

    def take(self, item: object) -> tuple[bool, Any]:
        """(whether the work succeeded, its result or the error)."""
        try:
            answer: tuple[bool, Any] = self.pipe.recv()
        except (EOFError, OSError):
            self.is_dead = True
            self.end()
            return False, WorkerDiedError(item)
        return answer

    def end(self) -> None:
        self._process.kill()
        self._process.join(JOIN_S)
        self.pipe.close()


def _serve(pipe: Connection) -> None:
    """Until the other end of the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    work: Callable[[Any], Any] | None = None
    while True:
        try:
            new_work, item = pipe.recv()
        except EOFError:
            return
        work = new_work or work
        assert work is not None
        try:
            answer = (True, work(item))
        except Exception as error:
            answer = (False, error)
        _send(pipe, answer)


def _send(pipe: Connection, answer: tuple[bool, Any]) -> None:
    """Errors that cannot travel are given by name."""
    try:
        pipe.send(answer)
    except BrokenPipeError:
        os._exit(1)
    except Exception as error:
        pipe.send(
            (False, RuntimeError(f"{type(answer[1]).__name__} of a worker cannot travel ({error}): {answer[1]!r:.500}"))
        )


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
