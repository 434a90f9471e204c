"""A run whose disk is gone goes on from the copies of its checkpoints in a real object store, to the same bits."""

import io
import shutil
import signal
import time
from pathlib import Path

import pytest
from support import ranked
from support import tiny_world as world
from support.ranked import folder

from music_flamingo.core.errors import UserError
from music_flamingo.training.scale.checkpoint_store import COMPLETE

pytest_plugins = ("support.object_store",)
pytestmark = [pytest.mark.reliability, pytest.mark.slow, pytest.mark.timeout(900)]

BUCKET = "checkpoints"
LONG = {"steps": 40, "checkpoint_every": 5}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[Path, str]:
    data = tmp_path_factory.mktemp("undisturbed") / "data"
    world.write_ports(data)
    world.run("backbone", data)
    return data, world.run("sft", data, **LONG)["sft_model"].digest


@pytest.fixture
def data(undisturbed, tmp_path) -> Path:
    (tmp_path / "data").mkdir()
    for port in ("tracks", "skills", "speech", "backbone_model"):
        (tmp_path / "data" / port).symlink_to(undisturbed[0] / port)
    return tmp_path / "data"


@pytest.fixture
def store(object_store, tmp_path, monkeypatch):
    """The store's client; every test has a prefix of its own."""
    client = object_store.client()
    if not client.bucket_exists(bucket_name=BUCKET):
        client.make_bucket(bucket_name=BUCKET)
    monkeypatch.setenv("RUN_STORE", object_store.url)
    monkeypatch.setenv("RUN_STORE_ACCESS_KEY", object_store.access_key)
    monkeypatch.setenv("RUN_STORE_SECRET_KEY", object_store.secret_key)
    monkeypatch.setenv("CHECKPOINT_STORE", f"s3://{BUCKET}/{tmp_path.name}")
    return client


def copies(store, prefix: str) -> dict[str, list[str]]:
    """Checkpoint -> the keys of its copy."""
    found: dict[str, list[str]] = {}
    for copy in store.list_objects(bucket_name=BUCKET, prefix=f"{prefix}/", recursive=True):
        found.setdefault(copy.object_name.split("/")[-2], []).append(copy.object_name)
    return found


def whole(store, prefix: str) -> list[str]:
    return [name for name, keys in copies(store, prefix).items() if any(k.endswith(COMPLETE) for k in keys)]


def stopped(data: Path, number: signal.Signals, step: int) -> int:
    process = ranked.start("sft", data, 1, **LONG)
    ranked.stop_at(process, folder("sft", data), step, lambda: process.send_signal(number))
    process.wait(60)
    return process.returncode


def lose_the_disk(data: Path) -> None:
    shutil.rmtree(data / "sft_model")


def test_a_run_on_a_new_disk_goes_on_from_the_store(undisturbed, data, store, tmp_path, caplog):
    assert stopped(data, signal.SIGTERM, 15) == 128 + signal.SIGTERM
    assert len(whole(store, tmp_path.name)) == 2, "the last two, the one of SIGTERM among them"
    lose_the_disk(data)
    with caplog.at_level("INFO"):
        assert world.run("sft", data, **LONG)["sft_model"].digest == undisturbed[1]
    assert "going on from checkpoint-" in caplog.text


def test_a_kill_while_a_copy_is_made_leaves_the_one_before_it(undisturbed, data, store, tmp_path, caplog):
    process = ranked.start("sft", data, 1, **LONG)
    deadline = time.monotonic() + 120
    while not whole(store, tmp_path.name) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    lose_the_disk(data)
    with caplog.at_level("INFO"):
        assert world.run("sft", data, **LONG)["sft_model"].digest == undisturbed[1]
    assert "going on from checkpoint-" in caplog.text


def test_a_torn_copy_is_passed_over(undisturbed, data, store, tmp_path, caplog):
    assert stopped(data, signal.SIGTERM, 20) == 128 + signal.SIGTERM
    newest = max(copies(store, tmp_path.name), key=lambda name: int(name.rpartition("-")[2]))
    torn = next(key for key in copies(store, tmp_path.name)[newest] if key.endswith(".safetensors"))
    store.put_object(bucket_name=BUCKET, object_name=torn, data=io.BytesIO(b"torn"), length=4)
    lose_the_disk(data)
    with caplog.at_level("INFO"):
        assert world.run("sft", data, **LONG)["sft_model"].digest == undisturbed[1]
    assert f"{newest} in the object store is damaged" in caplog.text


def test_another_configuration_finds_nothing_of_it(data, store, tmp_path, caplog):
    assert stopped(data, signal.SIGTERM, 10) == 128 + signal.SIGTERM
    lose_the_disk(data)
    with caplog.at_level("INFO"):
        world.run("sft", data, **{**LONG, "steps": 10})
    assert "going on from" not in caplog.text


def test_a_store_that_cannot_be_reached_is_named_before_anything_is_trained(data, store, monkeypatch):
    monkeypatch.setenv("RUN_STORE_SECRET_KEY", "guessed")
    with pytest.raises(UserError, match="credentials are wrong"):
        world.run("sft", data, **LONG)
