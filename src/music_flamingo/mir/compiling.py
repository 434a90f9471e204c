"""Serialise librosa's numba compilation: its on-disk cache is not process-safe.

numba's cache has no lock: a worker that reads what another is writing crashes in native code, then and ever after. So
each process makes its tool work once, on a moment of noise, while no other does; later calls only read.
"""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from music_flamingo.mir import RATE_HZ, Signal

NOISE_S = 4.0


def compile_alone(tool: Callable[[Signal], object]) -> None:
    """Call the tool on clicks in noise, one process of this user at a time."""
    samples = np.random.default_rng(0).normal(0, 0.01, round(NOISE_S * RATE_HZ)).astype(np.float32)
    samples[:: RATE_HZ // 2] = 0.9
    with (Path(tempfile.gettempdir()) / f"music-flamingo-librosa-{os.getuid()}.lock").open("w") as lock:
        # without locks two processes that compile at once may disturb each other; both go on
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        tool(Signal(samples))
