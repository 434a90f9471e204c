"""Seal a result only if parameters and code are the same at the end as at the start.

Modules are imported when they are first used, by workers too: if a source file changed while a stage ran, it is
unknown which version made what, even where it was changed back. So any file of the stage's closure that was written
meanwhile keeps the result from being sealed, and the stage runs again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from music_flamingo.core.errors import TransientError, UserError
from music_flamingo.core.hashing import PACKAGE_ROOT
from music_flamingo.core.identity import Closure, stamps

LISTING = "listing_sha256"
"""The part of a stage's parameters that stands for what a source holds."""
TRIES_WHILE_SONGS_CHANGE = 3
"""A folder into which something is copied changes while it is read; what was measured before is known."""
MOST_NAMED = 5
"""Names in one message."""


class ChangedWhileRunningError(UserError):
    """Parameters, sources or code changed while a stage ran: what it made is of no certain origin."""

    exit_status = 3


class SourceChangedError(ChangedWhileRunningError):
    """Songs came, went or changed while a stage listed and read them: the same again finds what lies there now."""


@dataclass(frozen=True)
class Start:
    """What a stage began with."""

    stage: str
    code: Mapping[str, str]
    """Each definition and data file that the result depends on, with its digest."""
    stamps: Mapping[Path, tuple[int, int, int]]
    parameters: Mapping[str, Any]

    @classmethod
    def of(cls, stage: str, code: Closure, parameters: Mapping[str, Any]) -> "Start":
        """Record parameters and code as they are at the start."""
        return cls(stage, code.parts, stamps(code), parameters)

    def require_same_parameters(self, now: Callable[[], Mapping[str, Any]]) -> None:
        """Raises ChangedWhileRunningError naming the parameters that differ, or why they cannot be read any more."""
        try:
            found = now()
        except TransientError:
            raise
        except UserError as error:
            what = f"its parameters became unreadable: {error}"
            raise ChangedWhileRunningError(_not_sealed(self.stage, what)) from error
        names = sorted(n for n in {*found, *self.parameters} if found.get(n) != self.parameters.get(n))
        if names:
            if names == [LISTING]:
                raise SourceChangedError(_not_sealed(self.stage, "the songs that it reads came, went or changed"))
            what = f"its parameters changed ({_some(names)})"
            raise ChangedWhileRunningError(_not_sealed(self.stage, what))

    def require_same_code(self, now: Closure) -> None:
        """Raises ChangedWhileRunningError naming the files that were written meanwhile."""
        after = stamps(now)
        names = sorted(_shown(p) for p in {*after, *self.stamps} if after.get(p) != self.stamps.get(p))
        if names or now.parts != self.code:
            what = f"code that its result depends on was written ({_some(names)})"
            raise ChangedWhileRunningError(_not_sealed(self.stage, what))


def _not_sealed(stage: str, what: str) -> str:
    return f"stage `{stage}` is not sealed: while it ran, {what}. Run it again: `mf run {stage}` or `mf repro`."


def _shown(path: Path) -> str:
    return str(path.relative_to(PACKAGE_ROOT)) if path.is_relative_to(PACKAGE_ROOT) else str(path)


def _some(names: list[str]) -> str:
    return ", ".join(names[:MOST_NAMED]) + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")
