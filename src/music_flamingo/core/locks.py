"""File locks: one run of a stage at a time on one data folder."""

import errno
import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)

WITHOUT_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
"""What file systems without flock say: NFS with nolock, Lustre without -o flock."""


@contextmanager
def alone(stage: str, data: Path) -> Iterator[None]:
    """Hold the lock of a stage in a data folder, waiting for a run that a killed driver left behind."""
    folder = data / "_locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / stage).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("%s: another run is writing here; waiting for it to end", stage)
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in WITHOUT_LOCKS:
                raise
            log.warning("%s: %s has no locks; see to it that no second run writes here", stage, data)
        yield
