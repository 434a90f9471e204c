"""Audio of an item under each condition, decoded lazily.

audio     the recording itself; several files one after another
permuted  the recording, its options in another order
shuffled  another recording of the benchmark
noise     Gaussian noise of the recording's length, drawn by seed and item
none      silence of the recording's length; an endpoint is sent no audio at all, unless it insists on some
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from music_flamingo.audio.decode import DecodeLimits, decode_model_copy
from music_flamingo.audio.flac import encode_flac
from music_flamingo.core.errors import MissingInputError
from music_flamingo.core.hashing import sha256_file
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
    max_duration_s=1200.0,
    min_rate_hz=8000,
    max_rate_hz=192_000,
    max_channels=16,
    max_tag_chars=1_000_000,
)
"""Published recordings are taken as they are, up to the 20 minutes that a model hears."""
SENT_AS_THEY_ARE = ("wav", "mp3", "flac")
MAX_SENT_BYTES = 18 * 2**20
MAX_NAMED = 20


@dataclass(frozen=True)
class PlayedAudio:
    """What is heard. Raises BadAudioError where a recording cannot be decoded."""

    paths: tuple[Path, ...]
    condition: Condition
    seed: int
    item_id: str

    def samples(self) -> np.ndarray:
        """float32 mono at 16 kHz."""
        heard = np.concatenate([decode_model_copy(path, LIMITS) for path in self.paths])
        if self.condition == "none":
            return silence(len(heard))
        if self.condition == "noise":
            return noise(len(heard), self.seed, self.item_id)
        return heard

    def encoded(self, silence_for_none: bool) -> tuple[bytes, str] | None:
        """(bytes, format) for an endpoint: the file as it is where it may be sent so, else FLAC; None for no audio."""
        if self.condition == "none":
            return (encode_flac(self.samples()), "flac") if silence_for_none else None
        first = self.paths[0]
        kind = first.suffix.lstrip(".").lower()
        plain = len(self.paths) == 1 and self.condition != "noise" and kind in SENT_AS_THEY_ARE
        if plain and first.stat().st_size <= MAX_SENT_BYTES:
            return first.read_bytes(), kind
        return encode_flac(self.samples()), "flac"


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
