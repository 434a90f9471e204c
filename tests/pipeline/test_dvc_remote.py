"""The data sets go to an S3 remote by DVC and come back the same, with credentials that lie in no file."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
import yaml
from support.object_store import ObjectStore
from support.report_ports import make_run

from music_flamingo.core.manifest import read_manifest, verify
from music_flamingo.runs.workspace import prepare

pytest_plugins = ("support.object_store",)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "products"
KEPT_STAGES = ("ingest", "facts", "captions", "synthesize", "validate", "sft", "reason")
NOT_CACHED = {"originals", "data_docs"}
NOTHING: Mapping[str, str] = MappingProxyType({})


def dvc(folder: Path, *arguments: str, environment: Mapping[str, str] = NOTHING) -> "subprocess.CompletedProcess[str]":
    own = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    return subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=folder,
        env={**own, "DVC_NO_ANALYTICS": "1", **environment},
        capture_output=True,
        text=True,
    )


def succeed(folder: Path, *arguments: str, environment: Mapping[str, str] = NOTHING) -> str:
    done = dvc(folder, *arguments, environment=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def credentials(store: ObjectStore) -> dict[str, str]:
    """As docs/reference/data.md has them; the endpoint is the remote's, not the environment's."""
    return {"AWS_ACCESS_KEY_ID": store.access_key, "AWS_SECRET_ACCESS_KEY": store.secret_key}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory, object_store) -> Path:
    """A finished run with its lock, and a remote as the documentation adds it."""
    folder = tmp_path_factory.mktemp("team") / "work"
    folder.mkdir()
    succeed(folder, "init", "--no-scm")
    prepare(ROOT, folder, (), ())
    graph = yaml.safe_load((folder / "dvc.yaml").read_text())
    graph["stages"] = {name: graph["stages"][name] for name in KEPT_STAGES}
    made = {next(iter(out)) if isinstance(out, dict) else out for s in graph["stages"].values() for out in s["outs"]}
    for stage in graph["stages"].values():
        stage["deps"] = [d for d in stage["deps"] if d in made or d == "data/originals"]
    (folder / "dvc.yaml").write_text(yaml.safe_dump(graph))
    make_run(folder / "data")
    (folder / "data/originals").mkdir()
    (folder / "data/originals/song.flac").write_bytes(b"not pushed")
    succeed(folder, "commit", "--force")
    object_store.client().make_bucket(bucket_name=BUCKET)
    succeed(folder, "remote", "add", "--default", "store", f"s3://{BUCKET}/music-flamingo")
    succeed(folder, "remote", "modify", "store", "endpointurl", object_store.url)
    succeed(folder, "remote", "modify", "store", "region", object_store.region)
    return folder


@pytest.fixture(scope="module")
def pushed(workspace, object_store) -> Path:
    succeed(workspace, "push", environment=credentials(object_store))
    return workspace


def cached_ports(workspace: Path) -> list[str]:
    outs = [o for s in yaml.safe_load((workspace / "dvc.lock").read_text())["stages"].values() for o in s["outs"]]
    return sorted({Path(o["path"]).name for o in outs} - NOT_CACHED)


def digests(workspace: Path) -> dict[str, str]:
    return {port: verify(workspace / "data" / port).digest for port in cached_ports(workspace)}


def fresh(pushed: Path, folder: Path) -> Path:
    """What a colleague gets: the graph, the parameters, the lock, the remote's address; no data, no cache."""
    folder.mkdir()
    for name in ("dvc.yaml", "dvc.lock", "params.yaml"):
        shutil.copy(pushed / name, folder / name)
    succeed(folder, "init", "--no-scm")
    shutil.copy(pushed / ".dvc/config", folder / ".dvc/config")
    return folder


def test_a_fresh_copy_pulls_the_same_digests(pushed, tmp_path, object_store):
    other = fresh(pushed, tmp_path / "colleague")
    succeed(other, "pull", environment=credentials(object_store))
    assert digests(other) == digests(pushed)
    assert "skills" in cached_ports(other)
    told = subprocess.run(
        [sys.executable, "-m", "music_flamingo.cli", "verify"], cwd=other, capture_output=True, text=True
    )
    assert told.returncode == 0
    assert read_manifest(other / "data/skills").digest[:16] in told.stdout


def test_one_data_set_is_pulled_alone(pushed, tmp_path, object_store):
    other = fresh(pushed, tmp_path / "colleague")
    succeed(other, "pull", "data/skills", environment=credentials(object_store))
    assert [p.name for p in (other / "data").iterdir()] == ["skills"]
    assert verify(other / "data/skills").digest == read_manifest(pushed / "data/skills").digest


def test_a_wiped_workspace_is_filled_again(pushed, object_store):
    before = digests(pushed)
    for port in cached_ports(pushed):
        shutil.rmtree(pushed / "data" / port)
    shutil.rmtree(pushed / ".dvc/cache")
    succeed(pushed, "pull", environment=credentials(object_store))
    assert digests(pushed) == before


def test_a_wrong_secret_is_refused_in_words(pushed, tmp_path, object_store):
    other = fresh(pushed, tmp_path / "stranger")
    wrong = {**credentials(object_store), "AWS_SECRET_ACCESS_KEY": "guessed"}
    done = dvc(other, "pull", "data/skills", environment=wrong)
    assert done.returncode != 0
    assert re.search(r"[Ff]orbidden|SignatureDoesNotMatch|AccessDenied|Access Denied", done.stdout + done.stderr)
    assert "Traceback" not in done.stdout + done.stderr
    assert not (other / "data/skills").exists()


def test_without_credentials_nothing_is_pulled(pushed, tmp_path):
    other = fresh(pushed, tmp_path / "stranger")
    done = dvc(other, "pull", "data/skills", environment={"AWS_EC2_METADATA_DISABLED": "true"})
    assert done.returncode != 0
    assert re.search(r"credentials", done.stdout + done.stderr, re.IGNORECASE)


def test_no_secret_lies_in_a_file_that_is_shared(pushed, object_store):
    for path in [pushed / ".dvc/config", *(p for p in pushed.glob("dvc.*")), pushed / "params.yaml"]:
        assert object_store.secret_key not in path.read_text()
        assert object_store.access_key not in path.read_text()


def test_credentials_may_lie_in_the_local_configuration_that_git_ignores(pushed, tmp_path, object_store):
    other = fresh(pushed, tmp_path / "colleague")
    for name, value in (("access_key_id", object_store.access_key), ("secret_access_key", object_store.secret_key)):
        succeed(other, "remote", "modify", "--local", "store", name, value)
    succeed(other, "pull", "data/think")
    assert object_store.secret_key in (other / ".dvc/config.local").read_text()
    assert object_store.secret_key not in (other / ".dvc/config").read_text()
    assert ".dvc/config.local" in (ROOT / ".gitignore").read_text()


def test_the_remote_holds_about_one_object_a_file_and_files_are_shards(pushed, object_store):
    objects = list(object_store.client().list_objects(bucket_name=BUCKET, recursive=True))
    files = {f.sha256 for port in cached_ports(pushed) for f in read_manifest(pushed / "data" / port).files}
    # each port adds its manifest and DVC's listing of the folder
    assert len(objects) <= len(files) + 2 * len(cached_ports(pushed))
    records = sum(read_manifest(pushed / "data" / port).num_records or 0 for port in cached_ports(pushed))
    assert len(objects) < records
