"""Give libraries a writable home directory where the user has none: no passwd entry, no HOME, or a read-only one.

They keep caches there (numba's compiled functions, fonts, DVC's state), and some end with an error where they cannot.
"""

import os
import pwd
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

CACHES = {"XDG_CACHE_HOME": "cache", "NUMBA_CACHE_DIR": "numba", "MPLCONFIGDIR": "matplotlib"}
"""What libraries read, and the folder that they are given instead."""


def settle_home(environment: MutableMapping[str, str]) -> None:
    """Complete the environment. What is set and usable stays; nothing is made where a home is usable."""
    if not _has_name():
        for name in ("USER", "LOGNAME"):
            environment.setdefault(name, f"uid{os.getuid()}")
    home = environment.get("HOME") or _home_of_passwd()
    if home is None or not Path(home).is_dir():
        environment["HOME"] = str(_scratch())
    elif not os.access(home, os.W_OK | os.X_OK):
        for name, folder in CACHES.items():
            environment.setdefault(name, str(_scratch() / folder))


def _has_name() -> bool:
    return _home_of_passwd() is not None


def _home_of_passwd() -> str | None:
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return None


def _scratch() -> Path:
    """A folder of this user alone: the same for all processes where nobody else took its name."""
    folder = Path(tempfile.gettempdir()) / f"music-flamingo-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    state = folder.lstat()
    is_ours = folder.is_dir() and not folder.is_symlink() and state.st_uid == os.getuid() and not state.st_mode & 0o022
    return folder if is_ours else Path(tempfile.mkdtemp(prefix="music-flamingo-"))
