"""Errors for users: each names the thing, the value found, and the remedy."""

import errno

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""`errno` of a write for which there is no room: no fault of what was being worked on."""


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
