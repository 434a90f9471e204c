"""The folder of a pipeline run: all that its steps gave lies below it, on disk (kfp.local) or in the artifact store.

A pod reaches the store when these are set: RUN_STORE (http://host:port), RUN_STORE_REGION, RUN_STORE_ACCESS_KEY and
RUN_STORE_SECRET_KEY. pipelines/placement.py sets them.
"""

import io
from collections.abc import Iterator
from pathlib import Path

from music_flamingo.core.errors import UserError
from music_flamingo.core.shards import write_atomic
from music_flamingo.sources.object_store import S3Access, access_by_environment, client_of, list_objects, place_of


def folder_of_run(uri: str, run: str) -> str:
    """The folder of a run, from what one of its steps gives: `.../<run>/<step>/<execution>/<port>` in a store."""
    above, found, _ = uri.partition(f"/{run}/")
    return f"{above}/{run}" if found else str(Path(uri).parents[1])


def read_named(folder: str, names: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """(path below the folder, content) of every file of one of these names, in order of path.

    Raises UserError where the store cannot be read, naming what is wrong with it.
    """
    if "://" not in folder:
        root = Path(folder)
        for path in sorted(p for name in names for p in root.rglob(name)):
            yield str(path.relative_to(root)), path.read_bytes()
        return
    bucket, prefix = place_of(folder)
    access = access_by_environment()
    for key, _, _ in list_objects(access, bucket, f"{prefix}/"):
        if key.rpartition("/")[2] in names:
            yield key.removeprefix(f"{prefix}/"), _read(access, bucket, key)


def write_beside(uri: str, name: str, content: str) -> None:
    """Write a file next to a port, whether that is on disk or in the store."""
    if "://" not in uri:
        write_atomic(Path(uri).parent / name, content)
        return
    bucket, key = place_of(uri)
    data = content.encode()
    client_of(access_by_environment()).put_object(
        bucket_name=bucket, object_name=f"{key.rpartition('/')[0]}/{name}", data=io.BytesIO(data), length=len(data)
    )


def _read(access: S3Access, bucket: str, key: str) -> bytes:
    from minio.error import MinioException
    from urllib3.exceptions import HTTPError

    try:
        with client_of(access).get_object(bucket_name=bucket, object_name=key) as answer:
            content: bytes = answer.read()
            return content
    except (MinioException, HTTPError) as error:
        raise UserError(f"{bucket}/{key} cannot be read at {access.endpoint}: {error}") from error
