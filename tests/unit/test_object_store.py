"""The S3 service that other tests rely on behaves as a real one: it keeps objects and refuses a wrong secret."""

import hashlib
import io
from dataclasses import replace

import pytest
from support.object_store import ObjectStore

pytest_plugins = ("support.object_store",)
pytestmark = pytest.mark.slow


def test_what_is_put_is_given_back_with_its_size_and_etag(object_store: ObjectStore) -> None:
    client = object_store.client()
    client.make_bucket(bucket_name="kept")
    client.put_object(bucket_name="kept", object_name="a/b.txt", data=io.BytesIO(b"words"), length=5)
    found = client.stat_object(bucket_name="kept", object_name="a/b.txt")
    assert (found.size, found.etag) == (5, hashlib.md5(b"words").hexdigest())
    response = client.get_object(bucket_name="kept", object_name="a/b.txt")
    assert response.read() == b"words"


def test_a_wrong_secret_is_refused(object_store: ObjectStore) -> None:
    from minio.error import S3Error

    with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
        list(replace(object_store, secret_key="guessed").client().list_buckets())
