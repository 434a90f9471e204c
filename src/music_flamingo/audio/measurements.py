"""Everything that ingest measures of a recording, as one value that can be cached: it holds no name and no path."""

import json
from collections.abc import Callable
from pathlib import Path

from pydantic import Field

from music_flamingo.audio.decode import BadAudioError, DecodeLimits, QuarantineReason, open_audio
from music_flamingo.audio.fingerprint import FingerprintKind, fingerprint
from music_flamingo.audio.flac import MODEL_RATE_HZ, encode_flac
from music_flamingo.audio.measure import hear, samples_sha256
from music_flamingo.core.measurements import MeasurementStore
from music_flamingo.core.memory import limited_memory
from music_flamingo.core.record import RecordPart
from music_flamingo.records import Loudness

DECODING_BYTES = 2 * 2**30
"""Of memory for one recording: 20 minutes at 192 kHz take a quarter of it."""

NO_SOUND = (QuarantineReason.UNREADABLE, QuarantineReason.EMPTY)


class RecordingMeasurements(RecordPart):
    """What one decoding of a recording gives; of a bad one the reason alone."""

    reason: str | None = None
    """Why it is quarantined."""
    detail: str = ""
    """The reason in words."""
    no_sound: bool = False
    """Whether it cannot be opened as a recording at all, not even as a bad one."""
    audio_sha256: str | None = None
    """Of the 16 kHz copy's samples."""
    duration_s: float | None = None
    rate_hz: int | None = None
    num_channels: int | None = None
    loudness: Loudness | None = None
    fingerprint: list[int] = Field(default_factory=list)
    tags: dict[str, str] = Field(default_factory=dict)
    """As the file has them. Untrusted text."""
    flac: bytes | None = None
    """The 16 kHz copy."""

    def to_bytes(self) -> bytes:
        """A line of JSON, then the copy."""
        about = self.model_dump(mode="json", exclude={"flac", "tags"})
        # tags may hold halves of surrogate pairs, which JSON in ASCII keeps
        return json.dumps({**about, "tags": self.tags}).encode() + b"\n" + (self.flac or b"")

    @classmethod
    def from_bytes(cls, data: bytes) -> "RecordingMeasurements":
        """What `to_bytes` gave."""
        about, _, flac = data.partition(b"\n")
        return cls(**json.loads(about), flac=flac or None)


def measure_recording(path: Path, limits: DecodeLimits, kind: FingerprintKind) -> RecordingMeasurements:
    """Decode once, in bounded memory, and measure. A bad recording gives its reason; OSError where it cannot be read.

    Raises MemoryError for one that takes too much.
    """
    try:
        with limited_memory(DECODING_BYTES):
            heard = hear(path, limits)
    except BadAudioError as error:
        tags = _read_tags(path, limits)
        return RecordingMeasurements(
            reason=error.reason, detail=str(error), no_sound=error.reason in NO_SOUND and tags is None, tags=tags or {}
        )
    return RecordingMeasurements(
        audio_sha256=samples_sha256(heard.model_copy),
        duration_s=round(heard.duration_s, 6),
        rate_hz=heard.rate_hz,
        num_channels=heard.num_channels,
        loudness=heard.loudness,
        fingerprint=fingerprint(heard.model_copy, MODEL_RATE_HZ, kind),
        tags=heard.tags,
        flac=encode_flac(heard.model_copy),
    )


def _read_tags(path: Path, limits: DecodeLimits) -> dict[str, str] | None:
    """The tags of a bad recording; None where it cannot be opened."""
    try:
        with limited_memory(DECODING_BYTES), open_audio(path, limits) as audio:
            return audio.tags
    except BadAudioError:
        return None


def known_or_measured(
    path: Path, sha256: str, store: MeasurementStore | None, measure: Callable[[Path], RecordingMeasurements]
) -> RecordingMeasurements:
    """What the store knows of these bytes; else what `measure` finds, which is kept."""
    if store is not None and (known := store.get(sha256)) is not None:
        return RecordingMeasurements.from_bytes(known)
    before = _state(path)
    try:
        found = measure(path)
    except MemoryError:  # depends on the machine: not kept
        detail = f"it takes more than {DECODING_BYTES // 2**20} MiB to decode"
        return RecordingMeasurements(reason=QuarantineReason.TOO_COSTLY, detail=detail)
    if store is not None and _state(path) == before:  # else it is not the recording that was hashed
        store.put(found.to_bytes(), sha256)
    return found


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size
