"""`mf storage check`: diagnose an object store layer by layer, with remedies.

Address, credentials given, connection, scheme and certificate, clock, credentials accepted, bucket, and where asked for
a write. The first thing that is wrong hides the rest, so the check ends there. Nothing is tried twice: a service that
answers every other time is to be seen.
"""

import email.utils
import io
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from music_flamingo.core.errors import UserError
from music_flamingo.sources.object_store import NO_S3, WRONG_CREDENTIALS, S3Access, code_of, secret

CONNECT_WITHIN_S = 5.0
ANSWER_WITHIN_S = 20.0
MAX_SKEW_S = 15 * 60
"""S3 refuses signatures older or newer than this."""
NOTICED_SKEW_S = 60


@dataclass(frozen=True)
class StorageFinding:
    """One checked property: what, whether it is wrong, and the remedy."""

    what: str
    wrong: bool
    words: str

    def line(self) -> str:
        """The finding as a line of text."""
        return f"{'WRONG' if self.wrong else 'ok   '} {self.what:12s} {self.words}"


class Wrong(Exception):
    """What is wrong and the remedy, as one sentence each."""


@dataclass(frozen=True)
class Checked:
    """Where and what is checked."""

    endpoint: str
    region: str
    access_key: str
    secret_key: str
    bucket: str
    writes: bool

    @property
    def secure(self) -> bool:
        """Whether the endpoint uses TLS."""
        return urlsplit(self.endpoint).scheme == "https"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the endpoint."""
        parts = urlsplit(self.endpoint)
        return parts.hostname or "", parts.port or (443 if self.secure else 80)


def check(store: Checked) -> Iterator[StorageFinding]:
    """Findings in turn; the last one is wrong where something is."""
    steps: list[tuple[str, Callable[[Checked], str]]] = [
        ("address", _address),
        ("credentials", _credentials_given),
        ("connection", _connection),
        ("scheme", _scheme),
        ("clock", _clock),
        ("access", _access),
    ]
    if store.writes:
        steps.append(("write", _write))
    for what, step in steps:
        try:
            yield StorageFinding(what, False, step(store))
        except Wrong as wrong:
            yield StorageFinding(what, True, str(wrong))
            return


def _address(store: Checked) -> str:
    try:
        S3Access(endpoint=store.endpoint, region=store.region, access_key="env:X", secret_key="env:X")
        urlsplit(store.endpoint).port  # noqa: B018  raises for a port that is no number
    except (ValidationError, ValueError) as error:
        raise Wrong(
            f"{store.endpoint!r} is no endpoint: it reads https://host:port, without bucket or path; inside a cluster "
            "http://host:port will do."
        ) from error
    return store.endpoint


def _credentials_given(store: Checked) -> str:
    try:
        keys = secret(store.access_key), secret(store.secret_key)
    except UserError as error:
        raise Wrong(str(error)) from error
    if any(key != key.strip() for key in keys):
        raise Wrong("a key begins or ends with white space: write the variable or file again without it.")
    return f"{store.access_key} and {store.secret_key} are set"


def _connection(store: Checked) -> str:
    host, port = store.address
    try:
        with socket.create_connection((host, port), timeout=CONNECT_WITHIN_S):
            return f"{host}:{port} accepts connections"
    except socket.gaierror as error:
        raise Wrong(
            f"the name {host} is not known here: mend `endpoint`; inside a cluster it reads service.namespace."
        ) from error
    except TimeoutError as error:
        raise Wrong(
            f"{host}:{port} does not answer within {CONNECT_WITHIN_S:g} s: a firewall or NetworkPolicy drops the "
            "packets; let this pod or machine through."
        ) from error
    except OSError as error:
        raise Wrong(
            f"nothing listens on {host}:{port} ({error.strerror}): start the service or mend the port (MinIO's API "
            "is 9000, its console 9001)."
        ) from error


def _scheme(store: Checked) -> str:
    from urllib3.exceptions import HTTPError, SSLError

    try:
        answer = _knock(store)
    except SSLError as error:
        raise Wrong(_tls_remedy(store, str(error))) from error
    except HTTPError as error:
        if not store.secure:
            raise Wrong(
                f"{store.endpoint} does not answer in plain HTTP ({type(error).__name__}): if it speaks TLS, write "
                "https:// in place of http://."
            ) from error
        raise Wrong(f"{store.endpoint} breaks off: {type(error).__name__}. Look at the service's log.") from error
    if answer.status == 400 and b"HTTPS" in answer.data[:1000]:
        raise Wrong("the service speaks TLS: write https:// in place of http://.")
    return "https, its certificate is trusted" if store.secure else "http, nothing is encrypted"


def _tls_remedy(store: Checked, error: str) -> str:
    if "WRONG_VERSION_NUMBER" in error or "RECORD_LAYER" in error:
        return "the service speaks plain HTTP: write http:// in place of https://, or give the service a certificate."
    if "CERTIFICATE_VERIFY_FAILED" in error:
        return (
            f"the certificate of {store.endpoint} is not trusted: name the file of the authority that signed it in "
            "SSL_CERT_FILE, or mend the host name."
        )
    return f"TLS fails: {error[:200]}. Look at the service's certificate and protocol versions."


def _knock(store: Checked) -> Any:
    """One request without credentials: any answer will do."""
    from urllib3 import PoolManager, Timeout

    # SSL_CERT_FILE is honoured by minio in this way as well
    pool = PoolManager(
        timeout=Timeout(connect=CONNECT_WITHIN_S, read=ANSWER_WITHIN_S),
        retries=False,
        cert_reqs="CERT_REQUIRED",
        ca_certs=os.environ.get("SSL_CERT_FILE") or _authorities(),
    )
    return pool.request("GET", f"{store.endpoint}/", redirect=False)


def _authorities() -> str:
    import certifi

    return certifi.where()


def _clock(store: Checked) -> str:
    before = time.time()
    answer = _knock(store)
    here = (before + time.time()) / 2
    stated = answer.headers.get("date")
    parsed = email.utils.parsedate_to_datetime(stated) if stated else None
    if parsed is None:
        return "the service does not tell the time"
    skew_s = here - parsed.timestamp()
    if abs(skew_s) > MAX_SKEW_S:
        raise Wrong(f"{_skew(skew_s)}: signatures are refused beyond 15 minutes. Let NTP set the clock that is wrong.")
    if abs(skew_s) > NOTICED_SKEW_S:
        return f"{_skew(skew_s)}; it works up to 15 minutes, but let NTP set it"
    return "the clocks agree"


def _skew(skew_s: float) -> str:
    return f"the clock here is {abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} the service's"


def _client(store: Checked) -> Any:
    from minio import Minio
    from urllib3 import PoolManager, Timeout

    return Minio(
        endpoint=urlsplit(store.endpoint).netloc,
        access_key=secret(store.access_key),
        secret_key=secret(store.secret_key),
        secure=store.secure,
        region=store.region,
        http_client=PoolManager(
            timeout=Timeout(connect=CONNECT_WITHIN_S, read=ANSWER_WITHIN_S),
            retries=False,
            cert_reqs="CERT_REQUIRED",
            ca_certs=os.environ.get("SSL_CERT_FILE") or _authorities(),
        ),
    )


def _access(store: Checked) -> str:
    from xml.etree.ElementTree import ParseError

    from minio.error import MinioException
    from urllib3.exceptions import HTTPError

    try:
        first = next(iter(_client(store).list_objects(bucket_name=store.bucket, recursive=True)), None)
    except ValueError as error:
        raise Wrong(f"{store.bucket!r} is no name of a bucket: {error}.") from error
    except (MinioException, HTTPError, ParseError) as error:
        raise Wrong(_access_remedy(store, error)) from error
    holds = f"its first object is {first.object_name}" if first else "it is empty"
    return f"the bucket {store.bucket} may be listed; {holds}"


def _access_remedy(store: Checked, error: Exception) -> str:
    code = code_of(error)
    remedies = {
        "NoSuchBucket": f"there is no bucket {store.bucket}: create it, or mend the name.",
        "AccessDenied": f"these keys may not list {store.bucket}: grant them s3:ListBucket, s3:GetObject and, where "
        "the pipeline writes, s3:PutObject.",
        "RequestTimeTooSkewed": "the service finds our clock wrong: let NTP set it.",
        "AuthorizationHeaderMalformed": f"the region {store.region} is not the bucket's: mend `region`.",
        "PermanentRedirect": f"the bucket lies in another region than {store.region}: mend `region` and `endpoint`.",
        **dict.fromkeys(
            NO_S3, "it answers, but not as S3 does: is this a console or a proxy? MinIO's API is port 9000."
        ),
        **dict.fromkeys(
            WRONG_CREDENTIALS,
            f"the keys are refused: mend {store.access_key} (who) and {store.secret_key} (its secret).",
        ),
    }
    # minio's ServerError and the like: the service itself is in trouble
    return f"{code}: {remedies.get(code, f'{str(error)[:200]}. Look at the service and its log.')}"


def _write(store: Checked) -> str:
    from minio.error import MinioException
    from urllib3.exceptions import HTTPError

    client, key, data = _client(store), f"music-flamingo-check/{uuid.uuid4()}", b"written by mf storage check"
    try:
        client.put_object(bucket_name=store.bucket, object_name=key, data=io.BytesIO(data), length=len(data))
        answer = client.get_object(bucket_name=store.bucket, object_name=key)
        try:
            came = answer.read()
        finally:
            answer.close()
            answer.release_conn()
        client.remove_object(bucket_name=store.bucket, object_name=key)
    except (MinioException, HTTPError) as error:
        code = code_of(error)
        raise Wrong(
            f"{code}: an object cannot be written, read and removed in {store.bucket}: grant s3:PutObject, "
            "s3:GetObject and s3:DeleteObject, and look at the quota."
        ) from error
    if came != data:
        raise Wrong(f"{key} came back as other bytes than were written: a proxy changes them. Go round it.")
    return "an object was written, read and removed"
