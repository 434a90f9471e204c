"""Map a function over a table's shards by a process pool; a killed run loses one shard at most."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from music_flamingo.core.errors import TransientError
from music_flamingo.core.pool import WorkerDiedError, WorkerPool
from music_flamingo.core.ports import Table, Writer
from music_flamingo.core.progress import Progress
from music_flamingo.core.record import Record
from music_flamingo.core.shards import shard_index

log = logging.getLogger(__name__)

A = TypeVar("A")
B = TypeVar("B")
In = TypeVar("In", bound=Record)
Out = TypeVar("Out", bound=Record)

AHEAD = 4
"""Items given out for each worker: so many may overtake a long one."""


MOST_CRASHES = 8
"""Items that may end a worker in one run: more of them are no fault of the items."""


@contextmanager
def pool_map(
    workers: int, crashed: Callable[[Any], Any] | None = None
) -> Iterator[Callable[[Callable[[A], B], Iterable[A]], Iterator[B]]]:
    """An ordered map over processes; in this process when `workers` is 1.

    `crashed` makes the result of an item that ended its worker twice (a crash in native code, or no memory), for up to
    MOST_CRASHES items. Raises TransientError for more, and for any without `crashed`.
    """
    if workers <= 1:
        yield map
        return
    with WorkerPool(workers) as pool:
        try:
            yield partial(pool.map, ahead=AHEAD * workers, crashed=crashed and _Crashes(crashed))
        except WorkerDiedError as error:
            raise TransientError(
                "a worker process died: it was killed (out of memory?) or a tool crashed in native code "
                f"({error}). What is finished stays: run the same command again, with `workers: 1` for the stage if it "
                "happens again."
            ) from error


@contextmanager
def beside(work: Callable[[], None], *, own_process: bool) -> Iterator[None]:
    """Do `work` in a process of its own while the body runs, or in this one before it. It must be picklable.

    Raises what `work` raises, after the body, and TransientError where its process died.
    """
    if not own_process:
        work()
        yield
        return
    with ThreadPoolExecutor(1) as threads, pool_map(2) as run_map:  # the pool ends first, and the thread with it
        done = threads.submit(lambda: list(run_map(_called, [work])))
        yield
        done.result()


def _called(work: Callable[[], None]) -> None:
    work()


class _Crashes:
    """Counts the items that ended a worker."""

    def __init__(self, crashed: Callable[[Any], Any]) -> None:
        self._crashed, self._count = crashed, 0

    def __call__(self, item: object, error: WorkerDiedError) -> Any:
        self._count += 1
        if self._count > MOST_CRASHES:
            raise error
        log.warning("%s, twice; it is quarantined, and the others go on", error)
        return self._crashed(item)


def map_shards(
    source: Table[In],
    writer: Writer[Out],
    work: Callable[[In], Sequence[Out]],
    *,
    workers: int,
    label: str,
    unit: str,
    keep: Callable[[In], bool] = lambda record: record.is_ok,
    crashed: Callable[[In], Sequence[Out]] | None = None,
    without: Sequence[str] = (),
) -> None:
    """Each shard of `source` becomes the shard of `writer` with the same number; `work` turns one record into several.

    Records that `keep` refuses are passed over. Shards that an interrupted run left are not made again. `work` and
    what it holds must be picklable when `workers` is more than 1. `crashed` gives the records of one whose worker died.
    Columns of `without` are not read, and None in what `work` is given.
    """
    indices = [shard_index(path) for path in source.shards]
    pending = [i for i in indices if not writer.has(i)]
    total = sum(1 for status in source.columns("status")["status"].to_pylist() if status == "ok")
    with Progress(label, total, unit) as progress, pool_map(workers, crashed) as run_map:
        if len(pending) < len(indices):
            progress.total = sum(sum(map(keep, source.read_shard(i, without))) for i in pending)
        open_shards: deque[tuple[int, int]] = deque()
        results: list[Sequence[Out]] = []
        for made in run_map(work, _kept(source, pending, keep, open_shards, without)):
            results.append(made)
            progress.advance()
            _write_finished(writer, open_shards, results)
        _write_finished(writer, open_shards, results)


def _kept(
    source: Table[In],
    indices: Iterable[int],
    keep: Callable[[In], bool],
    open_shards: deque[tuple[int, int]],
    without: Sequence[str],
) -> Iterator[In]:
    """The records of all shards in turn: no worker waits for the others between two shards.

    `open_shards` gets (index, number of records) of each shard as it is read.
    """
    for index in indices:
        records = [record for record in source.read_shard(index, without) if keep(record)]
        open_shards.append((index, len(records)))
        yield from records


def _write_finished(writer: Writer[Out], open_shards: deque[tuple[int, int]], results: list[Sequence[Out]]) -> None:
    while open_shards and len(results) >= open_shards[0][1]:
        index, count = open_shards.popleft()
        writer.write(index, [record for made in results[:count] for record in made])
        del results[:count]
