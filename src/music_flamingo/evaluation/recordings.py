"""Audio of an item under each condition, decoded lazily.

audio     the recording itself; several files are kept apart (a part of the request each, or a gap of silence)
permuted  the recording, its options in another order
shuffled  another recording of the benchmark
noise     Gaussian noise of the recording's length, drawn by seed and item
none      silence of the recording's length; an endpoint is sent no audio at all, unless it insists on some
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from music_flamingo.audio.decode import BadAudioError, DecodeLimits, decode_model_copy
from music_flamingo.audio.flac import MODEL_RATE_HZ, encode_flac
from music_flamingo.core.errors import MissingInputError
from music_flamingo.core.hashing import sha256_file
from music_flamingo.core.progress import Progress
from music_flamingo.core.shards import write_atomic
from music_flamingo.evaluation.benchmarks.base import BenchmarkItem
from music_flamingo.evaluation.controls import noise, silence

Condition = Literal["audio", "permuted", "shuffled", "noise", "none"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)
TITLES: dict[Condition, str] = {
    "audio": "audio",
    "permuted": "other order of options",
    "shuffled": "another recording",
    "noise": "noise",
    "none": "no audio",
}
LIMITS = DecodeLimits(
    max_bytes=2_000_000_000,
    min_duration_s=0.05,
    max_duration_s=1800.0,
    min_rate_hz=8000,
    max_rate_hz=192_000,
    max_channels=16,
    max_tag_chars=1_000_000,
)
"""Published recordings are taken as they are, up to the 30 minutes that Audio Flamingo Next hears."""
SENT_AS_THEY_ARE = ("wav", "mp3", "flac")
MAX_SENT_BYTES = 18 * 2**20
MAX_NAMED = 20
GAP_S = 1.0
"""Between the recordings of one item, for a model that takes one sound."""


@dataclass(frozen=True)
class PlayedAudio:
    """What is heard. Raises BadAudioError where a recording cannot be decoded."""

    paths: tuple[Path, ...]
    condition: Condition
    seed: int
    item_id: str

    def samples(self) -> np.ndarray:
        """float32 mono at 16 kHz."""
        heard = join_with_gaps([decode_model_copy(path, LIMITS) for path in self.paths])
        if self.condition == "none":
            return silence(len(heard))
        if self.condition == "noise":
            return noise(len(heard), self.seed, self.item_id)
        return heard

    def encoded(self, silence_for_none: bool) -> list[tuple[bytes, str]]:
        """(bytes, format) of each file for an endpoint: as it is where it may be sent so, else FLAC; empty: none."""
        if self.condition == "none" and not silence_for_none:
            return []
        if self.condition in ("none", "noise"):
            return [(encode_flac(self.samples()), "flac")]
        return [_sent(path) for path in self.paths]


def _sent(path: Path) -> tuple[bytes, str]:
    kind = path.suffix.lstrip(".").lower()
    if kind in SENT_AS_THEY_ARE and path.stat().st_size <= MAX_SENT_BYTES:
        return path.read_bytes(), kind
    return encode_flac(decode_model_copy(path, LIMITS)), "flac"


def join_with_gaps(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Several recordings as one, a second of silence between two (16 kHz)."""
    gap = silence(round(GAP_S * MODEL_RATE_HZ))
    return np.concatenate([piece for part in parts for piece in (gap, part)][1:])


def require_recordings(folder: Path, items: Sequence[BenchmarkItem]) -> None:
    """Raises MissingInputError that names what is missing, all of it counted, before the first question is asked."""
    wanted = dict.fromkeys(path for item in items for path in item.audio)
    missing = [path for path in wanted if not (folder / path).is_file()]
    if missing:
        named = "\n  ".join(missing[:MAX_NAMED])
        more = f"\n  and {len(missing) - MAX_NAMED} more" if len(missing) > MAX_NAMED else ""
        raise MissingInputError(
            f"{len(missing)} of {len(wanted)} recordings are missing in {folder}:\n  {named}{more}\n"
            "Put them there, or ask about the others alone with --skip-missing: the results then say so."
        )


def broken_recordings(folder: Path, items: Sequence[BenchmarkItem], kept: Path) -> dict[str, str]:
    """Recordings that cannot be decoded, with the problem; found before the first question.

    `kept`: a file of what was found by the recordings' digests, so that each is decoded once.
    """
    known: dict[str, str] = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    wanted = list(dict.fromkeys(path for item in items for path in item.audio))
    digests = {path: sha256_file(folder / path) for path in wanted}
    new = {digest: path for path, digest in digests.items() if digest not in known}
    with Progress("evaluate", len(new), "recordings") as progress:
        for digest, path in new.items():
            known[digest] = _problem(folder / path)
            progress.advance()
    if new:
        write_atomic(kept, json.dumps(known, indent=0) + "\n")
    return {path: known[digest] for path, digest in digests.items() if known[digest]}


def _problem(path: Path) -> str:
    try:
        decode_model_copy(path, LIMITS)
    except BadAudioError as error:
        return str(error)
    return ""


def played(folder: Path, items: Sequence[BenchmarkItem], condition: Condition, seed: int) -> list[PlayedAudio]:
    """The sound of each item under a condition."""
    own = [tuple(folder / path for path in item.audio) for item in items]
    paths = _others(own, seed) if condition == "shuffled" else own
    return [PlayedAudio(p, condition, seed, item.id) for p, item in zip(paths, items, strict=True)]


def _others(own: Sequence[tuple[Path, ...]], seed: int) -> list[tuple[Path, ...]]:
    """Each recording is replaced by the next one in an order drawn by seed: none by itself, each heard once."""
    distinct = sorted(set(own))
    if len(distinct) < 2:
        raise MissingInputError("the shuffled control needs a second recording: leave it out with --conditions.")
    order = np.random.default_rng(seed).permutation(len(distinct))
    following = {distinct[a]: distinct[b] for a, b in zip(order, np.roll(order, -1), strict=True)}
    return [following[paths] for paths in own]


class Digests:
    """SHA-256 of recordings, each file read once."""

    def __init__(self) -> None:
        self._known: dict[Path, str] = {}

    def of(self, paths: Sequence[Path]) -> list[str]:
        """SHA-256 of each file, computed once per path."""
        for path in paths:
            if path not in self._known:
                self._known[path] = sha256_file(path)
        return [self._known[path] for path in paths]
