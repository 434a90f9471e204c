"""The `audio_folder` source: a user's own songs, in folders of any depth, read in place and without truth.

Every entry becomes a track: what is no recording is quarantined with its reason, and the others go on. Which files hold
sound their content says, not their suffix.

A file metadata.csv in the folder may say more, and says it before the tags do: its column `file` is the path below
the folder, the others are those of a table (title, artist, work, album, region, tradition, language, licence ...).
"""

import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from music_flamingo.audio.decode import BadAudioError, DecodeLimits, QuarantineReason, open_audio
from music_flamingo.core.errors import UserError
from music_flamingo.core.hashing import sha256_json
from music_flamingo.sources import OneEach, SourceRecording
from music_flamingo.sources.about import describe, describe_by_row, name_of
from music_flamingo.sources.licences import OWN_RECORDINGS
from music_flamingo.sources.rows import ListingRow, read_rows
from music_flamingo.sources.walking import FolderEntry, walk

log = logging.getLogger(__name__)

SUFFIXES = (
    *(
        ".wav",
        ".flac",
        ".mp3",
        ".m4a",
        ".ogg",
        ".opus",
        ".aiff",
        ".aif",
        ".aifc",
        ".wma",
        ".m4b",
        ".aac",
        ".oga",
        ".mka",
    ),
    *(".webm", ".mp4", ".ape", ".wv", ".caf", ".au", ".w64", ".ac3", ".amr", ".3gp", ".mp2", ".tta", ".dsf"),
)
"""Of files that claim to be sound; others are opened too."""
METADATA = "metadata.csv"


class AudioFolderConfig(BaseModel):
    """Songs below a folder."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    uses: ClassVar = (OWN_RECORDINGS,)
    kind: Literal["audio_folder"]
    path: str
    """A folder of wav, flac, mp3, m4a, ogg or opus files, at any depth."""

    def open(self, limits: DecodeLimits) -> "AudioFolderSource":
        """Make the source."""
        return AudioFolderSource(Path(self.path), limits)

    def listing_sha256(self) -> str:
        """Stands for what the folder holds: names, sizes and times of change of its files and metadata.csv."""
        root = Path(self.path)
        entries = walk(root, SUFFIXES, METADATA)
        if (root / METADATA).is_file():
            about = (root / METADATA).stat()
            entries.append(FolderEntry(METADATA, about.st_size, about.st_mtime_ns))
        return sha256_json([[ascii(e.name), e.num_bytes, e.mtime_ns, e.problem] for e in entries])


class AudioFolderSource(OneEach):
    """Units are paths relative to the folder; what is no file follows a zero byte, which no path holds."""

    tool = "audio_folder"

    def __init__(self, root: Path, limits: DecodeLimits) -> None:
        self.root = root.resolve()
        self.limits = limits
        self._metadata = read_metadata(self.root)

    def tool_version(self) -> str:
        """Version of PyAV."""
        return f"av {version('av')}"

    def units(self) -> Sequence[str]:
        """Paths of all audio files, relative to the folder."""
        return [f"{e.name}\0{e.problem}" if e.problem else e.name for e in list_entries(self.root, self.limits)]

    def recordings(self, unit: str, originals: Path) -> Iterator[SourceRecording]:
        """The recording of one file, with its metadata."""
        name, _, problem = unit.partition("\0")
        path = self.root / name
        about = ListingRow(0, self._metadata.get(name, {}))
        uri = path.as_uri()
        if problem:
            yield describe(about, name_of(name), uri, None, path, {}, problem)
        else:
            is_named_sound = path.suffix.casefold() in SUFFIXES
            yield describe_by_row(about, name_of(name), uri, uri, path, is_named_sound=is_named_sound)


def read_metadata(root: Path) -> dict[str, Mapping[str, str]]:
    """File -> what the folder's metadata.csv says of it. Raises UserError naming a line that cannot be used."""
    path = root / METADATA
    if not path.is_file():
        return {}
    found: dict[str, Mapping[str, str]] = {}
    for row in read_rows(path, {"uri": "file"}):
        name = row.values.get("uri", "")
        problem = row.problem or ("" if (root / name).is_file() and name else f"there is no file {name!r} here")
        if problem or name in found:
            raise UserError(f"{path}, line {row.line}: {problem or f'{name} stands here twice'}. Mend the line.")
        found[name] = row.values
    return found


def list_audio(root: Path) -> list[str]:
    """Files that claim to be audio, relative to the folder, in order. Raises UserError for a folder without any."""
    audio = [e.name for e in walk(root, SUFFIXES, METADATA) if _claims_sound(e)]
    if not audio:
        raise _no_audio(root, Counter())
    return audio


def list_entries(root: Path, limits: DecodeLimits) -> list[FolderEntry]:
    """All that lies in a folder. Raises UserError for one that is missing or holds no sound at all."""
    entries = walk(root, SUFFIXES, METADATA)
    others = Counter(e.problem or Path(e.name).suffix.casefold() for e in entries if not _claims_sound(e))
    if len(entries) == others.total() and not any(
        e.problem is None and holds_sound(root / e.name, limits) for e in entries
    ):
        raise _no_audio(root, others)
    if others:
        kinds = ", ".join(f"{count} {suffix or '(no suffix)'}" for suffix, count in sorted(others.items()))
        log.info(
            "%s: %d audio files; looked into for sound: %s", ascii(str(root)), len(entries) - others.total(), kinds
        )
    return entries


def holds_sound(path: Path, limits: DecodeLimits) -> bool:
    """Whether a file is a recording, good or bad: text and pictures are none."""
    try:
        with open_audio(path, limits):
            return True
    except BadAudioError as error:
        return error.reason not in (QuarantineReason.UNREADABLE, QuarantineReason.EMPTY)
    except OSError:
        return os.access(path, os.F_OK)


def _claims_sound(entry: FolderEntry) -> bool:
    return entry.problem is None and Path(entry.name).suffix.casefold() in SUFFIXES


def _no_audio(root: Path, others: Counter[str]) -> UserError:
    few = ", ".join(s[1:] for s in SUFFIXES[:6])
    return UserError(f"{root} holds no {few} file ({others.total()} other files). Give a folder that does.")
