"""Damage is noticed: a flipped bit or a lost file in any port. Number 17 of what must hold."""

import errno
import fcntl
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from music_flamingo.core.errors import CorruptDataError
from music_flamingo.core.ports import Table, Writer
from music_flamingo.core.record import Record, arrow_schema, read_parquet, write_table
from music_flamingo.core.stage import Metrics, Stage, StageConfig, execute

pytestmark = pytest.mark.reliability


class Sound(Record):
    words: str
    data: bytes


class NoConfig(StageConfig):
    pass


def make(config: NoConfig, sounds: Writer[Sound]) -> Metrics:
    rng = random.Random(1)
    for shard in range(2):
        records = [Sound(id=f"{shard}-{n}", words="la " * n, data=rng.randbytes(2000)) for n in range(20)]
        sounds.write(shard, records)
    return {}


def copy(config: NoConfig, sounds: Table[Sound], copies: Writer[Sound]) -> Metrics:
    for index in range(len(sounds.shards)):
        copies.write(index, sounds.read_shard(index))
    return {}


MAKE = Stage(name="make", config=NoConfig, inputs={}, outputs={"sounds": Sound}, run=make)
COPY = Stage(name="copy", config=NoConfig, inputs={"sounds": Sound}, outputs={"copies": Sound}, run=copy)


def run(stage: Stage, data: Path) -> bool:
    return execute(stage, "{}", {p: data / p for p in stage.inputs}, {p: data / p for p in stage.outputs})


def test_every_flipped_bit_in_an_input_is_noticed_by_the_next_stage(tmp_path):
    run(MAKE, tmp_path)
    shard = tmp_path / "sounds/part-00001.parquet"
    whole, rng = shard.read_bytes(), random.Random(2)
    for _ in range(100):
        at, bit = rng.randrange(len(whole)), rng.randrange(8)
        shard.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
        with pytest.raises(CorruptDataError, match=r"part-00001.parquet does not match its manifest. Delete"):
            run(COPY, tmp_path)
    shard.write_bytes(whole)
    assert run(COPY, tmp_path)


def test_a_lost_or_cut_shard_of_an_output_is_made_again(tmp_path):
    run(MAKE, tmp_path)
    shard = tmp_path / "sounds/part-00000.parquet"
    whole = shard.read_bytes()
    assert not run(MAKE, tmp_path)
    shard.unlink()
    assert run(MAKE, tmp_path) and shard.read_bytes() == whole
    shard.write_bytes(whole[:100])
    assert run(MAKE, tmp_path) and shard.read_bytes() == whole
    shard.unlink()
    with pytest.raises(CorruptDataError, match="is missing"):
        run(COPY, tmp_path)


def test_verifying_reads_faster_than_any_stage_works(tmp_path):
    """At 300 MB a second an hour of 16 kHz FLAC (70 MB) costs a quarter of a second; facts takes minutes for it."""
    from music_flamingo.core.hashing import sha256_file

    (tmp_path / "file").write_bytes(bytes(100_000_000))
    started = time.perf_counter()
    sha256_file(tmp_path / "file")
    assert time.perf_counter() - started < 100e6 / 100e6


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_shard_of_more_than_two_gib_in_one_column_is_written_and_read(tmp_path):
    """Profiles `paper` and `catalogue`: 256 tracks of five minutes."""
    one = bytes(9 * 2**20)
    columns = [pa.array([str(n) for n in range(256)]), pa.array(["ok"] * 256), pa.array([""] * 256)]
    table = pa.table([*columns, pa.array([one] * 256, pa.large_binary())], schema=arrow_schema(Sound))
    assert table["data"].nbytes > 2**31
    write_table(tmp_path / "part-00000.parquet", Sound, table)
    del table
    assert sum(len(s.data) for s in read_parquet(tmp_path / "part-00000.parquet", Sound)) == 256 * len(one)


def test_a_file_system_without_locks_is_named_and_the_stage_runs(tmp_path, monkeypatch, caplog):
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    assert run(MAKE, tmp_path)
    assert "has no locks" in caplog.text


@pytest.mark.parametrize("encoding", ["LC_ALL=C", "LC_ALL=tr_TR.ISO-8859-9"])
def test_a_command_runs_under_an_odd_locale_and_without_a_home(encoding, tmp_path):
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", ""), "PYTHONUTF8": "0"}
    name, _, value = encoding.partition("=")
    command = [sys.executable, "-m", "music_flamingo.cli", "params", "ingest"]
    environment |= {name: value, "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "max_bytes" in done.stdout, done.stderr
