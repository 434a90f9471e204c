"""Recordings in an S3 bucket, by the minio client. Credentials come from the environment or from files, never params.

What is wrong with one object (gone, forbidden, changed while it came) is that track's reason. What is wrong with all
(the endpoint, the credentials, the bucket) stops the stage, naming endpoint and bucket and what to do.
"""

import hashlib
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit
from xml.etree.ElementTree import ParseError

from pydantic import BaseModel, ConfigDict, field_validator

from music_flamingo.core.errors import UserError
from music_flamingo.core.shards import atomic_path

ANY_REGION = "us-east-1"
"""What stores inside a cluster take when they know no regions."""
TRIES = 3
"""Of an object whose transfer breaks off or arrives otherwise than listed."""
CHUNK_BYTES = 2**20
MISSING = ("NoSuchKey", "ResourceNotFound")
WRONG_CREDENTIALS = ("SignatureDoesNotMatch", "InvalidAccessKeyId", "InvalidTokenId", "ExpiredToken")
NO_S3 = ("ParseError", "InvalidResponseError")
"""An answer that is no XML, with a status that is good or bad."""
PLAIN_ETAG = re.compile(r"[0-9a-f]{32}")
"""The MD5 of the bytes; an object that was sent in parts has another form, and counts by its size."""


class S3Access(BaseModel):
    """Where the bucket is and where the credentials are."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    endpoint: str
    """`https://host:port`, or http inside a cluster."""
    region: str
    access_key: str
    """`env:NAME` or `file:/run/secrets/...`: where the key stands, never the key."""
    secret_key: str

    @field_validator("endpoint")
    @classmethod
    def _is_url(cls, endpoint: str) -> str:
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/") or "@" in parts.netloc:
            raise ValueError("an endpoint reads https://host:port")
        return endpoint


def access_by_environment() -> S3Access:
    """RUN_STORE (http://host:port), RUN_STORE_REGION, RUN_STORE_ACCESS_KEY and RUN_STORE_SECRET_KEY, as pods have them.

    Raises UserError where no store is named.
    """
    endpoint = os.environ.get("RUN_STORE")
    if not endpoint:
        raise UserError(
            "the object store cannot be reached: RUN_STORE is not set. Give its address, http://host:port; a pipeline "
            "takes it when it is compiled (docs/reference/pipelines.md)."
        )
    return S3Access(
        endpoint=endpoint,
        region=os.environ.get("RUN_STORE_REGION", ANY_REGION),
        access_key="env:RUN_STORE_ACCESS_KEY",
        secret_key="env:RUN_STORE_SECRET_KEY",
    )


def place_of(uri: str) -> tuple[str, str]:
    """(bucket, key) of `minio://bucket/key` or `s3://bucket/key`."""
    parts = urlsplit(uri)
    return parts.netloc, parts.path.strip("/")


class ObjectProblem(Exception):
    """Why one object cannot be used: `missing`, `forbidden`, `changed`, `incomplete`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


def secret(place: str) -> str:
    """The value at `env:NAME` or `file:PATH`. Raises UserError naming the place."""
    kind, _, name = place.partition(":")
    if kind not in ("env", "file"):
        # what stands there is not shown: it may be the key itself
        raise UserError(
            "access_key and secret_key say where a key stands, env:NAME or file:PATH; no key in parameters."
        )
    if kind == "env":
        value = os.environ.get(name, "")
    else:
        path = Path(name)
        value = path.read_text().strip() if path.is_file() else ""
    if not value:
        where = f"the environment variable {name}" if kind == "env" else f"the file {name}"
        raise UserError(f"credentials for the object store are missing: {where} is not there or is empty. Set it.")
    return value


def client_of(access: S3Access) -> Any:
    """The minio client, with the credentials that the access names. Raises UserError where they are missing."""
    return _connect(access, secret(access.access_key), secret(access.secret_key))


@cache
def _connect(access: S3Access, access_key: str, secret_key: str) -> Any:
    """One a process."""
    from minio import Minio
    from urllib3 import PoolManager, Retry, Timeout

    parts = urlsplit(access.endpoint)
    return Minio(
        endpoint=parts.netloc,
        access_key=access_key,
        secret_key=secret_key,
        secure=parts.scheme == "https",
        region=access.region,
        http_client=PoolManager(
            timeout=Timeout(connect=10, read=60),
            retries=Retry(total=4, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]),
        ),
    )


def list_objects(access: S3Access, bucket: str, prefix: str) -> Iterator[tuple[str, int, str]]:
    """(key, size in bytes, etag) of every object under `prefix`, in order of keys as the store gives them."""
    with _stopping(access, bucket):
        for found in client_of(access).list_objects(bucket_name=bucket, prefix=prefix, recursive=True):
            if not found.is_dir:
                yield found.object_name, found.size, (found.etag or "").strip('"')


def upload(access: S3Access, bucket: str, key: str, path: Path) -> None:
    """A file as an object; it is there whole or not at all. Raises UserError for what is wrong with the store."""
    for attempt in range(1, TRIES + 1):
        try:
            with _stopping(access, bucket):
                client_of(access).fput_object(bucket_name=bucket, object_name=key, file_path=str(path))
            return
        except UserError:
            if attempt == TRIES:
                raise
            time.sleep(2**attempt)


def remove(access: S3Access, bucket: str, key: str) -> None:
    """Delete an object; UserError where the store refuses."""
    with _stopping(access, bucket):
        client_of(access).remove_object(bucket_name=bucket, object_name=key)


def download(
    access: S3Access, bucket: str, key: str, target: Path, *, max_bytes: int, size: int | None, etag: str | None
) -> None:
    """An object into a file, whole: its size, and its MD5 where the etag is one, are what the store said.

    Raises ObjectProblem for what is wrong with the object, UserError for what is wrong with the store.
    """
    from minio.error import MinioException
    from urllib3.exceptions import HTTPError

    for attempt in range(1, TRIES + 1):
        try:
            _download_once(access, bucket, key, target, max_bytes, size, etag)
            return
        except ObjectProblem as problem:
            if problem.reason != "incomplete" or attempt == TRIES:
                raise
        except (MinioException, HTTPError) as error:
            code = getattr(error, "code", None)
            if code in MISSING:
                raise ObjectProblem("missing", f"s3://{bucket}/{key} is not there") from error
            if code == "AccessDenied":
                raise ObjectProblem("forbidden", f"s3://{bucket}/{key} may not be read") from error
            if code is not None or attempt == TRIES:
                _stop(access, bucket, error)


def _download_once(
    access: S3Access, bucket: str, key: str, target: Path, max_bytes: int, size: int | None, etag: str | None
) -> None:
    response = client_of(access).get_object(bucket_name=bucket, object_name=key)
    try:
        stated, found_etag = (
            int(response.headers.get("content-length", -1)),
            response.headers.get("etag", "").strip('"'),
        )
        if (size is not None and stated != size) or (etag and found_etag != etag):
            raise ObjectProblem("changed", f"s3://{bucket}/{key} is another object than was listed")
        if stated > max_bytes:
            raise ObjectProblem("too_large", f"{stated} bytes; the most is {max_bytes}")
        md5, received = hashlib.md5(usedforsecurity=False), 0
        with atomic_path(target) as temporary, temporary.open("wb") as file:
            for chunk in _chunks(response):
                received += len(chunk)
                md5.update(chunk)
                file.write(chunk)
            file.flush()
            wrong = PLAIN_ETAG.fullmatch(found_etag) and md5.hexdigest() != found_etag
            if received != stated or wrong:
                raise ObjectProblem("incomplete", f"{received} of {stated} bytes arrived, or others than were stored")
    finally:
        response.close()
        response.release_conn()


def _chunks(response: Any) -> Iterator[bytes]:
    from urllib3.exceptions import HTTPError

    try:
        yield from response.stream(CHUNK_BYTES)
    except HTTPError as error:
        raise ObjectProblem("incomplete", f"the transfer broke off: {error}") from error


@contextmanager
def _stopping(access: S3Access, bucket: str) -> Iterator[None]:
    """What is wrong with the store, in words. An answer that is no XML comes from something else than a store."""
    from minio.error import MinioException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except (MinioException, HTTPError, ParseError) as error:
        _stop(access, bucket, error)


def code_of(error: Exception) -> str:
    """S3's word for it, or the kind of error where the service had no word."""
    code = getattr(error, "code", None)
    # a ParseError's code is a number of the XML parser's
    return code if isinstance(code, str) and code else type(error).__name__


def _stop(access: S3Access, bucket: str, error: Exception) -> NoReturn:
    code = code_of(error)
    where = f"the object store {access.endpoint}, bucket {bucket}"
    remedies = {
        **dict.fromkeys(NO_S3, "That is no S3: mend `endpoint` (the address of the API, not of a console)."),
        "RequestTimeTooSkewed": "The clock here is wrong, or the store's: let NTP set it.",
        "NoSuchBucket": "There is no such bucket: mend `bucket`, or create it.",
        "AccessDenied": f"These credentials ({access.access_key}) may not read it: grant them list and read.",
        **dict.fromkeys(
            WRONG_CREDENTIALS, f"The credentials are wrong: mend {access.access_key} and {access.secret_key}."
        ),
    }
    remedy = remedies.get(
        code, "Check `endpoint`, the network and the certificate; then run again, it goes on from here."
    )
    raise UserError(f"{where}, answers {code}. {remedy}") from error
