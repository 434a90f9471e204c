"""A real S3 service for tests: OpenStack Swift with its s3api, which checks signatures (a wrong secret is refused).

Use it in a test module with `pytest_plugins = ("support.object_store",)` and the fixture `object_store`, and mark the
test `slow`. It is installed once, from requirements/object-store.txt, into a venv of its own below .cache; it listens
on loopback, keeps one replica in a folder below .cache and ends with the session.
"""

import ctypes
import fcntl
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".cache" / "object-store"
PINS = ROOT / "requirements" / "object-store.txt"
READY_WITHIN_S = 60.0
INSTALL_WITHIN_S = 600.0
SERVICES = ("account", "container", "object")
PR_SET_PDEATHSIG = 1

COMMON = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
swift_dir = {folder}
user = {user}
log_name = {name}
"""
STORAGE = """devices = {folder}/devices
mount_check = false
fallocate_reserve = 0
disable_fallocate = true
[pipeline:main]
pipeline = healthcheck {name}-server
[app:{name}-server]
use = egg:swift#{name}
[filter:healthcheck]
use = egg:swift#healthcheck
"""
FILTERS = {
    "catch_errors": "",
    "gatekeeper": "",
    "healthcheck": "",
    # nothing listens there: the proxy keeps no cache
    "cache": "memcache_servers = 127.0.0.1:1\nerror_suppression_interval = 3600\nerror_suppression_limit = 1\n"
    "connect_timeout = 0.01\n",
    "listing_formats": "",
    "s3api": "s3_acl = false\nlocation = us-east-1\ndns_compliant_bucket_names = true\n",
    "tempauth": "user_{account}_{name} = {secret} .admin\nuser_{account}_reader = {secret}\n",
    "copy": "",
    "slo": "",
    "dlo": "",
    "versioned_writes": "allow_versioned_writes = true\nallow_object_versioning = true\n",
    "symlink": "",
}
ENTRY_POINTS = {"cache": "memcache"}


@dataclass(frozen=True)
class ObjectStore:
    """How to reach the service."""

    endpoint: str
    """`127.0.0.1:PORT`, plain HTTP."""
    access_key: str
    secret_key: str
    region: str = "us-east-1"

    @property
    def url(self) -> str:
        return f"http://{self.endpoint}"

    def client(self) -> Any:
        from minio import Minio

        return Minio(
            endpoint=self.endpoint,
            access_key=self.access_key,
            secret_key=self.secret_key,
            secure=False,
            region=self.region,
        )

    def reader(self, bucket: str) -> "ObjectStore":
        """As somebody who may list and read this bucket and no more."""
        from botocore.session import get_session

        owner = get_session().create_client(
            "s3",
            endpoint_url=self.url,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
        )
        owner.put_bucket_acl(Bucket=bucket, ACL="public-read")
        return replace(self, access_key=f"{self.access_key.partition(':')[0]}:reader")

    def environment(self) -> dict[str, str]:
        """What boto, s3fs and DVC read."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL": self.url,
        }


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """The running service. Skips, saying why, where it cannot be installed."""
    binaries = install()
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=HOME))
    started: list[subprocess.Popen[bytes]] = []
    try:
        store = ObjectStore(f"127.0.0.1:{free_ports(1)[0]}", "mf:admin", "a-secret-of-the-tests")
        configure(folder, store, binaries)
        started = [start(name, folder, binaries) for name in (*SERVICES, "proxy")]
        wait_until_ready(store, started, folder)
        yield store
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(timeout=20)
        shutil.rmtree(folder, ignore_errors=True)


def install() -> Path:
    """The folder of Swift's programs; installed when the pins have changed or it is not there yet."""
    HOME.mkdir(parents=True, exist_ok=True)
    wanted, stamp = hashlib.sha256(PINS.read_bytes()).hexdigest(), HOME / "installed"
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.is_file() or stamp.read_text() != wanted:
            python = HOME / "venv" / "bin" / "python"
            _install_step([sys.executable, "-m", "venv", "--clear", str(HOME / "venv")])
            _install_step([str(python), "-m", "pip", "install", "-qq", "-r", str(PINS)])
            stamp.write_text(wanted)
    return HOME / "venv" / "bin"


def _install_step(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_WITHIN_S)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no object store: {' '.join(command[1:3])} failed: {error.stderr.strip()[-300:]}")
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"no object store: {error}")


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def configure(folder: Path, store: ObjectStore, binaries: Path) -> None:
    """Rings of one device each, and the configuration of the four servers."""
    import getpass

    (folder / "devices" / "d1").mkdir(parents=True)
    (folder / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_suffix = local\nswift_hash_path_prefix = local\n"
        "[storage-policy:0]\nname = gold\ndefault = yes\n"
    )
    user = getpass.getuser()
    for name, port in zip(SERVICES, free_ports(len(SERVICES)), strict=True):
        ring = [binaries / "swift-ring-builder", folder / f"{name}.builder"]
        for step in (["create", "6", "1", "1"], ["add", f"r1z1-127.0.0.1:{port}/d1", "1"], ["rebalance"]):
            subprocess.run([*map(str, ring), *step], check=True, capture_output=True)
        text = (COMMON + STORAGE).format(port=port, folder=folder, user=user, name=name)
        (folder / f"{name}.conf").write_text(text)
    account, _, person = store.access_key.partition(":")
    proxy = COMMON.format(port=store.endpoint.rpartition(":")[2], folder=folder, user=user, name="proxy")
    proxy += f"[pipeline:main]\npipeline = {' '.join(FILTERS)} proxy-server\n"
    proxy += "[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n"
    for name, settings in FILTERS.items():
        proxy += f"[filter:{name}]\nuse = egg:swift#{ENTRY_POINTS.get(name, name)}\n"
        proxy += settings.format(account=account, name=person, secret=store.secret_key)
    (folder / "proxy.conf").write_text(proxy)


def start(name: str, folder: Path, binaries: Path) -> "subprocess.Popen[bytes]":
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [binaries / f"swift-{name}-server", folder / f"{name}.conf"],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"},
            preexec_fn=_die_with_parent,
        )


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def wait_until_ready(store: ObjectStore, started: list["subprocess.Popen[bytes]"], folder: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline and all(p.poll() is None for p in started):
        try:
            with urllib.request.urlopen(f"{store.url}/healthcheck", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    logs = "\n".join(path.read_text(errors="replace")[-1000:] for path in sorted(folder.glob("*.log")))
    pytest.fail(f"the object store did not start within {READY_WITHIN_S} s:\n{logs}")
