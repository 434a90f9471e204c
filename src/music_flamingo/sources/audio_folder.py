"""The `audio_folder` source: a person's own songs, in folders of any depth. Nothing is copied; no truth is known.

A file metadata.csv in the folder may say more, and says it before the tags do: its column `file` is the path below
the folder, the others are those of a table (title, artist, work, album, region, tradition, language, licence ...).
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from music_flamingo.audio.decode import DecodeLimits
from music_flamingo.core.errors import UserError
from music_flamingo.core.hashing import sha256_json
from music_flamingo.sources import SourceRecording
from music_flamingo.sources.about import describe, name_of, read_tags
from music_flamingo.sources.licences import OWN_RECORDINGS
from music_flamingo.sources.rows import ListingRow, read_rows

log = logging.getLogger(__name__)

SUFFIXES = (".wav", ".flac", ".mp3", ".m4a", ".ogg", ".opus")
METADATA = "metadata.csv"


class AudioFolderConfig(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    uses: ClassVar = (OWN_RECORDINGS,)
    kind: Literal["audio_folder"]
    path: str
    """A folder of wav, flac, mp3, m4a, ogg or opus files, at any depth."""

    def open(self, limits: DecodeLimits) -> "AudioFolderSource":
        return AudioFolderSource(Path(self.path), limits)

    def listing_sha256(self) -> str:
        """Stands for what the folder holds: names, sizes and times of change of its audio files and metadata.csv."""
        root = _checked(Path(self.path))
        about = [METADATA] if (root / METADATA).is_file() else []
        stats = [(p, (root / p).stat()) for p in [*_split(root)[0], *about]]
        return sha256_json([[p, s.st_size, s.st_mtime_ns] for p, s in stats])


class AudioFolderSource:
    """Units are paths relative to the folder."""

    tool = "audio_folder"
    recordings_per_unit = 1

    def __init__(self, root: Path, limits: DecodeLimits) -> None:
        self.root = root.resolve()
        self.limits = limits
        self._metadata = read_metadata(self.root)

    def tool_version(self) -> str:
        return f"av {version('av')}"

    def units(self) -> Sequence[str]:
        return list_audio(self.root)

    def recordings(self, unit: str, originals: Path) -> Iterator[SourceRecording]:
        path = self.root / unit
        about = ListingRow(0, self._metadata.get(unit, {}))
        yield describe(about, name_of(unit), path.as_uri(), path.as_uri(), path, read_tags(path, self.limits))


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
    """Audio files relative to the folder, in order. Raises UserError for a folder that is missing or holds none."""
    audio, others = _split(_checked(root))
    if others:
        kinds = ", ".join(f"{count} {suffix or '(no suffix)'}" for suffix, count in sorted(others.items()))
        log.info("%s: %d audio files; passed over: %s", root, len(audio), kinds)
    if not audio:
        raise UserError(
            f"{root} holds no {', '.join(s[1:] for s in SUFFIXES)} file"
            f" ({others.total()} other files). Give a folder that does."
        )
    return audio


def _checked(root: Path) -> Path:
    if not root.is_dir():
        raise UserError(f"{root} is not a folder. Set ingest.source.path to a folder of audio files.")
    return root


def _split(root: Path) -> tuple[list[str], Counter[str]]:
    """(audio files relative to the folder, in order; how many other files of each suffix)."""
    audio, others = [], Counter[str]()
    for path in sorted(root.rglob("*")):
        if not path.is_file():
            continue
        # hidden files are the system's: `._song.mp3` is no song
        if path.suffix.casefold() in SUFFIXES and not path.name.startswith("."):
            audio.append(str(path.relative_to(root)))
        else:
            others[path.suffix.casefold()] += 1
    return audio, others
