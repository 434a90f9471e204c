"""Bounded failures: a failed call rejects its record, too many recent failures stop the stage."""

import threading
from collections import Counter, deque

from music_flamingo.core.errors import TransientError, UserError
from music_flamingo.records.caption import TEACHER_FAILED
from music_flamingo.teachers.config import FailureLimit

BAD_REPLIES = frozenset(
    f"{TEACHER_FAILED}{trouble}" for trouble in ("truncated", "wrong_shape", "invalid_json", "empty", "refused")
)
"""The server answered, and its model wrote nothing that could be used."""


class TeacherUnusableError(UserError):
    """The teacher cannot be asked, or fails too often to go on."""


class TeacherAwayError(TeacherUnusableError, TransientError):
    """Too many calls failed: the server is down or overrun, and may be back in a minute."""


class FailureWatch:
    """Remembers how the last calls ended; threads share it."""

    def __init__(self, limit: FailureLimit, teacher: str) -> None:
        self._limit, self._teacher = limit, teacher
        self._last: deque[str | None] = deque(maxlen=limit.window_calls)
        self._lock = threading.Lock()
        self._num_good = self._num_from_cache = 0
        self._interrupted = threading.Event()

    def interrupt(self) -> None:
        """Let no further try be made: waits end, and `check` raises."""
        self._interrupted.set()

    def wait(self, seconds: float) -> None:
        """Wait before a further try, unless asking has ended meanwhile."""
        self._interrupted.wait(seconds)

    def check(self) -> None:
        """Raises TeacherUnusableError when more of the last calls failed than may, or asking was interrupted."""
        if self._interrupted.is_set():
            raise TeacherUnusableError("interrupted: what was answered is kept, and the same command goes on")
        with self._lock:
            reasons = Counter(reason for reason in self._last if reason is not None)
            num_calls = len(self._last)
        if num_calls == self._limit.window_calls and reasons.total() > self._limit.max_failed_fraction * num_calls:
            allowed = f"more than {100 * self._limit.max_failed_fraction:g} %"
            raise TeacherAwayError(self._message(reasons, num_calls, allowed))

    def succeeded(self) -> None:
        """Count a call that succeeded."""
        with self._lock:
            self._last.append(None)
            self._num_good += 1

    def from_cache(self) -> None:
        """Count a call that was answered in an earlier run."""
        with self._lock:
            self._num_from_cache += 1

    def failed(self, reason: str) -> None:
        """Raises TeacherUnusableError when this was one too many."""
        with self._lock:
            self._last.append(reason)
        self.check()

    def end(self) -> None:
        """Raises TeacherUnusableError when calls were made and not one of them succeeded, however few they were.

        Where other calls were answered in an earlier run, what is asked again are those that failed in it: that their
        replies are bad once more says nothing about the server.
        """
        with self._lock:
            reasons = Counter(reason for reason in self._last if reason is not None)
            none_good = reasons.total() > 0 and self._num_good == 0
            if self._num_from_cache and reasons.keys() <= BAD_REPLIES:
                return
        if none_good:
            raise TeacherAwayError(self._message(reasons, reasons.total(), "all of them"))

    def _message(self, reasons: Counter[str], num_calls: int, allowed: str) -> str:
        counted = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
        return (
            f"{reasons.total()} of the last {num_calls} calls of {self._teacher} failed ({counted}), {allowed}. "
            "Look at the server and its address, key and model; the same command then goes on, and repeats no "
            "finished call."
        )
