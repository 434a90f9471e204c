"""Call a teacher concurrently with bounded parallelism; results keep the order of the items."""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

import pyarrow.parquet as pq

from music_flamingo.core.ports import Writer
from music_flamingo.core.record import QUARANTINED, Record
from music_flamingo.core.shards import shard_path
from music_flamingo.records.caption import TEACHER_FAILED

Item = TypeVar("Item")
Made = TypeVar("Made")
R = TypeVar("R", bound=Record)

Begun = tuple[int, list[Future[Made]]]
"""A shard's number and its items, done or not."""

LOOK_AGAIN_S = 0.2
"""How often the workers are looked after while the first shard's last calls are waited for."""
MOST_SHARDS_AHEAD = 16


class TeacherFailedError(RuntimeError):
    """A call that ended without a usable reply. `reason` is what its record is quarantined for: `teacher_timeout`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def over_shards(
    concurrency: int, shards: Iterable[tuple[int, Sequence[Item]]], work: Callable[[Item], Made]
) -> Iterator[tuple[int, list[Made]]]:
    """(shard number, `work` of each item in order), shard by shard, `concurrency` items at once.

    Later shards are begun while the last items of one are still waited for, so that a slow call holds up no other. An
    error of `work` ends it all: what is running is waited for, what is not begun never begins. Ctrl-C waits for nothing
    here: the teacher is closed next, and sees to what is under way.
    """
    if concurrency == 1:
        yield from ((index, [work(item) for item in items]) for index, items in shards)
        return
    source, waiting = iter(shards), deque[Begun[Made]]()
    pool = ThreadPoolExecutor(concurrency)
    try:
        while True:
            while _wants_more(waiting, concurrency) and (shard := next(source, None)) is not None:
                index, items = shard
                waiting.append((index, [pool.submit(work, item) for item in items]))
            if not waiting:
                return
            index, futures = waiting[0]
            wait(futures, timeout=LOOK_AGAIN_S)
            if all(future.done() for future in futures):
                waiting.popleft()
                yield index, [future.result() for future in futures]
    finally:
        pool.shutdown(wait=not isinstance(sys.exception(), KeyboardInterrupt), cancel_futures=True)


def _wants_more(waiting: "deque[Begun[Made]]", concurrency: int) -> bool:
    """Some worker has nothing to do next, and not too many shards wait for the first one's slowest call."""
    num_open = sum(not future.done() for _, futures in waiting for future in futures)
    return num_open < 2 * concurrency and len(waiting) < MOST_SHARDS_AHEAD


def is_settled(writer: Writer[R], index: int) -> bool:
    """The shard is there and holds no failed call. An interrupted run that goes on asks once more what had failed."""
    if writer.made_by_branches or not writer.has(index):
        return writer.has(index)
    statuses = pq.read_table(shard_path(writer.root, index), columns=["status"])["status"].to_pylist()
    return not any(status.startswith(QUARANTINED + TEACHER_FAILED) for status in statuses)
