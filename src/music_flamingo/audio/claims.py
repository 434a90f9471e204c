"""Read what a file states where FFmpeg guesses: duration, sample rate, where its sound begins and ends (bytes).

A claim that the file cannot hold is none: programs that write to a pipe leave a placeholder for the size.
"""

import io
from typing import Any, BinaryIO

import numpy as np

STREAMED_WAV_SIZE = 0x7FFF0000
"""Programs that write to a pipe leave this or more in the header for `unknown` (0x7FFFF000, 0x80000000, 0xFFFFFFFF)."""
MAX_KEPT_APE_BYTES = 2**16
"""A tag at a file's end that is larger holds a picture: FFmpeg would look for sound in it."""
APE_FOOTER, ID3V1_BYTES = b"APETAGEX", 128
MAX_LINKS = 1000
"""Of a chained Ogg file: a radio's recording of a day has some hundreds."""
MAX_CHUNKS = 1000
"""Of a WAV file: some programs write a few dozens."""
MAX_SEEKS = 500_000
"""Within a file: players of long songs with pictures need a tenth of it."""
PLAIN_WAV = (1, 3, 6, 7, 0xFFFE)
"""Format tags of WAV whose samples all have one size: PCM, floats, A-law, mu-law, extensible."""
DTS_MARKS = ((0xFE7F, 0x0180), (0x7FFE, 0x8001), (0xFF1F, 0x00E8), (0x1FFF, 0xE800))
"""Two samples with which a frame of DTS begins: rips of some discs hold such frames where a WAV file has samples."""
PROBED_S = 4
"""FFmpeg looks for a codec's frames in less than this of a WAV file."""
MAX_PROBED_BYTES = 4 * 2**20
LEAST_BYTES_A_SECOND = 8
"""Of any codec, in the longest silence: who claims more seconds than that is not to be believed."""
FIRST_FRAME_BYTES = 4096
HEADER_BYTES = 4096


class TooManySeeksError(ValueError):
    """A reader goes back and forth in a file without an end."""


class FilePart(io.RawIOBase):
    """A file that begins and ends with the sound. For FFmpeg: readable and seekable."""

    def __init__(self, file: BinaryIO, part: range) -> None:
        self._file, self._part, self._num_seeks = file, part, 0
        self._file.seek(part.start)

    def readable(self) -> bool:
        """Always readable."""
        return True

    def seekable(self) -> bool:
        """Always seekable."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes, never beyond the part's end."""
        left = max(0, self._part.stop - self._file.tell())
        return self._file.read(left if size < 0 else min(size, left))

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset within the part; gives the new position. Raises TooManySeeksError."""
        self._num_seeks += 1
        if self._num_seeks > MAX_SEEKS:
            raise TooManySeeksError(f"it takes more than {MAX_SEEKS} looks to find the sound")
        start = {io.SEEK_SET: self._part.start, io.SEEK_CUR: self._file.tell(), io.SEEK_END: self._part.stop}[whence]
        return self._file.seek(max(self._part.start, start + offset)) - self._part.start

    def tell(self) -> int:
        """Position within the part, in bytes."""
        return self._file.tell() - self._part.start


def sound_parts(file: BinaryIO, num_bytes: int) -> list[range]:
    """Where recordings lie in a file: one part, but for chained Ogg files, and without a large APEv2 tag."""
    file.seek(0)
    head = file.read(4)
    start = 0
    if head[:3] == b"ID3":  # some programs put one before a WAV, where FFmpeg does not look for it
        _after_id3(file)
        start, head = file.tell(), file.read(4)
    if head in (b"RIFF", b"RF64"):
        return [range(start, _wav_end(file, start, num_bytes))]
    if head == b"OggS":
        starts = _ogg_links(file, num_bytes)
        return [range(start, end) for start, end in zip(starts, [*starts[1:], num_bytes], strict=True)]
    return [range(0, _without_ape(file, num_bytes))]


def _without_ape(file: BinaryIO, num_bytes: int) -> int:
    """Where a large APEv2 tag begins, else the end.

    Layout: [header] items footer [ID3v1]; sizes leave the header out.
    """
    for end in (num_bytes, num_bytes - ID3V1_BYTES):
        if end < 64:
            continue
        file.seek(end - 32)
        footer = file.read(32)
        if footer[:8] == APE_FOOTER:
            size, flags = int.from_bytes(footer[12:16], "little"), int.from_bytes(footer[20:24], "little")
            size += 32 if flags >> 31 else 0
            return end - size if MAX_KEPT_APE_BYTES < size < end else num_bytes
    return num_bytes


def _wav_end(file: BinaryIO, start: int, num_bytes: int) -> int:
    """Where the chunks of a WAV file end: FFmpeg would look for others in zeros, eight bytes at a time."""
    place = start + 12
    for _ in range(MAX_CHUNKS):
        file.seek(place)
        head = file.read(8)
        size = int.from_bytes(head[4:], "little")
        if len(head) < 8 or (head[:4] == b"data" and size == 0):  # the rest is sound, for all that is known
            return num_bytes
        if head[:4] == bytes(4):
            return place
        place += 8 + size + size % 2
    return place


def holds_bare_samples(file: BinaryIO) -> bool:
    """Whether a file is a WAV of samples, not of a codec's frames that it calls samples."""
    file.seek(0)
    head = file.read(HEADER_BYTES)
    form = head.find(b"fmt ", 12)
    if head[:4] not in (b"RIFF", b"RF64") or head[8:12] != b"WAVE" or form < 0:
        return False
    kind, byte_rate = (int.from_bytes(head[form + at : form + end], "little") for at, end in ((8, 10), (16, 20)))
    if kind not in PLAIN_WAV:
        return False
    probed = head + file.read(min(PROBED_S * byte_rate, MAX_PROBED_BYTES))
    words = np.frombuffer(probed, "<u2", len(probed) // 2)
    return not any((words[1:][words[:-1] == first] == second).any() for first, second in DTS_MARKS)


def _ogg_links(file: BinaryIO, num_bytes: int) -> list[int]:
    """Offsets at which an Ogg file begins anew: a first page of a stream after pages of sound."""
    starts, place, in_sound = [0], 0, False
    while place < num_bytes and len(starts) < MAX_LINKS:
        file.seek(place)
        head = file.read(27)
        if len(head) < 27 or head[:4] != b"OggS":
            break
        is_first = bool(head[5] & 2)
        if is_first and in_sound:
            starts.append(place)
        in_sound = not is_first
        place += 27 + head[26] + sum(file.read(head[26]))
    return starts


def claimed_duration_s(container: Any, header: BinaryIO, num_bytes: int) -> float | None:
    """What the header states, where the file can hold it; None where FFmpeg can only guess (`_stated_s`)."""
    stated_s = _stated_s(container, header)
    return stated_s if stated_s is not None and stated_s * LEAST_BYTES_A_SECOND <= num_bytes else None


def _stated_s(container: Any, header: BinaryIO) -> float | None:
    """None for MP3 without a count of its frames, and bare AAC."""
    name, stream = container.format.name, container.streams.audio[0]
    if name == "wav":
        return wav_claim_s(header)
    if name == "mp3":
        return mp3_claim_s(header, stream.codec_context.sample_rate)
    if name in ("aac", "ac3", "eac3", "dts", "mpegts", "mpeg", "amr", "amrnb", "amrwb"):
        return None
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if len(container.streams) > len(container.streams.audio):  # pictures may go on when the sound is over
        return None
    return container.duration / 1e6 if container.duration is not None else None


def mp3_claim_s(file: BinaryIO, rate_hz: int) -> float | None:
    """Duration by the count of frames that an encoder left in the first one; None without it.

    FFmpeg goes by the bit rate where the size of the file differs: two files joined, a tag at the end.
    """
    _after_id3(file)
    first_frame = file.read(FIRST_FRAME_BYTES)
    samples = 1152 if rate_hz >= 32000 else 576
    for mark, count_at in ((b"Xing", 8), (b"Info", 8), (b"VBRI", 14)):
        at = first_frame.find(mark)
        if at < 0:
            continue
        if mark != b"VBRI" and not int.from_bytes(first_frame[at + 4 : at + 8], "big") & 1:
            return None
        return int.from_bytes(first_frame[at + count_at : at + count_at + 4], "big") * samples / rate_hz
    return None


def _after_id3(file: BinaryIO) -> None:
    """Seek to where the audio begins: after a leading ID3 tag, if there is one."""
    file.seek(0)
    head = file.read(10)
    size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=False))
    file.seek(10 + size if head[:3] == b"ID3" else 0)


def flac_rate_hz(file: BinaryIO) -> int | None:
    """The rate that a FLAC file's header states: FFmpeg goes by the frames, other programs by the header."""
    _after_id3(file)
    head = file.read(21)
    return int.from_bytes(head[18:21], "big") >> 4 if head[:4] == b"fLaC" and head[4] & 0x7F == 0 else None


def wav_claim_s(file: BinaryIO) -> float | None:
    """Duration by the header of a WAV file, whatever of it is there; None for a header that leaves it open.

    FFmpeg goes by the size of the file, and so takes one that was cut for whole.
    """
    file.seek(12)
    byte_rate = 0
    while len(head := file.read(8)) == 8:
        name, size = head[:4], int.from_bytes(head[4:], "little")
        if name == b"data":
            return size / byte_rate if byte_rate and 0 < size < STREAMED_WAV_SIZE else None
        start = file.tell()
        if name == b"fmt " and size >= 16:
            form = file.read(16)
            byte_rate = int.from_bytes(form[8:12], "little")
            if int.from_bytes(form[:2], "little") in PLAIN_WAV:
                # as players do: the rate of bytes follows from the rate and the size of a frame
                byte_rate = int.from_bytes(form[4:8], "little") * int.from_bytes(form[12:14], "little")
        file.seek(start + size + size % 2)
    return None
