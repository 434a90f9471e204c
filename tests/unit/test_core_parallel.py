"""Work over shards: order, empty shards, what is left of an interrupted run, and how far it reads ahead."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from music_flamingo.core.errors import UserError
from music_flamingo.core.manifest import Manifest, list_files
from music_flamingo.core.parallel import map_shards, pool_map
from music_flamingo.core.ports import Table, Writer
from music_flamingo.core.record import Record


class Number(Record):
    value: int


def squared(number: Number) -> list[Number]:
    return [number.model_copy(update={"value": number.value**2})]


def refuse_seven(number: Number) -> list[Number]:
    if number.value == 7:
        raise ValueError("seven")
    return [number]


def die_at_seven(number: Number) -> list[Number]:
    if number.value == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return [number]


def opened(root: Path) -> Table[Number]:
    """What lies there, finished or not."""
    files = list_files(root)
    manifest = Manifest.model_construct(files=files, num_records=None)
    return Table(root, Number, manifest)


def stored(root: Path, shards: list[list[int]]) -> Table[Number]:
    """Values from 90 on are quarantined."""
    writer = Writer(root, Number)
    for index, values in enumerate(shards):
        records = [Number(id=str(v), value=v) for v in values]
        writer.write(index, [r if r.value < 90 else r.quarantined("big") for r in records])
    return opened(root)


def values(table: Table[Number]) -> list[list[int]]:
    return [[r.value for r in table.read_shard(i)] for i in range(len(table.shards))]


def mapped(source: Table[Number], out: Path, work: Callable, workers: int) -> Table[Number]:
    map_shards(source, Writer(out, Number), work, workers=workers, label="test", unit="numbers")
    return opened(out)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("shards", [[[1, 2, 3], [], [90, 4], [99], list(range(20))], [[]], [[], []], [[5]]])
def test_every_shard_becomes_the_shard_of_its_number(tmp_path, workers, shards):
    made = mapped(stored(tmp_path / "in", shards), tmp_path / "out", squared, workers)
    assert values(made) == [[v**2 for v in shard if v < 90] for shard in shards]


def test_shards_that_an_interrupted_run_left_are_not_made_again(tmp_path):
    source = stored(tmp_path / "in", [[1, 2], [7], [3]])
    with pytest.raises(ValueError, match="seven"):
        mapped(source, tmp_path / "out", refuse_seven, 1)
    assert values(opened(tmp_path / "out")) == [[1, 2]]
    assert values(mapped(source, tmp_path / "out", squared, 1)) == [[1, 2], [49], [9]]


def test_a_worker_that_dies_ends_the_stage_with_a_reason_and_leaves_what_was_finished(tmp_path):
    source = stored(tmp_path / "in", [[1, 2], [3] * 20, [7], [4]])
    with pytest.raises(UserError, match="a worker process died"):
        mapped(source, tmp_path / "out", die_at_seven, 2)
    assert values(mapped(source, tmp_path / "out", squared, 1))[2:] == [[49], [16]]


def test_a_pool_draws_only_a_few_items_ahead(tmp_path):
    drawn = []

    def numbers():
        for value in range(100):
            drawn.append(value)
            yield Number(id=str(value), value=value)

    with pool_map(2) as run_map:
        results = run_map(squared, numbers())
        assert [next(results)[0].value for _ in range(5)] == [0, 1, 4, 9, 16]
        assert len(drawn) <= 5 + 2 * 4
