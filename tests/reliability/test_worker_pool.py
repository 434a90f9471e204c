"""Workers: one that is killed ends the stage at once, and none outlives its driver. Number 19 of what must hold."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from music_flamingo.core.driver import DRIVER, driver_environment
from music_flamingo.core.errors import UserError
from music_flamingo.core.parallel import pool_map
from music_flamingo.core.pool import WorkerPool

pytestmark = pytest.mark.reliability

GONE_WITHIN_S = 5.0
LARGE = 200 * 2**20


class DiesWhileItIsSent:
    """Pickling it writes a first large part, then kills the process in the midst of its answer."""

    def __reduce__(self):
        os.kill(os.getpid(), signal.SIGKILL)


def large_then_dead(item: int) -> bytes:
    import threading

    # in the midst of writing: the pipe holds 64 kB, the driver reads a part and waits for the rest
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGKILL)).start()
    return bytes(LARGE)


def die(item: int) -> object:
    return DiesWhileItIsSent()


def double(item: int) -> int:
    return 2 * item


def fail_at_three(item: int) -> int:
    if item == 3:
        raise KeyError("three")
    return item


@pytest.mark.timeout(60)
@pytest.mark.parametrize("work", [large_then_dead, die])
def test_a_worker_killed_while_it_writes_its_answer_ends_the_stage(work):
    with pytest.raises(UserError, match="a worker process died"), pool_map(2) as run_map:
        list(run_map(work, range(20)))


@pytest.mark.timeout(60)
def test_results_come_in_order_and_an_error_comes_after_what_was_before_it():
    with WorkerPool(2) as pool:
        assert list(pool.map(double, range(50), 8)) == [2 * n for n in range(50)]
        given = []
        with pytest.raises(KeyError, match="three"):
            given.extend(pool.map(fail_at_three, range(50), 8))
        for item in pool.map(double, range(3), 1):
            given.append(item)
    assert given[-3:] == [0, 2, 4]


def sleepers(mark: str) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "environ").read_bytes()
            state = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
        except OSError:
            continue
        if mark.encode() in words and state not in "ZX":
            found.append(int(entry.name))
    return found


@pytest.mark.timeout(120)
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_worker_outlives_its_driver(sign, tmp_path):
    mark = f"MF_TEST_MARK={os.getpid()}-{sign.value}"
    script = tmp_path / "driver.py"
    script.write_text(
        "import time\n"
        "from music_flamingo.core.parallel import pool_map\n"
        "if __name__ == '__main__':\n"
        "    with pool_map(2) as run_map:\n"
        "        for _ in run_map(time.sleep, [0.01, 0.01, 600, 600]):\n"
        "            print('started', flush=True)\n"
    )
    name, value = mark.split("=")
    # what a shell starts in the background would not hear the interrupt
    driver = subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        env={**os.environ, name: value},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert driver.stdout is not None
    assert driver.stdout.readline() == b"started\n"
    assert len(sleepers(mark)) >= 3
    driver.send_signal(sign)
    driver.wait(timeout=60)
    deadline = time.monotonic() + GONE_WITHIN_S
    while left := sleepers(mark):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


@pytest.mark.timeout(60)
def test_a_stage_ends_with_the_driver_that_its_environment_names():
    driver = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from music_flamingo.core.driver import driver_environment as d\n"
            "print(*d().values(), flush=True)\nimport time; time.sleep(600)",
        ],
        stdout=subprocess.PIPE,
    )
    assert driver.stdout is not None
    named = driver.stdout.readline().decode().strip()
    code = "from music_flamingo.core.driver import end_with_driver\nend_with_driver()\nimport time; time.sleep(600)"
    stage = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, DRIVER: named})
    time.sleep(2.0)
    assert stage.poll() is None
    driver.kill()
    driver.wait()
    assert stage.wait(timeout=GONE_WITHIN_S) != 0


def test_a_stage_without_a_driver_runs_on():
    assert driver_environment().keys() == {DRIVER}
    code = "from music_flamingo.core.driver import end_with_driver\nend_with_driver()"
    plain = {name: value for name, value in os.environ.items() if name != DRIVER}
    assert subprocess.run([sys.executable, "-c", code], env=plain).returncode == 0
