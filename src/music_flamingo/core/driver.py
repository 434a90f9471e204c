"""End a stage when its driver dies: `mf repro` puts its process id into the environment, and each stage watches it.

A driver that is killed outright sends nothing. Whoever started a stage without a driver is not watched.
"""

import os
import signal
import threading
import time
from pathlib import Path

DRIVER = "MF_DRIVER"
"""`pid:time of its start`: pids are used again."""
LOOK_EVERY_S = 0.5
GRACE_S = 3.0
"""From the request to end until the kill."""


def driver_environment() -> dict[str, str]:
    """What a process gives to those it starts, so that they end with it."""
    return {DRIVER: f"{os.getpid()}:{_started(os.getpid())}"}


def end_with_driver() -> None:
    """Watch the driver that the environment names, from a thread; without one do nothing."""
    pid, _, started = os.environ.get(DRIVER, "").partition(":")
    if pid.isdecimal() and int(pid) != os.getpid():
        threading.Thread(target=_watch, args=(int(pid), started), daemon=True, name="driver").start()


def _watch(pid: int, started: str) -> None:
    while _started(pid) == started:
        time.sleep(LOOK_EVERY_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os.kill(os.getpid(), signal.SIGKILL)


def _started(pid: int) -> str | None:
    """When a process began, in ticks since the machine's start; None for one that is gone or only not cleared away."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if after_name[0] in "ZX" else after_name[19]
