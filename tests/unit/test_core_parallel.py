"""Work over shards: order, empty shards, what is left of an interrupted run, and how far it reads ahead."""

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from music_flamingo.core.errors import TransientError, UserError
from music_flamingo.core.manifest import Manifest, list_files
from music_flamingo.core.parallel import beside, map_shards, pool_map
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


def die_once_at_seven(number: Number) -> list[Number]:
    """The id names a file that is there once it has died."""
    mark = Path(number.id)
    if number.value == 7 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return [number]


def die_from_seven_on(number: Number) -> list[Number]:
    if number.value >= 7:
        os.kill(os.getpid(), signal.SIGSEGV)
    return [number]


def as_crashed(number: Number) -> list[Number]:
    return [number.quarantined("crashed")]


def mapped_over_crashes(source: Table[Number], out: Path, work: Callable) -> Table[Number]:
    map_shards(
        source, Writer(out, Number), work, workers=2, label="test", unit="numbers", keep=bool, crashed=as_crashed
    )
    return opened(out)


@pytest.mark.timeout(60)
def test_an_item_that_ends_its_worker_twice_becomes_a_record_and_the_others_go_on(tmp_path):
    source = stored(tmp_path / "in", [[1, 2], [3, 7, 5], [4]])
    made = mapped_over_crashes(source, tmp_path / "out", die_at_seven)
    assert values(made) == [[1, 2], [3, 7, 5], [4]]
    assert [r.value for r in made if not r.is_ok] == [7]


@pytest.mark.timeout(60)
def test_an_item_that_ended_its_worker_once_is_as_good_as_others(tmp_path):
    writer = Writer(tmp_path / "in", Number)
    writer.write(0, [Number(id=str(tmp_path / f"mark{v}"), value=v) for v in (6, 7, 8)])
    made = mapped_over_crashes(opened(tmp_path / "in"), tmp_path / "out", die_once_at_seven)
    assert [r.value for r in made.ok()] == [6, 7, 8] and (tmp_path / "mark7").exists()


@pytest.mark.timeout(120)
def test_where_many_items_end_their_workers_the_stage_ends_with_a_reason(tmp_path):
    source = stored(tmp_path / "in", [list(range(30))])
    with pytest.raises(UserError, match="a worker process died"):
        mapped_over_crashes(source, tmp_path / "out", die_from_seven_on)


def write_process(path: Path) -> None:
    path.write_text(str(os.getpid()))


def refuse(reason: str) -> None:
    raise UserError(reason)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_work_beside_is_done_when_the_body_is_left_in_another_process_where_that_is_wanted(tmp_path):
    for own in (True, False):
        with beside(partial(write_process, tmp_path / str(own)), own_process=own):
            pass
    assert int((tmp_path / "True").read_text()) != os.getpid() == int((tmp_path / "False").read_text())


def test_work_beside_fails_with_its_own_error_and_a_dead_process_may_be_tried_again():
    with pytest.raises(UserError, match="too short"), beside(partial(refuse, "too short"), own_process=True):
        pass
    with pytest.raises(TransientError, match="killed"), beside(die, own_process=True):
        pass


def test_a_body_that_fails_leaves_no_work_behind():
    with pytest.raises(ValueError, match="body"), beside(partial(time.sleep, 60), own_process=True):
        raise ValueError("body")
