"""The folder of a pipeline run: all that its steps gave lies below it, on disk (kfp.local) or in the artifact store.

A pod reaches the store when three variables are set: RUN_STORE (http://host:port), RUN_STORE_ACCESS_KEY and
RUN_STORE_SECRET_KEY. pipelines/placement.py sets them.
"""

import io
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from music_flamingo.core.errors import UserError
from music_flamingo.core.shards import write_atomic

VARIABLES = ("RUN_STORE", "RUN_STORE_ACCESS_KEY", "RUN_STORE_SECRET_KEY")


def folder_of_run(uri: str, run: str) -> str:
    """The folder of a run, from what one of its steps gives: `.../<run>/<step>/<execution>/<port>` in a store."""
    above, found, _ = uri.partition(f"/{run}/")
    return f"{above}/{run}" if found else str(Path(uri).parents[1])


def read_named(folder: str, names: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """(path below the folder, content) of every file of one of these names, in order of path."""
    if "://" not in folder:
        root = Path(folder)
        for path in sorted(p for name in names for p in root.rglob(name)):
            yield str(path.relative_to(root)), path.read_bytes()
        return
    bucket, prefix = _place(folder)
    store = _store()
    for found in store.list_objects(bucket_name=bucket, prefix=f"{prefix}/", recursive=True):
        if found.object_name.rpartition("/")[2] in names:
            answer = store.get_object(bucket_name=bucket, object_name=found.object_name)
            with answer:
                yield found.object_name.removeprefix(f"{prefix}/"), answer.read()


def write_beside(uri: str, name: str, content: str) -> None:
    """Write a file beside a port, whether that is on disk or in the store."""
    if "://" not in uri:
        write_atomic(Path(uri).parent / name, content)
        return
    bucket, key = _place(uri)
    data = content.encode()
    _store().put_object(
        bucket_name=bucket, object_name=f"{key.rpartition('/')[0]}/{name}", data=io.BytesIO(data), length=len(data)
    )


def _place(uri: str) -> tuple[str, str]:
    """(bucket, key) of `minio://bucket/key` or `s3://bucket/key`."""
    parts = urlsplit(uri)
    return parts.netloc, parts.path.strip("/")


def _store() -> Any:
    values = [os.environ.get(name, "") for name in VARIABLES]
    if not all(values):
        missing = [name for name, value in zip(VARIABLES, values, strict=True) if not value]
        raise UserError(
            f"the artifact store cannot be reached: {', '.join(missing)} not set. Compile the pipeline with RUN_STORE "
            "naming its address (docs/reference/pipelines.md)."
        )
    return _connect(*values)


@cache
def _connect(address: str, access_key: str, secret_key: str) -> Any:
    """One a process."""
    from minio import Minio
    from urllib3 import PoolManager, Retry, Timeout

    parts = urlsplit(address)
    patience = Retry(total=3, backoff_factor=0.5, status_forcelist=[500, 502, 503, 504])
    return Minio(
        endpoint=parts.netloc,
        access_key=access_key,
        secret_key=secret_key,
        secure=parts.scheme == "https",
        http_client=PoolManager(timeout=Timeout(connect=10.0, read=60.0), retries=patience),
    )
