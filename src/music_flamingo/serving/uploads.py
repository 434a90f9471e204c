"""Audio of a request: base64 or data URL, decoded under limits.

A server that fetches what a stranger names can be made to read its own network (server-side request forgery), so
`audio_url` takes data: URLs alone, unless addresses may be fetched.
"""

import asyncio
import hashlib
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pybase64

from music_flamingo.audio.decode import BadAudioError, DecodeLimits, QuarantineReason, decode_model_copy
from music_flamingo.audio.flac import MODEL_RATE_HZ
from music_flamingo.audio.plain_wav import plain_model_copy
from music_flamingo.core.errors import UserError
from music_flamingo.serving.errors import ApiError, echo

SUFFIXES = ("wav", "mp3", "flac", "ogg", "oga", "opus", "m4a", "mp4", "aac", "webm")
"""Formats that a request may name. What a file really is, its bytes say."""

UPLOAD_LIMITS = DecodeLimits(
    max_bytes=25 * 2**20,
    min_duration_s=2.0,
    max_duration_s=20 * 60.0,
    min_rate_hz=16_000,
    max_rate_hz=192_000,
    max_channels=2,
    max_tag_chars=100_000,
)
"""Those of the catalogue (params.yaml) but for the size of a request: what ingest refuses, the endpoint refuses."""
FILE_LIMITS = UPLOAD_LIMITS.model_copy(update={"max_bytes": 500_000_000})
"""One's own file need not travel: the catalogue's size."""

_DATA_URL = re.compile(r"data:(audio|video|application)/[\w.+-]+(;[\w-]+=[\w.\"-]+)*;base64,", re.IGNORECASE)
MAX_DATA_URL_HEAD = 256
"""Characters before the data."""
_STATUS = {
    QuarantineReason.TOO_LARGE: 413,
    QuarantineReason.EMPTY: 400,
    QuarantineReason.UNREADABLE: 400,
    QuarantineReason.TRUNCATED: 400,
}
"""The others are 422: a recording that is whole, but not what this model takes."""


QUICK_BYTES = 2**20
"""So much is hashed in less time than another thread needs to begin."""


@dataclass(frozen=True)
class AudioAddress:
    """Where a recording is to be fetched."""

    url: str


@dataclass(frozen=True)
class Upload:
    """A recording as it was sent: the bytes of a file."""

    content: bytes

    @classmethod
    def of_text(cls, data: str) -> "Upload":
        """Of base64. Raises ApiError (400) for what is none."""
        try:
            return cls(pybase64.b64decode(data, validate=True))
        except ValueError as error:  # binascii.Error, or a character outside ASCII
            raise ApiError(400, f"the recording is not base64: {error}.", "bad_base64", "messages") from error

    @cached_property
    def sha256(self) -> str:
        """Of the bytes, 64 hexadecimal digits; worked out once."""
        return hashlib.sha256(self.content).hexdigest()

    async def digest(self) -> str:
        """`sha256`, for an event loop."""
        if "sha256" not in self.__dict__ and len(self.content) > QUICK_BYTES:
            await asyncio.to_thread(lambda: self.sha256)
        return self.sha256

    @classmethod
    def of_url(cls, url: str, may_fetch: bool = False) -> "Upload | AudioAddress":
        """Raises ApiError for an address that would have to be fetched, where none may be."""
        if match := _DATA_URL.match(url, 0, MAX_DATA_URL_HEAD):
            return cls.of_text(url[match.end() :])
        if may_fetch:
            return AudioAddress(url)
        message = (
            f"audio_url {echo(url)} is not fetched: this server opens no addresses. Send the recording itself, as "
            "`input_audio` or as a data: URL (data:audio/mpeg;base64,...)."
        )
        raise ApiError(400, message, "audio_url_not_allowed", "messages")


def decode_upload(upload: Upload, rate_hz: int, limits: DecodeLimits = UPLOAD_LIMITS) -> np.ndarray:
    """Mono float32 samples at the model's rate. Raises ApiError: 400 unreadable, 413 too large, 422 too long."""
    assert rate_hz == MODEL_RATE_HZ, f"decoding gives {MODEL_RATE_HZ} Hz, the model hears {rate_hz} Hz"
    with audio_errors():
        plain = plain_model_copy(upload.content, limits)
        return decode_model_copy(upload.content, limits) if plain is None else plain


@contextmanager
def audio_errors() -> Iterator[None]:
    """What is wrong with a recording, as an answer."""
    try:
        yield
    except BadAudioError as error:
        status = _STATUS.get(error.reason, 422)
        raise ApiError(
            status, f"the recording cannot be used: {error}.", f"audio_{error.reason}", "messages"
        ) from error


def longest_s(max_audio_s: float) -> float:
    """How long a recording may be, in seconds: 20 minutes, or what the model hears where that is more."""
    return max(UPLOAD_LIMITS.max_duration_s, max_audio_s)


def decode_file(path: Path, max_audio_s: float) -> np.ndarray:
    """Mono float32 samples at 16 kHz of one's own file. `max_audio_s`: what the model hears. Raises UserError naming
    the file."""
    try:
        return decode_model_copy(path, FILE_LIMITS.model_copy(update={"max_duration_s": longest_s(max_audio_s)}))
    except BadAudioError as error:
        raise UserError(f"{path} cannot be used: {error}. Give another recording.") from error


def random_seed() -> int:
    """For a sampled request that names no seed."""
    return secrets.randbits(31)
