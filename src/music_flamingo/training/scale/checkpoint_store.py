"""Replicate checkpoints to S3 in the background; restore when the local disk is lost.

CHECKPOINT_STORE (`s3://bucket/prefix`) switches it on, and the variables of `sources.object_store` say how the store is
reached: neither is part of a result. Below the prefix lies a folder for each piece of work, under the key of its
stage, inputs, parameters and code, so that nothing of another work is ever found.

Copies are made in the background, one at a time, the mark of wholeness last; where they take longer than training does
from one checkpoint to the next, those between are left out. A copy that fails is a warning: the next checkpoint is
copied again. The process ends when the last copy has, after SIGTERM too.
"""

import logging
import os
import shutil
from collections import defaultdict
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from music_flamingo.core.errors import UserError
from music_flamingo.core.hashing import sha256_file
from music_flamingo.core.manifest import open_work
from music_flamingo.core.ranks import is_first
from music_flamingo.sources.object_store import (
    ObjectProblem,
    S3Access,
    access_by_environment,
    download,
    list_objects,
    place_of,
    remove,
    upload,
)

log = logging.getLogger(__name__)

STORE = "CHECKPOINT_STORE"
COMPLETE = "complete.json"
PREFIX = "checkpoint-"
KEPT = 2
MAX_FILE_BYTES = 2**40

_DIGESTS = TypeAdapter(dict[str, str])


@dataclass
class CheckpointStore:
    """The copies of one folder of checkpoints. The first rank alone copies: all ranks write to one volume."""

    access: S3Access
    bucket: str
    prefix: str
    sending: Path | None = None
    """The checkpoint that is being copied: it has to stay on disk."""
    _sender: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "mirror"))
    _next: Future[None] | None = None

    def send(self, checkpoint: Path) -> None:
        """Copy a whole checkpoint, in the background, in place of one that still waits for its turn."""
        if self._next:
            self._next.cancel()
        self._next = self._sender.submit(self._send, checkpoint)

    def fetch(self, folder: Path) -> None:
        """The newest whole checkpoint of the store into `folder`, unless a newer one lies there. Damaged ones are
        passed over."""
        here = max((_step(path.name) for path in folder.glob(f"{PREFIX}*") if (path / COMPLETE).is_file()), default=-1)
        found = self._found()
        for name in sorted(found, key=_step, reverse=True):
            if _step(name) <= here:
                return
            if self._fetch(name, folder, set(found[name])):
                log.info("going on from %s of %s/%s", name, self.bucket, self.prefix)
                return

    def _send(self, checkpoint: Path) -> None:
        self.sending = checkpoint
        try:
            files = [path for path in sorted(checkpoint.iterdir()) if path.name != COMPLETE]
            for path in (*files, checkpoint / COMPLETE):
                upload(self.access, self.bucket, f"{self.prefix}/{checkpoint.name}/{path.name}", path)
            self._forget_before(_step(checkpoint.name))
        except FileNotFoundError:
            log.info("%s went before it was copied: its stage has ended", checkpoint.name)
        except (UserError, OSError) as error:
            log.warning("%s was not copied: %s", checkpoint.name, error)
        finally:
            self.sending = None

    def _forget_before(self, step: int) -> None:
        """Up to this step the last KEPT whole copies stay. What lies beyond was passed over, and is written anew."""
        found = {name: files for name, files in self._found().items() if _step(name) <= step}
        whole = sorted((name for name, files in found.items() if COMPLETE in files), key=_step)
        for name in found.keys() - set(whole[-KEPT:]):
            # without its mark first: a copy that is half removed must not look whole
            for file in sorted(found[name], key=lambda file: file != COMPLETE):
                remove(self.access, self.bucket, f"{self.prefix}/{name}/{file}")

    def _found(self) -> dict[str, list[str]]:
        """Checkpoint -> its files in the store."""
        files: defaultdict[str, list[str]] = defaultdict(list)
        for key, _, _ in list_objects(self.access, self.bucket, f"{self.prefix}/{PREFIX}"):
            name, _, file = key.removeprefix(f"{self.prefix}/").partition("/")
            # a checkpoint has no folders: a key that says so is none of ours
            if "/" not in file:
                files[name].append(file)
        return files

    def _fetch(self, name: str, folder: Path, files: set[str]) -> bool:
        if COMPLETE not in files:
            return False
        arriving = folder / f".{name}"
        shutil.rmtree(arriving, ignore_errors=True)
        arriving.mkdir(parents=True)
        try:
            digests = self._digests(name, arriving)
            if not digests.keys() <= files:
                raise ObjectProblem("missing", ", ".join(sorted(digests.keys() - files)))
            for file, digest in digests.items():
                self._get(name, file, arriving)
                if sha256_file(arriving / file) != digest:
                    raise ObjectProblem("changed", f"{file} is not what was copied")
        except ObjectProblem as problem:
            log.warning("%s in the object store is damaged (%s): passed over", name, problem)
            shutil.rmtree(arriving)
            return False
        shutil.rmtree(folder / name, ignore_errors=True)
        arriving.rename(folder / name)
        return True

    def _digests(self, name: str, arriving: Path) -> dict[str, str]:
        self._get(name, COMPLETE, arriving)
        try:
            return _DIGESTS.validate_json((arriving / COMPLETE).read_bytes())
        except ValueError as error:
            raise ObjectProblem("changed", f"{COMPLETE} cannot be read") from error

    def _get(self, name: str, file: str, arriving: Path) -> None:
        key, target = f"{self.prefix}/{name}/{file}", arriving / file
        download(self.access, self.bucket, key, target, max_bytes=MAX_FILE_BYTES, size=None, etag=None)


@cache
def checkpoint_store_of(folder: Path) -> CheckpointStore | None:
    """That of a folder of checkpoints; None where no store is named, in every rank but the first, or outside a port."""
    place = os.environ.get(STORE)
    work = open_work(folder)
    if not place or not is_first() or work is None:
        return None
    port, key = work
    bucket, prefix = place_of(place)
    if not bucket or not place.startswith("s3://"):
        raise UserError(f"{STORE} is {place!r}: write s3://bucket/prefix.")
    inside = folder.relative_to(port).as_posix()
    return CheckpointStore(
        access_by_environment(), bucket, "/".join(filter(None, (prefix, port.name, key[:16], inside)))
    )


def _step(name: str) -> int:
    number = name.removeprefix(PREFIX)
    return int(number) if number.isdigit() else -1
