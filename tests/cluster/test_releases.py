"""Releases in a real object store: published, signed, checked byte for byte."""

import io
import json
import subprocess
from pathlib import Path

import pytest

from music_flamingo.cli import main
from music_flamingo.cluster.releases import SIGNATURES, ReleaseAt, parse_uri, publish, verify
from music_flamingo.core.errors import CorruptDataError, MissingInputError, UserError
from music_flamingo.core.hashing import sha256_file
from music_flamingo.prompts import load as load_prompt
from music_flamingo.serving.bundle import CHECKSUMS_FILE, RELEASE_FILE, ReleaseInfo, require_digest, seal
from music_flamingo.sources.object_store import S3Access

pytest_plugins = ("support.object_store",)
service = pytest.mark.slow
BUCKET = "models"
WHERE = ReleaseAt(BUCKET, "releases")


@pytest.fixture
def release(tmp_path) -> Path:
    folder = tmp_path / "release"
    (folder / "model").mkdir(parents=True)
    prompt = load_prompt("question")
    info = ReleaseInfo(
        status="released", reasons=[], name="tiny", think=True, prompt_id="question", prompt_sha256=prompt.sha256,
        max_new_tokens=8, max_audio_s=6.0, questions=[], teacher="scripted", parents={},
    )  # fmt: skip
    (folder / RELEASE_FILE).write_text(info.model_dump_json())
    (folder / "model/config.json").write_text('{"hidden_size": 8}')
    seal(folder)
    return folder


def keys(folder: Path, name: str) -> tuple[Path, Path]:
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    return private, public


@pytest.fixture
def access(object_store, monkeypatch) -> S3Access:
    monkeypatch.setenv("S3_ACCESS_KEY", object_store.access_key)
    monkeypatch.setenv("S3_SECRET_KEY", object_store.secret_key)
    client = object_store.client()
    if not client.bucket_exists(bucket_name=BUCKET):
        client.make_bucket(bucket_name=BUCKET)
    for found in list(client.list_objects(bucket_name=BUCKET, recursive=True)):
        client.remove_object(bucket_name=BUCKET, object_name=found.object_name)
    return S3Access(
        endpoint=object_store.url, region="us-east-1", access_key="env:S3_ACCESS_KEY", secret_key="env:S3_SECRET_KEY"
    )


def overwrite(object_store, key: str, data: bytes) -> None:
    object_store.client().put_object(bucket_name=BUCKET, object_name=key, data=io.BytesIO(data), length=len(data))


@service
def test_a_signed_release_is_verified_and_its_digest_is_that_of_the_folder(access, release, tmp_path):
    private, public = keys(tmp_path, "ours")
    at = publish(access, release, WHERE, private)
    assert verify(access, at, public) == sha256_file(release / CHECKSUMS_FILE)
    assert publish(access, release, WHERE, private) == at
    assert at.prefix == f"releases/{sha256_file(release / CHECKSUMS_FILE)[:16]}"


@service
def test_another_key_and_no_signature_are_refused(access, release, tmp_path):
    private, public = keys(tmp_path, "ours")
    _, others = keys(tmp_path, "theirs")
    at = publish(access, release, WHERE, None)
    with pytest.raises(UserError, match="is not signed: publish it with --sign KEY"):
        verify(access, at, public)
    publish(access, release, WHERE, private)
    with pytest.raises(UserError, match=r"is not signed by the key of .*theirs"):
        verify(access, at, others)


@service
def test_a_changed_added_or_missing_object_is_named(access, release, object_store):
    at = publish(access, release, WHERE, None)
    overwrite(object_store, f"{at.prefix}/model/config.json", b'{"hidden_size": 9}')
    with pytest.raises(CorruptDataError, match=r"model/config\.json does not match its checksum"):
        verify(access, at, None)
    overwrite(object_store, f"{at.prefix}/model/config.json", (release / "model/config.json").read_bytes())
    overwrite(object_store, f"{at.prefix}/model/run.py", b"print()")
    with pytest.raises(CorruptDataError, match=r"model/run\.py is no part of the release"):
        verify(access, at, None)
    object_store.client().remove_object(bucket_name=BUCKET, object_name=f"{at.prefix}/model/run.py")
    object_store.client().remove_object(bucket_name=BUCKET, object_name=f"{at.prefix}/{RELEASE_FILE}")
    with pytest.raises(CorruptDataError, match=r"release\.json is missing"):
        verify(access, at, None)


@service
def test_checksums_that_were_forged_with_the_files_fail_by_the_signature(access, release, tmp_path, object_store):
    private, public = keys(tmp_path, "ours")
    at = publish(access, release, WHERE, private)
    forged = json.loads((release / CHECKSUMS_FILE).read_text()) | {"model/config.json": "0" * 64}
    overwrite(object_store, f"{at.prefix}/{CHECKSUMS_FILE}", json.dumps(forged).encode())
    with pytest.raises(UserError, match="is not signed"):
        verify(access, at, public)
    names = [o.object_name for o in object_store.client().list_objects(bucket_name=BUCKET, recursive=True)]
    assert [n for n in names if n.startswith(SIGNATURES)]
    assert not [n for n in names if n.startswith(at.prefix) and n.endswith(".sig")]


@service
def test_what_is_not_published_is_missing_and_the_command_says_where_it_lies(access, release, object_store, capsys):
    with pytest.raises(MissingInputError, match="publish the release first"):
        verify(access, ReleaseAt(BUCKET, "releases/none"), None)
    assert main(["publish", str(release), f"s3://{BUCKET}/releases", "--endpoint", object_store.url]) == 0
    assert capsys.readouterr().out.startswith(f"s3://{BUCKET}/releases/")


def test_a_changed_release_is_not_published(release):
    (release / "model/config.json").write_text("{}")
    nobody = S3Access(endpoint="http://127.0.0.1:1", region="r", access_key="env:X", secret_key="env:Y")
    with pytest.raises(CorruptDataError):
        publish(nobody, release, WHERE, None)


@pytest.mark.parametrize("uri", ["models/releases", "s3://models", "s3:///x", "https://models/x"])
def test_an_address_that_names_no_release_says_how_one_reads(uri):
    with pytest.raises(UserError, match="s3://BUCKET/FOLDER"):
        parse_uri(uri)


def test_deploy_asks_for_a_key_or_for_the_word_unsigned(capsys):
    assert main(["deploy", "s3://m/r/1", "--endpoint", "http://127.0.0.1:1"]) == 2
    assert "--public-key KEY, which must have signed the release, or else --unsigned" in capsys.readouterr().err


def test_serve_refuses_another_release_than_was_deployed(release, capsys):
    require_digest(release, sha256_file(release / CHECKSUMS_FILE))
    assert main(["serve", "--release", str(release), "--sha256", "0" * 64]) == 2
    assert "is not the release that was deployed" in capsys.readouterr().err
