"""Releases in an object store: published by digest, signed, verified byte for byte before serving.

A release lies under PREFIX/DIGEST, where DIGEST begins the SHA-256 of its checksums.json: what is there never changes.
Its signature (Ed25519, over checksums.json) lies in `signatures/`, apart from it: a release holds sealed files alone.
"""

import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from music_flamingo.core.errors import CorruptDataError, MissingInputError, UserError
from music_flamingo.core.hashing import sha256_bytes
from music_flamingo.core.manifest import MANIFEST_NAME
from music_flamingo.serving.bundle import CHECKSUMS_FILE, open_release
from music_flamingo.sources.object_store import S3Access, client_of

log = logging.getLogger(__name__)

SIGNATURES = "signatures"
CHUNK_BYTES = 2**20
ABSENT = ("NoSuchKey", "NoSuchObject", "ResourceNotFound")


@dataclass(frozen=True)
class ReleaseAt:
    """Where a release lies."""

    bucket: str
    prefix: str

    @property
    def uri(self) -> str:
        """Address of the release, s3://BUCKET/PREFIX."""
        return f"s3://{self.bucket}/{self.prefix}"


def parse_uri(uri: str) -> ReleaseAt:
    """Parse s3://BUCKET/PREFIX; UserError where it is none."""
    scheme, _, rest = uri.partition("://")
    bucket, _, prefix = rest.partition("/")
    if scheme != "s3" or not bucket or not prefix.strip("/"):
        raise UserError(f"{uri!r} names no release: it reads s3://BUCKET/FOLDER.")
    return ReleaseAt(bucket, prefix.strip("/"))


def publish(access: S3Access, folder: Path, where: ReleaseAt, private_key: Path | None) -> ReleaseAt:
    """Upload a release under its digest, checksums last; sign it where a key is given. Gives where it lies.

    Raises what `open_release` raises for a release that is refused, changed or harmful.
    """
    open_release(folder)
    store, checksums = client_of(access), (folder / CHECKSUMS_FILE).read_bytes()
    at = ReleaseAt(where.bucket, f"{where.prefix}/{sha256_bytes(checksums)[:16]}")
    for name in json.loads(checksums):
        log.info("%s -> %s/%s", name, at.uri, name)
        store.fput_object(bucket_name=at.bucket, object_name=f"{at.prefix}/{name}", file_path=str(folder / name))
    if private_key:
        _put(store, at.bucket, _signature_key(checksums), _sign(private_key, checksums))
    _put(store, at.bucket, f"{at.prefix}/{CHECKSUMS_FILE}", checksums)
    return at


def verify(access: S3Access, at: ReleaseAt, public_key: Path | None) -> str:
    """Check signature and every byte of a release in the store; gives the SHA-256 of its checksums.json.

    Raises MissingInputError where there is none, CorruptDataError naming the object that is wrong, UserError for a
    signature that is missing or not of this key. Without a key the signature is not looked at.
    """
    store = client_of(access)
    checksums = _get(store, at.bucket, f"{at.prefix}/{CHECKSUMS_FILE}")
    if checksums is None:
        raise MissingInputError(f"{at.uri} holds no {CHECKSUMS_FILE}: publish the release first (`mf publish`).")
    if public_key:
        _verify_signature(store, at, checksums, public_key)
    expected: dict[str, str] = json.loads(checksums)
    found = _names(store, at)
    for name in sorted(set(expected) | found - {CHECKSUMS_FILE, MANIFEST_NAME}):
        if name not in found:
            raise CorruptDataError(f"{at.uri}/{name} is missing from the release: publish it again.")
        if name not in expected:
            raise CorruptDataError(f"{at.uri}/{name} is no part of the release: its checksum is not listed. Remove it.")
        if _sha256(store, at.bucket, f"{at.prefix}/{name}") != expected[name]:
            raise CorruptDataError(f"{at.uri}/{name} does not match its checksum: publish the release again.")
    return sha256_bytes(checksums)


def _verify_signature(store: Any, at: ReleaseAt, checksums: bytes, public_key: Path) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    key = load_pem_public_key(_pem(public_key))
    if not isinstance(key, Ed25519PublicKey):
        raise UserError(f"{public_key} is no Ed25519 key: openssl genpkey -algorithm ed25519 makes one.")
    signature = _get(store, at.bucket, _signature_key(checksums))
    if signature is None:
        raise UserError(f"{at.uri} is not signed: publish it with --sign KEY, or ask who published it.")
    try:
        key.verify(signature, checksums)
    except InvalidSignature as error:
        raise UserError(f"{at.uri} is not signed by the key of {public_key}: it must not serve.") from error


def _sign(private_key: Path, data: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(_pem(private_key), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise UserError(f"{private_key} is no Ed25519 key: openssl genpkey -algorithm ed25519 makes one.")
    return key.sign(data)


def _pem(path: Path) -> bytes:
    if not path.is_file():
        raise UserError(f"the key file {path} is not there.")
    return path.read_bytes()


def _signature_key(checksums: bytes) -> str:
    return f"{SIGNATURES}/{sha256_bytes(checksums)}.sig"


def _names(store: Any, at: ReleaseAt) -> set[str]:
    found = store.list_objects(bucket_name=at.bucket, prefix=f"{at.prefix}/", recursive=True)
    return {o.object_name.removeprefix(f"{at.prefix}/") for o in found if not o.is_dir}


def _sha256(store: Any, bucket: str, key: str) -> str:
    digest = hashlib.sha256()
    for chunk in _chunks(store, bucket, key):
        digest.update(chunk)
    return digest.hexdigest()


def _get(store: Any, bucket: str, key: str) -> bytes | None:
    from minio.error import S3Error

    try:
        return b"".join(_chunks(store, bucket, key))
    except S3Error as error:
        if error.code in ABSENT:
            return None
        raise UserError(f"s3://{bucket}/{key} cannot be read: {error.code}. `mf storage check` says why.") from error


def _chunks(store: Any, bucket: str, key: str) -> Iterator[bytes]:
    response = store.get_object(bucket_name=bucket, object_name=key)
    try:
        yield from response.stream(CHUNK_BYTES)
    finally:
        response.close()
        response.release_conn()


def _put(store: Any, bucket: str, key: str, data: bytes) -> None:
    import io

    store.put_object(bucket_name=bucket, object_name=key, data=io.BytesIO(data), length=len(data))
