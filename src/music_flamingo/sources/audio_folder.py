"""The `audio_folder` source: a person's own songs, in folders of any depth. Nothing is copied; no truth is known.

Tags are untrusted text. Files whose artist and title are the same are one work, and share a split.
"""

import hashlib
import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from music_flamingo.audio.decode import BadAudioError, DecodeLimits, open_audio
from music_flamingo.core.errors import UserError
from music_flamingo.core.hashing import sha256_json
from music_flamingo.sources import Recording

log = logging.getLogger(__name__)

SUFFIXES = (".wav", ".flac", ".mp3", ".m4a", ".ogg", ".opus")
LYRICS_TAGS = ("lyrics", "unsyncedlyrics", "unsynced lyrics", "syncedlyrics", "uslt")
MAX_LANGUAGE_CHARS = 35
"""The longest language tag of RFC 5646's recommended length."""


class AudioFolderConfig(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    kind: Literal["audio_folder"]
    path: str
    """A folder of wav, flac, mp3, m4a, ogg or opus files, at any depth."""

    def open(self, limits: DecodeLimits) -> "AudioFolderSource":
        return AudioFolderSource(Path(self.path), limits)

    def listing_sha256(self) -> str:
        """Stands for what the folder holds: names, sizes and times of change of its audio files."""
        root = _checked(Path(self.path))
        stats = [(p, (root / p).stat()) for p in _split(root)[0]]
        return sha256_json([[p, s.st_size, s.st_mtime_ns] for p, s in stats])


class AudioFolderSource:
    """Units are paths relative to the folder."""

    tool = "audio_folder"
    recordings_per_unit = 1

    def __init__(self, root: Path, limits: DecodeLimits) -> None:
        self.root = root.resolve()
        self.limits = limits

    def tool_version(self) -> str:
        return f"av {version('av')}"

    def units(self) -> Sequence[str]:
        return list_audio(self.root)

    def recordings(self, unit: str, originals: Path) -> Iterator[Recording]:
        path = self.root / unit
        tags = self._tags(path)
        title, artist = _line(tags.get("title")), _line(tags.get("artist"))
        stem = Path(unit).stem
        work = f"{slug(artist or '')}-{slug(title)}".strip("-") if title else slug(stem)
        digest = hashlib.sha256(unit.encode("utf-8", "surrogateescape")).hexdigest()
        yield Recording(
            id=f"{slug(stem)[:48]}-{digest[:8]}",
            work_id=work or digest[:8],
            title=title or _line(stem),
            artist=artist,
            tradition=_line(tags.get("genre")),
            language=_language(tags),
            lyrics=_lyrics(tags),
            uri=path.as_uri(),
            original=path.as_uri(),
            path=path,
            seed=None,
            truth=None,
        )

    def _tags(self, path: Path) -> dict[str, str]:
        """None where the file cannot be opened: why, is found when it is decoded."""
        try:
            with open_audio(path, self.limits) as audio:
                return audio.tags
        except (BadAudioError, OSError):
            return {}


def slug(text: str) -> str:
    """`Für Elise (live)` -> `fur-elise-live`; letters of other scripts stay."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return re.sub(r"[^\w.]+|_+", "-", plain).strip("-.")


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


def _line(text: str | None) -> str | None:
    """One line of valid, printable text, or None."""
    if text is None:
        return None
    text = text.encode("utf-8", "replace").decode()
    return " ".join("".join(c if c.isprintable() else " " for c in text).split()) or None


def _language(tags: dict[str, str]) -> str | None:
    language = _line(tags.get("language"))
    return language if language and len(language) <= MAX_LANGUAGE_CHARS else None


def _lyrics(tags: dict[str, str]) -> str | None:
    for name, text in sorted(tags.items()):
        # `lyrics-eng`, as FFmpeg names an ID3 tag with its language
        if name in LYRICS_TAGS or name.startswith("lyrics-"):
            lines = [_line(line) for line in text.splitlines()]
            return "\n".join(line for line in lines if line) or None
    return None
