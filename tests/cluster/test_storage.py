"""`mf storage check`: each thing that is wrong is named with its remedy; against a service that checks signatures."""

import contextlib
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import minio
import pytest

from music_flamingo.cli import main
from music_flamingo.cluster import storage
from music_flamingo.cluster.storage import Checked, check
from music_flamingo.core.errors import UserError
from music_flamingo.sources.object_store import S3Access, list_objects

pytest_plugins = ("support.object_store",)
service = pytest.mark.slow
BUCKET = "checked"


@pytest.fixture(autouse=True)
def credentials(request, monkeypatch) -> None:
    monkeypatch.setenv("S3_ACCESS_KEY", "someone")
    monkeypatch.setenv("S3_SECRET_KEY", "something")
    if "object_store" in request.fixturenames:
        store = request.getfixturevalue("object_store")
        monkeypatch.setenv("S3_ACCESS_KEY", store.access_key)
        monkeypatch.setenv("S3_SECRET_KEY", store.secret_key)


def findings(endpoint: str, bucket: str = BUCKET, writes: bool = False, **changed: str):
    where = {"region": "us-east-1", "access_key": "env:S3_ACCESS_KEY", "secret_key": "env:S3_SECRET_KEY"} | changed
    return list(check(Checked(endpoint=endpoint, bucket=bucket, writes=writes, **where)))


def wrong(endpoint: str, **changed) -> tuple[str, str]:
    *before, last = findings(endpoint, **changed)
    assert not any(f.wrong for f in before)
    assert last.wrong, last
    return last.what, last.words


@contextlib.contextmanager
def server(handler: type[BaseHTTPRequestHandler], tls: ssl.SSLContext | None = None) -> Iterator[int]:
    listening = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if tls:
        listening.socket = tls.wrap_socket(listening.socket, server_side=True)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    try:
        yield listening.server_address[1]
    finally:
        listening.shutdown()
        listening.server_close()


class Answering(BaseHTTPRequestHandler):
    """A web server that is no S3; its clock can be wrong."""

    ahead = timedelta()
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response_only(200)
        self.send_header("Date", format_datetime(datetime.now(UTC) + self.ahead, usegmt=True))
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        pass


@service
def test_a_good_bucket_is_found_good_and_left_as_it_was(object_store):
    object_store.client().make_bucket(bucket_name=BUCKET)
    found = findings(object_store.url, writes=True)
    assert [f.what for f in found] == ["address", "credentials", "connection", "scheme", "clock", "access", "write"]
    assert not any(f.wrong for f in found)
    assert list(object_store.client().list_objects(bucket_name=BUCKET, recursive=True)) == []


@service
def test_a_wrong_secret_is_told_from_a_missing_bucket(object_store, monkeypatch):
    assert wrong(object_store.url, bucket="nowhere") == (
        "access",
        "NoSuchBucket: there is no bucket nowhere: create it, or mend the name.",
    )
    monkeypatch.setenv("S3_SECRET_KEY", "guessed")
    what, words = wrong(object_store.url)
    assert what == "access"
    assert "SignatureDoesNotMatch: the keys are refused: mend env:S3_ACCESS_KEY (who) and env:S3_SECRET_KEY" in words
    assert "guessed" not in words


@service
def test_keys_that_may_only_read_pass_until_a_write_is_asked_for(object_store, monkeypatch):
    if not object_store.client().bucket_exists(bucket_name=BUCKET):
        object_store.client().make_bucket(bucket_name=BUCKET)
    reader = object_store.reader(BUCKET)
    monkeypatch.setenv("S3_ACCESS_KEY", reader.access_key)
    assert not any(f.wrong for f in findings(object_store.url))
    what, words = wrong(object_store.url, writes=True)
    assert what == "write"
    assert words.startswith(f"AccessDenied: an object cannot be written, read and removed in {BUCKET}: grant s3:Put")


@service
def test_a_clock_here_that_is_an_hour_ahead_is_said_before_the_keys_are_blamed(object_store, monkeypatch):
    monkeypatch.setattr(storage.time, "time", lambda now=time.time: now() + 3600)
    what, words = wrong(object_store.url)
    assert what == "clock"
    assert "ahead of the service's: signatures are refused beyond 15 minutes. Let NTP set" in words


@service
def test_signatures_of_a_wrong_clock_are_told_from_wrong_keys(object_store, monkeypatch):
    """The clock of the client alone, as behind a proxy that gives its own time."""
    monkeypatch.setattr(minio.time, "utcnow", lambda: datetime.now(UTC) - timedelta(hours=1))
    what, words = wrong(object_store.url)
    assert (what, words) == ("access", "RequestTimeTooSkewed: the service finds our clock wrong: let NTP set it.")
    access = S3Access(
        endpoint=object_store.url,
        region=object_store.region,
        access_key="env:S3_ACCESS_KEY",
        secret_key="env:S3_SECRET_KEY",
    )
    with pytest.raises(UserError, match=r"RequestTimeTooSkewed\. The clock here is wrong"):
        list(list_objects(access, BUCKET, ""))


@service
def test_https_to_a_service_without_tls_says_which_scheme_to_write(object_store):
    what, words = wrong(object_store.url.replace("http://", "https://"))
    assert (what, "write http:// in place of https://" in words) == ("scheme", True)


@service
def test_the_command_ends_with_1_where_something_is_wrong(object_store, capsys):
    assert main(["storage", "check", "nowhere", "--endpoint", object_store.url]) == 1
    assert "WRONG access       NoSuchBucket" in capsys.readouterr().out


def test_nothing_listening_is_told_from_an_unknown_name():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    what, words = wrong(f"http://127.0.0.1:{port}")
    assert (what, "nothing listens" in words) == ("connection", True)
    what, words = wrong("http://no-such-name.invalid:9000")
    assert (what, "is not known here" in words) == ("connection", True)


@pytest.mark.parametrize("endpoint", ["minio:9000", "s3://songs", "https://h:9000/bucket", "http://h:port"])
def test_an_endpoint_that_is_no_address_says_how_one_reads(endpoint):
    what, words = wrong(endpoint)
    assert (what, "it reads https://host:port" in words) == ("address", True)


def test_missing_and_padded_keys_are_named_and_not_shown(monkeypatch):
    monkeypatch.setenv("S3_SECRET_KEY", "abc\n")
    assert "begins or ends with white space" in wrong("http://127.0.0.1:1")[1]
    monkeypatch.delenv("S3_SECRET_KEY")
    what, words = wrong("http://127.0.0.1:1")
    assert (what, "S3_SECRET_KEY is not there" in words) == ("credentials", True)
    assert "hunter2" not in wrong("http://127.0.0.1:1", secret_key="hunter2")[1]


def test_a_clock_that_is_wrong_by_an_hour_is_said_and_by_two_minutes_noticed():
    with server(type("Late", (Answering,), {"ahead": timedelta(hours=1)})) as port:
        what, words = wrong(f"http://127.0.0.1:{port}")
        assert what == "clock"
        assert "behind the service's: signatures are refused" in words
    with server(type("Early", (Answering,), {"ahead": -timedelta(minutes=2)})) as port:
        clock = next(f for f in findings(f"http://127.0.0.1:{port}") if f.what == "clock")
        assert (clock.wrong, "ahead of" in clock.words) == (False, True)


def test_a_server_that_is_no_s3_is_told():
    with server(Answering) as port:
        what, words = wrong(f"http://127.0.0.1:{port}")
    assert (what, "not as S3 does" in words) == ("access", True)


@pytest.fixture
def self_signed(tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate


def test_tls_troubles_are_told_apart(self_signed, monkeypatch):
    context, certificate = self_signed
    with server(Answering, tls=context) as port:
        what, words = wrong(f"https://127.0.0.1:{port}")
        assert (what, "is not trusted" in words) == ("scheme", True)
        what, words = wrong(f"http://127.0.0.1:{port}")
        assert (what, "https://" in words) == ("scheme", True)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert next(f for f in findings(f"https://127.0.0.1:{port}") if f.what == "scheme").wrong is False
