"""The `s3` source, and s3: uris of a table, against a real service that checks signatures."""

import hashlib
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support import sounds
from support.object_store import ObjectStore
from test_ingest import digests, ingest_into, small_config

from music_flamingo.audio.originals import open_original
from music_flamingo.core.errors import UserError
from music_flamingo.core.manifest import read_manifest
from music_flamingo.sources import object_store as objects
from music_flamingo.sources.object_store import ObjectProblem, S3Access, download

pytest_plugins = ("support.object_store",)
service = pytest.mark.slow
BUCKET = "songs"
ACCESS = {"region": "us-east-1", "access_key": "env:TEST_S3_KEY", "secret_key": "env:TEST_S3_SECRET"}


@pytest.fixture(scope="module")
def bucket(object_store: ObjectStore) -> ObjectStore:
    client = object_store.client()
    client.make_bucket(bucket_name=BUCKET)
    files = {
        "music/a b.mp3": sounds.encode(sounds.tune(5.0, 1), "mp3", tags={"title": "One", "artist": "Å"}),
        "music/deep/é.flac": sounds.encode(sounds.tune(5.0, 2), "flac"),
        "music/broken.ogg": b"no sound",
        "music/cover.jpg": b"x",
        "other/c.mp3": sounds.encode(sounds.tune(5.0, 3), "mp3"),
    }
    for key, data in files.items():
        client.put_object(bucket_name=BUCKET, object_name=key, data=io.BytesIO(data), length=len(data))
    return object_store


@pytest.fixture(autouse=True)
def credentials(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_S3_KEY", "mf:admin")
    monkeypatch.setenv("TEST_S3_SECRET", "wrong by default")
    if "object_store" in request.fixturenames:
        store = request.getfixturevalue("object_store")
        monkeypatch.setenv("TEST_S3_KEY", store.access_key)
        monkeypatch.setenv("TEST_S3_SECRET", store.secret_key)


def s3_config(url: str, bucket: str = BUCKET, prefix: str = "music/", **changes: object) -> str:
    source = {"kind": "s3", "access": {"endpoint": url, **ACCESS}, "bucket": bucket, "prefix": prefix}
    return small_config(source=source, **changes)


@service
def test_objects_become_tracks_and_their_originals_are_verified_copies(bucket: ObjectStore, tmp_path: Path) -> None:
    tracks = {t.uri: t for t in ingest_into(tmp_path, s3_config(bucket.url))}
    assert set(tracks) == {f"s3://{BUCKET}/music/{name}" for name in ("a b.mp3", "deep/é.flac", "broken.ogg")}
    one = tracks[f"s3://{BUCKET}/music/a b.mp3"]
    assert (one.title, one.artist, one.is_ok) == ("One", "Å", True)
    assert open_original(one, tmp_path / "originals").read_bytes()[:3] == b"ID3"
    assert tracks[f"s3://{BUCKET}/music/broken.ogg"].status == "quarantined:unreadable"
    secret = bucket.secret_key.encode()
    assert not any(secret in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


@service
def test_two_workers_give_what_one_gives_and_a_second_run_does_nothing(bucket: ObjectStore, tmp_path: Path) -> None:
    for workers in (1, 2):
        ingest_into(tmp_path / str(workers), s3_config(bucket.url, workers=workers))
    assert digests(tmp_path / "1") == digests(tmp_path / "2")
    before = (tmp_path / "1" / "tracks" / "part-00000.parquet").stat().st_mtime_ns
    ingest_into(tmp_path / "1", s3_config(bucket.url))
    assert (tmp_path / "1" / "tracks" / "part-00000.parquet").stat().st_mtime_ns == before


@service
def test_a_new_object_makes_a_new_run(bucket: ObjectStore, tmp_path: Path) -> None:
    config = s3_config(bucket.url, prefix="other/")
    assert len(list(ingest_into(tmp_path, config))) == 1
    data = sounds.encode(sounds.tune(5.0, 4), "mp3")
    bucket.client().put_object(bucket_name=BUCKET, object_name="other/d.mp3", data=io.BytesIO(data), length=len(data))
    assert len(list(ingest_into(tmp_path, config))) == 2


@service
def test_a_table_may_list_objects_and_a_missing_one_is_a_reason(bucket: ObjectStore, tmp_path: Path) -> None:
    uris = [f"s3://{BUCKET}/music/a b.mp3", f"s3://{BUCKET}/music/gone.mp3"]
    (tmp_path / "t.jsonl").write_text("\n".join(json.dumps({"uri": u, "region": "Here"}) for u in uris))
    access = {"endpoint": bucket.url, **ACCESS}
    source = {"kind": "table", "path": str(tmp_path / "t.jsonl"), "columns": {}, "s3": access}
    found, gone = ingest_into(tmp_path / "data", small_config(source=source))
    assert (found.status, found.region, found.title) == ("ok", "Here", "One")
    assert (gone.status, gone.original) == ("quarantined:missing", None)
    assert read_manifest(tmp_path / "data" / "tracks").metrics["reasons"] == {"missing": 1}


@service
def test_an_object_above_the_limit_is_not_fetched(bucket: ObjectStore, tmp_path: Path) -> None:
    tracks = ingest_into(tmp_path, s3_config(bucket.url, limits={"max_bytes": 10_000}))
    assert {t.status for t in tracks} == {"quarantined:too_large", "quarantined:unreadable"}


@service
def test_a_wrong_secret_stops_naming_endpoint_bucket_and_remedy(
    bucket: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_S3_SECRET", "guessed-secret")
    with pytest.raises(
        UserError, match="The credentials are wrong: mend env:TEST_S3_KEY and env:TEST_S3_SECRET"
    ) as caught:
        ingest_into(tmp_path, s3_config(bucket.url))
    assert bucket.url in str(caught.value) and f"bucket {BUCKET}" in str(caught.value)
    assert "guessed-secret" not in str(caught.value)


@service
def test_a_bucket_that_is_not_there_stops_with_the_remedy(bucket: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"bucket no-such-bucket, answers NoSuchBucket\. There is no such bucket"):
        ingest_into(tmp_path, s3_config(bucket.url, bucket="no-such-bucket"))
    with pytest.raises(UserError, match="under 'nothing/'"):
        ingest_into(tmp_path, s3_config(bucket.url, prefix="nothing/"))


@service
def test_an_object_that_changed_since_it_was_listed_is_told(bucket: ObjectStore, tmp_path: Path) -> None:
    access = S3Access.model_validate({"endpoint": bucket.url, **ACCESS})
    with pytest.raises(ObjectProblem, match="changed: "):
        fetch(access, tmp_path, key="music/a b.mp3", size=17)
    assert list(tmp_path.iterdir()) == []


def fetch(access: S3Access, folder: Path, key: str = "a.mp3", size: int | None = None) -> None:
    download(access, BUCKET, key, folder / "a.mp3", max_bytes=10**9, size=size, etag=None)


@contextmanager
def answering(status: int, body: bytes, headers: dict[str, str]) -> Iterator[tuple[str, list[str]]]:
    """A store that gives one answer to everything: (its url, the paths that were asked for)."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def error_body(code: str) -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()


def access_of(url: str) -> S3Access:
    return S3Access.model_validate({"endpoint": url, **ACCESS})


def test_bytes_that_do_not_match_the_etag_are_fetched_again_and_then_given_up(tmp_path: Path) -> None:
    headers = {"content-length": "5", "etag": f'"{hashlib.md5(b"other").hexdigest()}"'}
    with answering(200, b"words", headers) as (url, asked), pytest.raises(ObjectProblem, match="incomplete"):
        fetch(access_of(url), tmp_path)
    assert len(asked) == objects.TRIES and list(tmp_path.iterdir()) == []


def test_a_transfer_that_breaks_off_is_fetched_again_and_then_given_up(tmp_path: Path) -> None:
    headers = {"content-length": "500", "etag": '"0-2"'}
    with answering(200, b"words", headers) as (url, asked), pytest.raises(ObjectProblem, match="incomplete"):
        fetch(access_of(url), tmp_path)
    assert len(asked) == objects.TRIES and list(tmp_path.iterdir()) == []


def test_a_forbidden_object_is_a_reason_and_a_refused_key_stops(tmp_path: Path) -> None:
    headers = {"content-type": "application/xml"}
    with (
        answering(403, error_body("AccessDenied"), headers) as (url, _),
        pytest.raises(ObjectProblem, match="forbidden"),
    ):
        fetch(access_of(url), tmp_path)
    with (
        answering(403, error_body("InvalidAccessKeyId"), headers) as (url, _),
        pytest.raises(UserError, match="mend env:"),
    ):
        fetch(access_of(url), tmp_path)


@pytest.mark.parametrize("status", [200, 404])
def test_an_endpoint_that_does_not_speak_s3_is_named_with_its_remedy(status: int) -> None:
    page = {"content-type": "text/html", "content-length": "13"}
    with answering(status, b"<p>console<p>", page) as (url, _), pytest.raises(UserError) as raised:
        list(objects.list_objects(access_of(url), BUCKET, ""))
    assert f"the object store {url}, bucket {BUCKET}, answers " in str(raised.value)
    assert "That is no S3: mend `endpoint`" in str(raised.value)


def test_a_key_in_the_parameters_is_refused_without_being_shown(tmp_path: Path) -> None:
    config = json.loads(s3_config("http://127.0.0.1:9"))
    config["source"]["access"]["secret_key"] = "canary-secret"
    with pytest.raises(UserError, match="say where a key stands") as caught:
        ingest_into(tmp_path, json.dumps(config))
    assert "canary-secret" not in str(caught.value)


def test_missing_credentials_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_S3_SECRET")
    with pytest.raises(UserError, match="the environment variable TEST_S3_SECRET is not there or is empty"):
        ingest_into(tmp_path, s3_config("http://127.0.0.1:9"))


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("value\n")
    assert objects.secret(f"file:{tmp_path / 'key'}") == "value"
    with pytest.raises(UserError, match="the file /nowhere"):
        objects.secret("file:/nowhere")


@pytest.mark.parametrize("endpoint", ["127.0.0.1:9000", "ftp://x", "https://user:word@host", "https://host/path"])
def test_an_endpoint_that_is_no_address_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError, match="an endpoint reads https://host:port"):
        access_of(endpoint)
