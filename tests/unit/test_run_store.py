"""The folder of a run in a real object store: reasons are written beside the ports and found again."""

import pytest

from music_flamingo.core.errors import UserError
from music_flamingo.runs.store import read_named, write_beside

pytest_plugins = ("support.object_store",)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

RUN = "minio://mlpipeline/v2/artifacts/music-flamingo/1f-2e"


@pytest.fixture
def store(object_store, monkeypatch):
    client = object_store.client()
    if not client.bucket_exists(bucket_name="mlpipeline"):
        client.make_bucket(bucket_name="mlpipeline")
    monkeypatch.setenv("RUN_STORE", object_store.url)
    monkeypatch.setenv("RUN_STORE_ACCESS_KEY", object_store.access_key)
    monkeypatch.setenv("RUN_STORE_SECRET_KEY", object_store.secret_key)
    monkeypatch.setenv("RUN_STORE_REGION", object_store.region)
    return client


def test_what_steps_left_is_found_below_the_run_and_nowhere_else(store):
    write_beside(f"{RUN}/facts/9c/facts", "_failed.json", '{"stage": "facts"}')
    write_beside(f"{RUN}/captions/7d/captions", "_failed.json", "{}")
    write_beside(f"{RUN}-another/facts/1/facts", "_failed.json", "{}")
    write_beside(f"{RUN}/facts/9c/facts", "part-00000.parquet", "no concern of ours")
    assert list(read_named(RUN, ("_failed.json", "_manifest.json"))) == [
        ("captions/7d/_failed.json", b"{}"),
        ("facts/9c/_failed.json", b'{"stage": "facts"}'),
    ]


def test_a_store_that_refuses_is_named(store, object_store, monkeypatch):
    monkeypatch.setenv("RUN_STORE_SECRET_KEY", "guessed")
    with pytest.raises(UserError, match=object_store.url) as raised:
        list(read_named(RUN, ("_failed.json",)))
    assert "guessed" not in str(raised.value)
