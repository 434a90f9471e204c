"""Full disks, users without a name or a home, homes that are read-only, file systems without locks: each works or says
what to do."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import sounds
from support.hostile_folder import wav

from music_flamingo import stages
from music_flamingo.cli import main
from music_flamingo.core.errors import lacks_room
from music_flamingo.core.home import CACHES, settle_home
from music_flamingo.core.manifest import read_manifest

pytestmark = [pytest.mark.reliability]

UID = 54321
is_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root: it mounts a file system or takes another uid")


def songs(folder: Path, count: int = 2, seconds: float = 4.0) -> Path:
    folder.mkdir()
    for seed in range(count):
        (folder / f"{seed}.wav").write_bytes(wav(sounds.tune(seconds, seed)))
    return folder


def mf_run(
    stage: str, data: Path, source: Path, environment: dict[str, str], *before: str
) -> "subprocess.CompletedProcess[str]":
    command = [*before, sys.executable, "-m", "music_flamingo.cli", "run", stage, "--data", str(data)]
    command += ["--set", f"ingest.source={{kind: audio_folder, path: {source}}}"]
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "OMP_NUM_THREADS") if name in os.environ}
    root = Path(__file__).resolve().parents[2]
    return subprocess.run(command, cwd=root, env=kept | environment, capture_output=True, text=True, errors="replace")


class Mounted:
    """A file system of its own, in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self, *options: str) -> None:
        self.folder.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(self.folder)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("nothing can be mounted here")

    def remount(self, *options: str) -> None:
        subprocess.run(["mount", "-o", ",".join(["remount", *options]), str(self.folder)], check=True)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Mounted]:
    made = Mounted(tmp_path / "mounted")
    yield made
    subprocess.run(["umount", str(made.folder)], capture_output=True)


@is_root
def test_ingest_on_a_full_disk_says_so_and_goes_on_when_there_is_room(tmp_path, mounted):
    mounted.mount("size=700k")
    source = songs(tmp_path / "songs", 6, 8.0)
    done = mf_run("ingest", mounted.folder / "data", source, {"HOME": str(tmp_path)})
    assert done.returncode == 2, done.stderr[-2000:]
    assert "mf: the disk is full" in done.stderr and "goes on from here" in done.stderr
    assert "Traceback" not in done.stderr
    mounted.remount("size=50m")
    again = mf_run("ingest", mounted.folder / "data", source, {"HOME": str(tmp_path)})
    assert again.returncode == 0, again.stderr[-2000:]
    assert read_manifest(mounted.folder / "data/tracks").status == {"ok": 6}


@pytest.mark.parametrize("stage", stages.ORDER)
def test_a_full_disk_is_a_clear_error_in_every_stage(stage, monkeypatch, capsys):
    def full(*_: object, **__: object) -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device", "/data/part-00003.parquet")
        except OSError as error:
            raise RuntimeError("a library wraps it") from error

    monkeypatch.setattr("music_flamingo.core.first_pass.execute", full)
    assert main(["run", stage]) == 2
    assert "mf: the disk is full" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "is_full"),
    [
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (RuntimeError("[enforce fail at inline_container.cc] . PytorchStreamWriter: No space left on device"), True),
        (RuntimeError("database or disk is full"), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        (ValueError("no space in this name"), False),
    ],
)
def test_what_libraries_say_of_a_full_disk_is_known(error, is_full):
    assert (lacks_room(error) is not None) == is_full


def test_a_user_without_a_home_is_given_one_and_others_keep_theirs(tmp_path, monkeypatch):
    mine = {"HOME": str(tmp_path)}
    settle_home(mine)
    assert mine == {"HOME": str(tmp_path)}
    gone = {"HOME": str(tmp_path / "gone")}
    settle_home(gone)
    assert Path(gone["HOME"]).is_dir() and os.access(gone["HOME"], os.W_OK)


def test_a_user_without_a_name_is_given_one(tmp_path, monkeypatch):
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr("music_flamingo.core.home.pwd.getpwuid", unknown)
    found: dict[str, str] = {}
    settle_home(found)
    assert found["USER"] == f"uid{os.getuid()}" and Path(found["HOME"]).is_dir()


def test_a_home_that_is_read_only_stays_and_caches_go_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr("music_flamingo.core.home.os.access", lambda path, mode: False)
    found = {"HOME": str(tmp_path), "MPLCONFIGDIR": "mine"}
    settle_home(found)
    assert found["HOME"] == str(tmp_path) and found["MPLCONFIGDIR"] == "mine"
    assert all(not found[name].startswith(str(tmp_path)) for name in CACHES)


@is_root
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ingest_and_facts_run_with_a_home_that_is_read_only(tmp_path, mounted):
    mounted.mount("size=1m")
    mounted.remount("ro")
    source = songs(tmp_path / "songs")
    for stage in ("ingest", "facts"):
        done = mf_run(stage, tmp_path / "data", source, {"HOME": str(mounted.folder)})
        assert done.returncode == 0, done.stderr[-2000:]


@is_root
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
def test_ingest_and_facts_run_for_a_user_without_a_name_and_a_home(tmp_path):
    source = songs(tmp_path / "songs")
    # the interpreter may lie in a folder that this user could not read
    may = "+dac_override,+dac_read_search"
    before = ("setpriv", f"--reuid={UID}", "--clear-groups", f"--inh-caps={may}", f"--ambient-caps={may}")
    for stage in ("ingest", "facts"):
        done = mf_run(stage, tmp_path / "data", source, {}, *before)
        assert done.returncode == 0, done.stderr[-2000:]
        assert (tmp_path / "data/tracks").stat().st_uid == UID
