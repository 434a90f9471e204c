"""Progress of long work: a bar on a terminal, a log line every few seconds elsewhere. Rate and time left in both."""

import sys
import time
from dataclasses import dataclass, field
from typing import TextIO

BAR_WIDTH = 24


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

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self.total:
            self._show(last=True)

    def advance(self, units: int = 1) -> None:
        self.done += units
        now = time.monotonic()
        if self._first is None:
            self._first = (now, self.done)
        every_s = 0.2 if self.stream.isatty() else self.line_every_s
        if now - self._shown >= every_s:
            self._shown = now
            self._show(last=False)

    def line(self) -> str:
        """`facts  120/440 tracks  3.1/s  1:43 left`; the time left is unknown while the first results come."""
        now = time.monotonic()
        elapsed_s = max(now - self._started, 1e-6)
        counted = f"{self.label}  {self.done}/{self.total} {self.unit}"
        if self.done >= self.total:
            return f"{counted}  {self.done / elapsed_s:.3g}/s  {clock(elapsed_s)} in all"
        # what came before the first result is the loading of tools, which comes once
        since, before = self._first or (now, self.done)
        if self.done - before < max(1, before):
            return f"{counted}  {clock(elapsed_s)} so far, ? left"
        rate = (self.done - before) / max(now - since, 1e-6)
        return f"{counted}  {rate:.3g}/s  {clock((self.total - self.done) / rate)} left"

    def _show(self, last: bool) -> None:
        if self.stream.isatty():
            filled = int(BAR_WIDTH * self.done / max(self.total, 1))
            bar = "#" * filled + "." * (BAR_WIDTH - filled)
            self.stream.write(f"\r\x1b[K[{bar}] {self.line()}" + ("\n" if last else ""))
        else:
            self.stream.write(self.line() + "\n")
        self.stream.flush()


def clock(seconds: float) -> str:
    """`1:43` for 103 s."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"
