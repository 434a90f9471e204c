"""Copies of checkpoints in a real object store: what is whole, what stays, and what a store in trouble costs."""

import io
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from music_flamingo.core.hashing import sha256_file
from music_flamingo.sources import object_store as stores
from music_flamingo.sources.object_store import S3Access
from music_flamingo.training.scale.checkpoint_store import COMPLETE, KEPT, CheckpointStore
from music_flamingo.training.scale.checkpoints import checkpoints, forget_old, is_whole

pytest_plugins = ("support.object_store",)
pytestmark = [pytest.mark.reliability, pytest.mark.slow, pytest.mark.timeout(300)]

BUCKET = "copies"
LARGE_BYTES = 256 * 2**20
"""Long enough in coming to be killed on the way."""
SEND = """
import sys
from pathlib import Path
from music_flamingo.sources.object_store import S3Access
from music_flamingo.training.scale.checkpoint_store import CheckpointStore
CheckpointStore(S3Access.model_validate_json(sys.argv[1]), sys.argv[2], sys.argv[3]).send(Path(sys.argv[4]))
"""


@pytest.fixture
def store(object_store, tmp_path, monkeypatch) -> CheckpointStore:
    if not object_store.client().bucket_exists(bucket_name=BUCKET):
        object_store.client().make_bucket(bucket_name=BUCKET)
    monkeypatch.setenv("COPIES_KEY", object_store.access_key)
    monkeypatch.setenv("COPIES_SECRET", object_store.secret_key)
    access = S3Access(
        endpoint=object_store.url,
        region=object_store.region,
        access_key="env:COPIES_KEY",
        secret_key="env:COPIES_SECRET",
    )
    return CheckpointStore(access, BUCKET, tmp_path.name)


def checkpoint(folder: Path, step: int, num_bytes: int = 1000) -> Path:
    """A whole one, of a small and a larger file."""
    made = folder / f"checkpoint-{step}"
    made.mkdir(parents=True)
    (made / "a.json").write_text(f"{step}")
    (made / "state.safetensors").write_bytes(os.urandom(num_bytes))
    digests = {path.name: sha256_file(path) for path in sorted(made.iterdir())}
    (made / COMPLETE).write_text(json.dumps(digests))
    return made


def send(store: CheckpointStore, made: Path) -> None:
    store.send(made)
    assert store._next is not None
    store._next.result(120)


def keys(object_store, store: CheckpointStore) -> set[str]:
    found = object_store.client().list_objects(bucket_name=BUCKET, prefix=f"{store.prefix}/", recursive=True)
    return {copy.object_name.removeprefix(f"{store.prefix}/") for copy in found}


def names(object_store, store: CheckpointStore) -> set[str]:
    return {key.partition("/")[0] for key in keys(object_store, store)}


def put(object_store, store: CheckpointStore, key: str, content: bytes) -> None:
    object_store.client().put_object(
        bucket_name=BUCKET,
        object_name=f"{store.prefix}/{key}",
        data=io.BytesIO(content),
        length=len(content),
    )


def test_a_kill_in_the_middle_of_an_upload_leaves_the_copy_before_it(object_store, store, tmp_path):
    send(store, checkpoint(tmp_path / "here", 5))
    large = checkpoint(tmp_path / "here", 10, LARGE_BYTES)
    words = (store.access.model_dump_json(), store.bucket, store.prefix, str(large))
    process = subprocess.Popen([sys.executable, "-c", SEND, *words])
    deadline = time.monotonic() + 60
    while "checkpoint-10/a.json" not in keys(object_store, store) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert {key for key in keys(object_store, store) if key.startswith("checkpoint-10/")} == {"checkpoint-10/a.json"}
    store.fetch(tmp_path / "there")
    assert [path.name for path in checkpoints(tmp_path / "there")] == ["checkpoint-5"]
    assert is_whole(tmp_path / "there" / "checkpoint-5")


def test_the_last_whole_copies_stay_and_halves_do_not_push_them_out(object_store, store, tmp_path):
    for half in (12, 14):
        put(object_store, store, f"checkpoint-{half}/a.json", b"half")
    for step in (5, 10, 11):
        send(store, checkpoint(tmp_path, step))
    assert KEPT == 2
    assert names(object_store, store) == {"checkpoint-10", "checkpoint-11", "checkpoint-12", "checkpoint-14"}
    send(store, checkpoint(tmp_path, 15))
    assert names(object_store, store) == {"checkpoint-11", "checkpoint-15"}


@pytest.mark.parametrize("mark", [b"", b"null", b'["a.json"]', b'{"../../a.json": "0"}', b'{"gone": "0"}'])
def test_a_copy_with_a_mark_that_cannot_be_believed_is_passed_over(object_store, store, tmp_path, caplog, mark):
    send(store, checkpoint(tmp_path / "here", 5))
    put(object_store, store, "checkpoint-10/a.json", b"10")
    put(object_store, store, f"checkpoint-10/{COMPLETE}", mark)
    store.fetch(tmp_path / "there")
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["checkpoint-5"]
    assert "checkpoint-10 in the object store is damaged" in caplog.text


def test_an_older_copy_does_not_come_in_place_of_what_lies_here(store, tmp_path):
    send(store, checkpoint(tmp_path / "here", 5))
    checkpoint(tmp_path / "there", 6)
    store.fetch(tmp_path / "there")
    assert [path.name for path in checkpoints(tmp_path / "there")] == ["checkpoint-6"]


def test_a_store_in_trouble_is_asked_three_times_and_costs_a_warning(store, tmp_path, monkeypatch, caplog):
    waits: list[float] = []
    monkeypatch.setattr(stores.time, "sleep", waits.append)
    store.bucket = "no-such-bucket"
    send(store, checkpoint(tmp_path, 5))
    assert waits == [2, 4]
    assert [record.levelno for record in caplog.records if "checkpoint-5 was not copied" in record.message] == [
        logging.WARNING
    ]
    assert "There is no such bucket" in caplog.text


def test_a_checkpoint_stays_on_disk_while_it_is_copied(tmp_path):
    made = [checkpoint(tmp_path, step) for step in (5, 10, 15, 20)]
    forget_old(tmp_path, needed=made[0])
    assert checkpoints(tmp_path) == [made[0], *made[-2:]]
    forget_old(tmp_path, needed=None)
    assert checkpoints(tmp_path) == made[-2:]


def test_of_checkpoints_that_come_faster_than_they_are_copied_the_newest_is_next(object_store, store, tmp_path):
    store.send(checkpoint(tmp_path, 5, 64 * 2**20))
    for step in (10, 15):
        store.send(checkpoint(tmp_path, step))
    assert store._next is not None
    store._next.result(120)
    assert names(object_store, store) == {"checkpoint-5", "checkpoint-15"}
