"""Bounded decoding: declared limits are checked before, actual limits during decoding.

A small file can hold hours of sound (Opus at 6 kbit/s: 8.7 h in 25 MB) or claim an absurd rate: both are refused
early, in bounded memory. FFmpeg may open no other file or address on a file's behalf (a playlist named song.mp3),
and only formats that hold plain audio are tried. Pictures are never decoded: a small PNG can fill the memory.

Shapes: block (C, n) float32 with C channels; mono (n,) float32.
"""

import io
import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from pydantic import BaseModel, ConfigDict

from music_flamingo.audio.claims import (
    FilePart,
    TooManySeeksError,
    claimed_duration_s,
    flac_rate_hz,
    holds_bare_samples,
    sound_parts,
)
from music_flamingo.audio.resampling import Resampler, to_mono
from music_flamingo.core.ranges import Count, CountOrNone, NonNegative, Positive

FORMATS = (
    "wav,w64,flac,mp3,aac,mov,mp4,m4a,ogg,matroska,webm,aiff,"
    "asf,caf,au,ape,wv,tta,tak,mpc,mpc8,ac3,eac3,dts,amr,amrnb,amrwb,avi,mpegts,mpeg,flv,dsf,voc,xwma,oma,shn,nut,"
    "loas,iff,ircam,paf,sox,rm,truehd,mlp,nistsphere,qoa,vqf"
)
"""What FFmpeg reads of plain files that hold sound: no playlists, scripts, devices, addresses, text or pictures."""
SAMPLES_OPTIONS = {"probesize": "8192", "max_size": "8192"}
"""Of a WAV file. FFmpeg would try half a megabyte of it as every codec that it knows, a microsecond for 50 bytes, and
read it in small packets."""
PADDING_SAMPLES = 2048
"""More than encoders put around the sound (AAC at most 1,800): a song of just the longest length is taken."""
SILENT_BELOW_DBFS = -60.0
TRUNCATED_BELOW = 0.98
"""A file that gives less than this of what it claims, and lacks half a second, was cut."""
TRUNCATED_MISSING_S = 0.5
MAX_DAMAGED = 0.02
"""Of a file's packets."""
MANY_DAMAGED = 2000
"""When more are, and most of what was read, nothing further is read: a file of 25 MiB can hold millions."""
BLOCK_S = 1.0
"""Frames are gathered into blocks of about this length: filters run faster on few long blocks."""
MAX_PEAK = 1e6
"""Of samples in floats; some programs write them from -32,768 to 32,767. The power of 1e20 has no float32."""
MAX_INT = {np.dtype(np.int16): 2.0**15, np.dtype(np.int32): 2.0**31}


class QuarantineReason(StrEnum):
    """Why a recording is quarantined."""

    EMPTY = "empty"
    UNREADABLE = "unreadable"
    TOO_LARGE = "too_large"
    TOO_LONG = "too_long"
    TOO_SHORT = "too_short"
    BAD_RATE = "bad_rate"
    TOO_MANY_CHANNELS = "too_many_channels"
    TAGS_TOO_LARGE = "tags_too_large"
    TOO_COSTLY = "too_costly"
    TRUNCATED = "truncated"
    NOT_A_NUMBER = "not_a_number"
    SILENT = "silent"


class BadAudioError(ValueError):
    """A recording that cannot be used, and why."""

    def __init__(self, reason: QuarantineReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


class DecodeLimits(BaseModel):
    """What a recording may be. All caps hold before decoding by what the file claims, and again while decoding."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    max_bytes: Count
    min_duration_s: NonNegative
    max_duration_s: Positive
    """The model hears at most 20 minutes; longer recordings are quarantined, never cut."""
    min_rate_hz: Count
    """Below this the sound lacks what the 16 kHz copy should hold."""
    max_rate_hz: Count
    max_channels: Count
    max_tag_chars: CountOrNone
    """Of all tags together: longer ones are an attack or a mistake."""


@dataclass(frozen=True)
class AudioStream:
    """An opened recording. `blocks()` decodes it, once."""

    rate_hz: int
    num_channels: int
    tags: dict[str, str]
    """Names in lower case. Untrusted text."""
    claimed_s: float | None
    """Duration by its header, where the format states one."""
    _frames: Iterator[Any]
    _limits: DecodeLimits

    def blocks(self) -> Iterator[np.ndarray]:
        """Blocks (C, n) float32 of about a second. Raises BadAudioError when a cap is passed or the data are bad."""
        import av

        held: Any = av.AudioFifo()
        num_samples = 0
        for frame in self._frames:
            num_samples += frame.samples
            if num_samples > self._limits.max_duration_s * self.rate_hz + PADDING_SAMPLES:
                raise BadAudioError(QuarantineReason.TOO_LONG, f"it goes on after {self._limits.max_duration_s} s")
            if held.samples >= BLOCK_S * self.rate_hz or not _is_taken(held, frame):
                yield _to_float(held.read().to_ndarray(), self.num_channels)
                held = av.AudioFifo()
                _is_taken(held, frame)
        if held.samples:
            yield _to_float(held.read().to_ndarray(), self.num_channels)
        self._check_length(num_samples / self.rate_hz)

    def _check_length(self, decoded_s: float) -> None:
        missing_s = (self.claimed_s or 0.0) - decoded_s
        if missing_s > TRUNCATED_MISSING_S and decoded_s < TRUNCATED_BELOW * (self.claimed_s or 0.0):
            words = f"it claims {self.claimed_s:.1f} s and holds {decoded_s:.1f} s"
            raise BadAudioError(QuarantineReason.TRUNCATED, words)
        if decoded_s < self._limits.min_duration_s:
            words = f"{decoded_s:.2f} s; the shortest is {self._limits.min_duration_s} s"
            raise BadAudioError(QuarantineReason.TOO_SHORT, words)


@contextmanager
def open_audio(source: Path | bytes, limits: DecodeLimits) -> Iterator[AudioStream]:
    """Open a recording whose claims are within the limits. Raises BadAudioError otherwise."""
    num_bytes = len(source) if isinstance(source, bytes) else source.stat().st_size
    if num_bytes == 0:
        raise BadAudioError(QuarantineReason.EMPTY, "the file has no bytes")
    if num_bytes > limits.max_bytes:
        raise BadAudioError(QuarantineReason.TOO_LARGE, f"{num_bytes} bytes; the most is {limits.max_bytes}")
    with ExitStack() as opened:
        header = opened.enter_context(_reading(source))
        # an Ogg file may be several, one after the other
        parts = sound_parts(header, num_bytes)
        containers = (_open_part(opened, source, part, limits) for part in parts)
        first = cast(BinaryIO, FilePart(header, parts[0]))
        yield _start(next(containers), containers, first, limits, None if len(parts) > 1 else num_bytes)


def _open_part(opened: ExitStack, source: Path | bytes, part: range, limits: DecodeLimits) -> Any:
    import av

    file = FilePart(opened.enter_context(_reading(source)), part)
    options = {"format_whitelist": FORMATS, "codec_whitelist": _audio_decoders()}
    if holds_bare_samples(cast(BinaryIO, file)):
        options |= SAMPLES_OPTIONS
    file.seek(0)
    try:
        container = av.open(file, container_options=options, metadata_errors="replace")
    except (av.error.FFmpegError, ValueError, EOFError) as error:
        raise BadAudioError(QuarantineReason.UNREADABLE, f"no audio format that is known: {error}") from error
    return opened.enter_context(container)


@cache
def _audio_decoders() -> str:
    """FFmpeg's decoders of sound: with others it would decode pictures while it opens a file."""
    import av

    found = []
    for name in sorted(av.codecs_available):
        try:
            if av.Codec(name, "r").type == "audio":
                found.append(name)
        except ValueError:  # an encoder alone
            continue
    return ",".join(found)


def _reading(source: Path | bytes) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def _start(
    container: Any, further: Iterator[Any], header: BinaryIO, limits: DecodeLimits, num_bytes: int | None
) -> AudioStream:
    """Check what the file claims, then its first frame: what is decoded counts where the two differ (AAC with SBR).

    `num_bytes` is None for a file of several parts, which claims nothing of its whole.
    """
    stream = _audio_stream(container)
    _check_form(stream.codec_context.sample_rate, stream.codec_context.layout.nb_channels, limits)
    claimed_s = None if num_bytes is None else claimed_duration_s(container, header, num_bytes)
    longest_s = limits.max_duration_s + PADDING_SAMPLES / stream.codec_context.sample_rate
    if claimed_s is not None and claimed_s > longest_s:
        raise BadAudioError(QuarantineReason.TOO_LONG, f"{claimed_s:.0f} s; the longest is {limits.max_duration_s} s")
    tags = {k.casefold(): v for k, v in {**stream.metadata, **container.metadata}.items()}
    num_chars = sum(len(k) + len(v) for k, v in tags.items())
    if num_chars > limits.max_tag_chars:
        words = f"{num_chars} characters; the most is {limits.max_tag_chars}"
        raise BadAudioError(QuarantineReason.TAGS_TOO_LARGE, words)
    frames = _decode(container)
    first = next(frames, None)
    if first is None:
        raise BadAudioError(QuarantineReason.EMPTY, "it holds no sound")
    rate_hz, num_channels = first.sample_rate, first.layout.nb_channels
    _check_form(rate_hz, num_channels, limits)
    stated_hz = flac_rate_hz(header) if container.format.name == "flac" else None
    if stated_hz not in (None, rate_hz):
        raise BadAudioError(QuarantineReason.BAD_RATE, f"its header says {stated_hz} Hz, its frames {rate_hz} Hz")
    if claimed_s is not None and container.format.name == "ogg" and first.time is not None:
        # cut out of a longer one: its clock does not start at 0
        claimed_s -= max(0.0, first.time)
    rest = itertools.chain(frames, itertools.chain.from_iterable(_decode(c) for c in further))
    same = _of_one_form(itertools.chain([first], rest), first)
    return AudioStream(rate_hz, num_channels, tags, claimed_s, same, limits)


def _audio_stream(container: Any) -> Any:
    if not container.streams.audio:
        raise BadAudioError(QuarantineReason.UNREADABLE, "it has no audio stream")
    stream = container.streams.audio[0]
    if stream.codec_context is None:
        raise BadAudioError(QuarantineReason.UNREADABLE, "its codec is not known")
    return stream


def _of_one_form(frames: Iterator[Any], first: Any) -> Iterator[Any]:
    """Frames of the first one's rate and channels: where they change within a file, what follows is converted."""
    import av

    # read now: a frame's buffer is used again
    rate_hz, layout, sample_format = first.sample_rate, first.layout.name, first.format.name
    converter, form = None, (rate_hz, layout)
    for frame in frames:
        if (frame.sample_rate, frame.layout.name) != form:
            if converter is not None:
                yield from converter.resample(None)
            form = (frame.sample_rate, frame.layout.name)
            converter = None if form == (rate_hz, layout) else av.AudioResampler(sample_format, layout, rate_hz)
        if converter is None:
            yield frame
        else:
            frame.pts = None
            yield from converter.resample(frame)
    if converter is not None:
        yield from converter.resample(None)


def _check_form(rate_hz: int, num_channels: int, limits: DecodeLimits) -> None:
    if not 1 <= num_channels <= limits.max_channels:
        words = f"{num_channels} channels; the most is {limits.max_channels}"
        raise BadAudioError(QuarantineReason.TOO_MANY_CHANNELS, words)
    if not limits.min_rate_hz <= rate_hz <= limits.max_rate_hz:
        words = f"{rate_hz} Hz; between {limits.min_rate_hz} and {limits.max_rate_hz} Hz are taken"
        raise BadAudioError(QuarantineReason.BAD_RATE, words)


def _decode(container: Any) -> Iterator[Any]:
    """Frames with samples. A packet that is damaged is passed over, as players do, unless many are."""
    import av

    num_packets = num_damaged = 0
    try:
        for packet in container.demux(_audio_stream(container)):
            num_packets += 1
            try:
                frames = packet.decode()
            except (av.error.FFmpegError, EOFError):
                num_damaged += 1
                if num_damaged > MANY_DAMAGED and num_damaged > num_packets / 2:
                    break
                continue
            for frame in frames:
                if frame.samples:
                    yield frame
    except (av.error.FFmpegError, EOFError, TooManySeeksError) as error:
        raise BadAudioError(QuarantineReason.UNREADABLE, f"reading stopped: {error}") from error
    if num_damaged > 1 + MAX_DAMAGED * num_packets:
        raise BadAudioError(QuarantineReason.UNREADABLE, f"{num_damaged} of {num_packets} packets are damaged")


def _is_taken(held: Any, frame: Any) -> bool:
    """Add a frame to those that FFmpeg holds: a minute of MP3 has 2,000, and arrays of each take half of the time.

    False where its samples are of another kind; it is not added then.
    """
    frame.pts = None  # frames are joined as they come, whatever their clock says
    try:
        held.write(frame)
    except ValueError:
        return False
    return True


def _to_float(samples: np.ndarray, num_channels: int) -> np.ndarray:
    """FFmpeg's frame, planar (C, n) or packed (1, n * C), as (C, n) float32 in -1 to 1."""
    if samples.shape[0] != num_channels:
        samples = samples.reshape(-1, num_channels).T
    if samples.dtype == np.uint8:
        return np.ascontiguousarray((samples.astype(np.float32) - 128.0) / 128.0)
    # a channel's samples lie together: filters run twice as fast over them
    made = np.empty(samples.shape, np.float32)
    if samples.dtype in MAX_INT:
        np.multiply(samples, np.float32(1 / MAX_INT[samples.dtype]), out=made, casting="unsafe")
        return made
    made[...] = samples
    if not np.isfinite(made).all():
        raise BadAudioError(QuarantineReason.NOT_A_NUMBER, "it holds samples that are no numbers")
    return made


def require_audible(mono: np.ndarray) -> None:
    """Raises BadAudioError for a recording whose mono copy, which is what will be heard, is silent.

    Channels that cancel each other out are loud each and silent together.
    """
    peak = float(np.max(np.abs(mono), initial=0.0))
    if not peak <= MAX_PEAK:  # NaN is neither
        raise BadAudioError(QuarantineReason.NOT_A_NUMBER, f"its loudest sample is {peak:.3g}, and 1 is full scale")
    if peak < 10 ** (SILENT_BELOW_DBFS / 20):
        words = f"{20 * np.log10(peak):.0f} dBFS" if peak else "0"
        raise BadAudioError(QuarantineReason.SILENT, f"the peak of its channels together is {words}")


def decode_original(source: Path | bytes, limits: DecodeLimits) -> tuple[np.ndarray, int]:
    """(mono float32 samples, rate in Hz) at the recording's own rate, for MIR tools. Raises BadAudioError."""
    with open_audio(source, limits) as audio:
        samples = np.concatenate([to_mono(block) for block in audio.blocks()])
    require_audible(samples)
    return samples, audio.rate_hz


def decode_model_copy(source: Path | bytes, limits: DecodeLimits) -> np.ndarray:
    """Mono float32 samples at 16 kHz, as the model hears them. Raises BadAudioError."""
    with open_audio(source, limits) as audio:
        resample = Resampler(audio.rate_hz)
        samples = np.concatenate([*(resample.feed(to_mono(block)) for block in audio.blocks()), resample.end()])
    require_audible(samples)
    return samples
