"""Errors for users: each names the thing, the value found, and the remedy."""

import errno

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""`errno` of a write for which there is no room: no fault of what was being worked on."""
NO_ROOM_WORDS = ("no space left on device", "disk is full", "disk full", "disk quota exceeded", "storagefull")
"""How libraries that give no `errno` say it: SQLite, safetensors, torch, libsndfile."""


def lacks_room(error: BaseException) -> str | None:
    """What to tell the user where a full disk is behind an error, however deep; None for other errors."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        number, name = getattr(cause, "errno", None), getattr(cause, "filename", None)
        if number in DISK_FULL or any(words in str(cause).casefold() for words in NO_ROOM_WORDS):
            place = f" ({name})" if name else ""
            return (
                f"the disk is full{place}: {cause}. What is finished stays, and nothing is torn. Make room "
                "(`mf measurements --unused-days 30`, old runs of `mf runs`); the same command goes on from here."
            )
        cause = cause.__cause__ or cause.__context__
    return None


class UserError(ValueError):
    """Something the user can mend: the command line prints its message alone, without a traceback."""

    exit_status = 2


class TransientError(UserError):
    """May be gone in a minute (a server is away, a worker was killed): the same again can succeed."""


class ConfigError(UserError):
    """A parameter is unknown, missing or of the wrong type."""


class MissingInputError(UserError):
    """An input port is absent or its stage did not finish."""


class CorruptDataError(UserError):
    """Bytes on disk are not what their manifest says."""


class MissingToolError(UserError):
    """An optional program, plugin or package is not installed."""
