"""Progress with rate and time left: tqdm's bar on a terminal, log lines elsewhere."""

import sys
import time
from dataclasses import dataclass, field
from multiprocessing import parent_process
from typing import Any, TextIO

from tqdm import tqdm


@dataclass
class Progress:
    """Counts `done` of `total` units under a label. Use as a context manager and call `advance`."""

    label: str
    total: int
    unit: str
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    done: int = 0
    line_every_s: float = 10.0
    _started: float = field(default_factory=time.monotonic)
    _shown: float = 0.0
    _first: tuple[float, int] | None = None
    """When the first results came, and how many they were."""
    _bar: Any = None
    """tqdm's, on a terminal."""

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
        elif self.total:
            self._write()

    def advance(self, units: int = 1) -> None:
        """Count finished units, and show them now and then."""
        self.done += units
        now = time.monotonic()
        if self._first is None:
            self._first = (now, self.done)
        if self.stream.isatty() and parent_process() is None:  # two bars would write over each other
            if self._bar is None:
                self._bar = tqdm(total=self.total, desc=self.label, unit=f" {self.unit}", file=self.stream)
            self._bar.update(units)
        elif now - self._shown >= self.line_every_s and self.done < self.total:
            self._shown = now
            self._write()

    def line(self) -> str:
        """`facts  120/440 tracks  3.1/s  1:43 left`; the time left is unknown while the first results come."""
        now = time.monotonic()
        elapsed_s = max(now - self._started, 1e-6)
        counted = f"{self.label}  {self.done}/{self.total} {self.unit}"
        if self.done >= self.total:
            return f"{counted}  {self.done / elapsed_s:.3g}/s  {clock(elapsed_s)} in all"
        left_s = self.seconds_left()
        if left_s is None:
            return f"{counted}  {clock(elapsed_s)} so far, ? left"
        rate = (self.total - self.done) / max(left_s, 1e-6)
        return f"{counted}  {rate:.3g}/s  {clock(left_s)} left"

    def seconds_left(self) -> float | None:
        """The time (s) that the rest takes at the rate so far; None while the first results come."""
        # what came before the first result is the loading of tools, which comes once
        now = time.monotonic()
        since, before = self._first or (now, self.done)
        if self.done - before < max(1, before):
            return None
        return (self.total - self.done) * max(now - since, 1e-6) / (self.done - before)

    def _write(self) -> None:
        self.stream.write(self.line() + "\n")
        self.stream.flush()


def clock(seconds: float) -> str:
    """`1:43` for 103 s."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"
