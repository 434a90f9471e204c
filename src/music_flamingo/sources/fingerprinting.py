"""`mf fingerprint`: list a folder's recordings by id, hash and fingerprint, without audio."""

import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from music_flamingo.audio.decode import BadAudioError, DecodeLimits
from music_flamingo.audio.fingerprint import FingerprintKind, fingerprint
from music_flamingo.audio.flac import MODEL_RATE_HZ
from music_flamingo.audio.measure import hear, samples_sha256
from music_flamingo.core.hashing import sha256_file
from music_flamingo.core.parallel import pool_map
from music_flamingo.core.progress import Progress
from music_flamingo.quality.contamination import HeldOut
from music_flamingo.sources.audio_folder import list_audio

log = logging.getLogger(__name__)


def fingerprint_folder(
    root: Path, set_name: str, limits: DecodeLimits, workers: int, kind: FingerprintKind = "chromaprint"
) -> Iterator[HeldOut]:
    """Each recording under `root`, its id the file's name without suffix. One that cannot be decoded counts by its
    id and bytes alone, with a warning. Raises UserError for a folder without audio."""
    files = list_audio(root)
    work = partial(fingerprint_file, root=root, set_name=set_name, limits=limits, kind=kind)
    with Progress("fingerprint", len(files), "recordings") as progress, pool_map(workers) as run_map:
        for held in run_map(work, files):
            progress.advance()
            yield held


def fingerprint_file(relative: str, root: Path, set_name: str, limits: DecodeLimits, kind: FingerprintKind) -> HeldOut:
    """Fingerprint one file; an undecodable one is listed by id and hash alone."""
    path = root / relative
    held = HeldOut(id=path.stem, set_name=set_name, source_sha256=sha256_file(path))
    try:
        samples = hear(path, limits).model_copy
    except BadAudioError as error:
        log.warning("%s counts by its id and bytes alone: %s", path, error)
        return held
    words = tuple(fingerprint(samples, MODEL_RATE_HZ, kind))
    return held.model_copy(
        update={"audio_sha256": samples_sha256(samples), "fingerprint": words, "fingerprint_kind": kind}
    )
