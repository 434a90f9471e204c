"""Shared readers of speech corpora: segments of long recordings, listed files, safe names.

Sessions last hours and the model hears seconds. `cut_at_pauses` cuts them where nobody speaks: no word and no overlap
is cut. What cannot be cut so short is one segment, too long, and quarantined as such.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from music_flamingo.audio.decode import BadAudioError, QuarantineReason
from music_flamingo.audio.resampling import Resampler
from music_flamingo.core.errors import UserError
from music_flamingo.core.hashing import sha256_json
from music_flamingo.records import SpokenSegment


def cut_at_pauses(segments: Iterable[SpokenSegment], max_s: float) -> list[list[SpokenSegment]]:
    """Segments in groups that follow one another without overlap; as long as `max_s` allows.

    A group is longer only where segments overlap for that long without a pause.
    """
    groups: list[list[SpokenSegment]] = []
    for island in _islands(segments):
        if groups and _end_s(island) - groups[-1][0].start_s <= max_s:
            groups[-1].extend(island)
        else:
            groups.append(island)
    return groups


def _islands(segments: Iterable[SpokenSegment]) -> list[list[SpokenSegment]]:
    """Groups between which nobody speaks, however short the pause."""
    islands: list[list[SpokenSegment]] = []
    for segment in sorted(segments, key=lambda s: (s.start_s, s.end_s, s.speaker)):
        if islands and segment.start_s < _end_s(islands[-1]):
            islands[-1].append(segment)
        else:
            islands.append([segment])
    return islands


def _end_s(segments: Sequence[SpokenSegment]) -> float:
    return max(segment.end_s for segment in segments)


def span_s(segments: Sequence[SpokenSegment]) -> tuple[float, float]:
    """(start, end) of a group."""
    return segments[0].start_s, _end_s(segments)


def from_zero(segments: Sequence[SpokenSegment]) -> tuple[SpokenSegment, ...]:
    """The segments with times counted from the start of the first."""
    zero_s = segments[0].start_s
    return tuple(
        s.model_copy(update={"start_s": round(s.start_s - zero_s, 6), "end_s": round(s.end_s - zero_s, 6)})
        for s in segments
    )


def read_segment(path: Path, start_s: float, end_s: float, channels: Sequence[int] | None = None) -> np.ndarray:
    """Mono float32 at 16 kHz of a segment of a WAV, FLAC or NIST SPHERE file, read without the rest of it.

    `channels` are counted from 0; None is all of them, mixed down. Raises BadAudioError.
    """
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            first, last = round(start_s * file.samplerate), min(round(end_s * file.samplerate), file.frames)
            if first >= last:
                raise BadAudioError(
                    QuarantineReason.TRUNCATED, f"nothing at {start_s} s of {file.frames / file.samplerate} s"
                )
            file.seek(first)
            block = file.read(last - first, dtype="float32", always_2d=True)
            rate_hz = file.samplerate
    except soundfile.LibsndfileError as error:
        raise BadAudioError(QuarantineReason.UNREADABLE, f"{path}: {error}") from error
    if channels is not None and max(channels) >= block.shape[1]:
        raise BadAudioError(
            QuarantineReason.UNREADABLE, f"{path} has {block.shape[1]} channels, {max(channels) + 1} are asked for"
        )
    mono = (block if channels is None else block[:, list(channels)]).mean(axis=1, dtype=np.float32)
    resample = Resampler(rate_hz)
    return np.concatenate([resample.feed(mono), resample.end()])


def require_folder(path: str, kind: str) -> Path:
    """The corpus's folder. Raises UserError."""
    root = Path(path)
    if not root.is_dir():
        raise UserError(f"{root} is not a folder. Set the path of the `{kind}` source under speech.sources.")
    return root.resolve()


def require_found(found: Sequence[str], root: Path, what: str) -> Sequence[str]:
    """The units found. Raises UserError where there are none."""
    if not found:
        raise UserError(f"{root} holds no {what}. See docs/reference/speech.md for the layout of each corpus.")
    return found


def files_sha256(files: Iterable[Path]) -> str:
    """Stands for files: names, sizes and times of change."""
    stats = [(path, path.stat()) for path in sorted(files)]
    return sha256_json([[str(path), s.st_size, s.st_mtime_ns] for path, s in stats])


def inside(root: Path, name: str) -> Path:
    """`root / name`, which a corpus's table names. Raises BadAudioError for a name that leads out of the folder."""
    path = (root / name).resolve()
    if not path.is_relative_to(root):
        raise BadAudioError(QuarantineReason.UNREADABLE, f"{name!r} leads out of {root}")
    return path
