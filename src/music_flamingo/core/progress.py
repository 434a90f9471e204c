"""Progress with rate and time left: a bar on a terminal, log lines elsewhere."""

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

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self.total:
            self._show(last=True)

    def advance(self, units: int = 1) -> None:
        """Count finished units, and show them now and then."""
        self.done += units
        now = time.monotonic()
        every_s = 0.2 if self.stream.isatty() else self.line_every_s
        if now - self._shown >= every_s:
            self._shown = now
            self._show(last=False)

    def line(self) -> str:
        """`facts  120/440 tracks  3.1/s  1:43 left`"""
        elapsed_s = max(time.monotonic() - self._started, 1e-6)
        rate = self.done / elapsed_s
        left = clock((self.total - self.done) / rate) if rate and self.done < self.total else clock(elapsed_s)
        tail = "left" if self.done < self.total else "in all"
        return f"{self.label}  {self.done}/{self.total} {self.unit}  {rate:.3g}/s  {left} {tail}"

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
