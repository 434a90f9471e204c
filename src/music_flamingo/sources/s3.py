"""The `s3` source: audio objects under a prefix of a bucket, copied and verified into the originals port."""

import json
import logging
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from music_flamingo.audio.decode import DecodeLimits
from music_flamingo.core.errors import UserError
from music_flamingo.core.hashing import sha256_json
from music_flamingo.sources import Listed, SourceRecording
from music_flamingo.sources.about import describe, describe_by_row, digest, name_of
from music_flamingo.sources.audio_folder import SUFFIXES
from music_flamingo.sources.licences import OWN_RECORDINGS
from music_flamingo.sources.object_store import ObjectProblem, S3Access, download, list_objects
from music_flamingo.sources.rows import ListingRow

log = logging.getLogger(__name__)


class S3Config(BaseModel):
    """Audio objects below a prefix of a bucket."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    uses: ClassVar = (OWN_RECORDINGS,)
    kind: Literal["s3"]
    access: S3Access
    bucket: str
    prefix: str
    """Objects whose keys begin so; empty for all."""

    @cached_property
    def listing(self) -> list[str]:
        """[key, size, etag] of each audio object as JSON, in order of keys. Raises UserError where there is none."""
        found, others = [], Counter[str]()
        for key, size, etag in list_objects(self.access, self.bucket, self.prefix):
            path = PurePosixPath(key)
            if path.suffix.casefold() in SUFFIXES and not path.name.startswith("."):
                found.append(json.dumps([key, size, etag], ensure_ascii=False))
            else:
                others[path.suffix.casefold()] += 1
        if others:
            log.info("s3://%s/%s: %d audio objects, %d others", self.bucket, self.prefix, len(found), others.total())
        if not found:
            raise UserError(
                f"the bucket {self.bucket} of {self.access.endpoint} holds no "
                f"{', '.join(s[1:] for s in SUFFIXES)} object under {self.prefix!r} "
                f"({others.total()} others). Mend `bucket` or `prefix`."
            )
        return sorted(found)

    def open(self, limits: DecodeLimits) -> "S3Source":
        """Make the source."""
        return S3Source(self, limits)

    def listing_sha256(self) -> str:
        """Stands for what the bucket holds: keys, sizes and etags."""
        return sha256_json(self.listing)


class S3Source(Listed):
    """Units are [key, size, etag] as JSON."""

    tool = "s3"

    def __init__(self, config: S3Config, limits: DecodeLimits) -> None:
        self._access, self._bucket, self._limits = config.access, config.bucket, limits
        super().__init__(lambda: config.listing)

    def tool_version(self) -> str:
        """Version of the minio client."""
        return f"minio {version('minio')}"

    def recordings(self, unit: str, originals: Path) -> Iterator[SourceRecording]:
        """Fetch one object and verify its size and ETag."""
        key, size, etag = json.loads(unit)
        uri = f"s3://{self._bucket}/{key}"
        yield fetched(
            self._access, self._bucket, key, ListingRow(0, {}), name_of(uri), originals, self._limits, size, etag
        )


def fetched(
    access: S3Access,
    bucket: str,
    key: str,
    row: ListingRow,
    track_id: str,
    originals: Path,
    limits: DecodeLimits,
    size: int | None = None,
    etag: str | None = None,
) -> SourceRecording:
    """The object as a recording whose original lies in `originals`; with its problem where it could not be had."""
    uri = f"s3://{bucket}/{key}"
    # a folder of its own for every 256th: no directory grows without bounds
    original = f"{digest(uri)[:2]}/{track_id}{PurePosixPath(key).suffix.casefold()}"
    path = originals / original
    try:
        download(access, bucket, key, path, max_bytes=limits.max_bytes, size=size, etag=etag)
    except ObjectProblem as problem:
        log.warning("%s is quarantined: %s", uri, problem)
        return describe(row, track_id, uri, None, path, {}, problem.reason)
    return describe_by_row(row, track_id, uri, original, path)
