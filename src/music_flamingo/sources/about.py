"""Metadata of a recording: its row in a table or metadata.csv first, then the file's tags. All untrusted.

Recordings whose artist and title are the same are one work, and share a split.
"""

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from music_flamingo.records.track import Split
from music_flamingo.sources import SourceRecording
from music_flamingo.sources.rows import ListingRow

LYRICS_TAGS = ("lyrics", "unsyncedlyrics", "unsynced lyrics", "syncedlyrics", "uslt")
MAX_LANGUAGE_CHARS = 35
"""The longest language tag of RFC 5646's recommended length."""
MAX_NAME_CHARS = 48
TAGS = {"album": "album", "region": "country", "licence": "license"}
"""Field -> the tag that gives it, in addition to title, artist, genre (tradition), language and lyrics."""
SPLITS: dict[str, Split] = {"train": "train", "dev": "dev", "test": "test"}


def describe(
    row: ListingRow,
    track_id: str,
    uri: str,
    original: str | None,
    path: Path,
    tags: Mapping[str, str],
    problem: str | None = None,
) -> SourceRecording:
    """The recording at `path`, as its row and its tags describe it."""
    title, artist = (_line(row.values.get(n) or tags.get(n)) for n in ("title", "artist"))
    stem = _stem(uri)
    work = f"{slug(artist or '')}-{slug(title)}".strip("-") if title else slug(stem)
    lyrics = row.values.get("lyrics")
    tagged: dict[str, Any] = {field: _line(row.values.get(field) or tags.get(tag)) for field, tag in TAGS.items()}
    return SourceRecording(
        id=track_id,
        work_id=slug(row.values.get("work", "")) or work or digest(uri),
        title=title or _line(stem),
        artist=artist,
        tradition=_line(row.values.get("tradition") or tags.get("genre")),
        language=_language(row.values.get("language") or tags.get("language")),
        lyrics=_lines(lyrics) if lyrics else _lyrics(tags),
        uri=uri,
        original=original,
        path=path,
        seed=None,
        truth=None,
        problem=problem,
        given_split=SPLITS.get(row.values.get("split", "")),
        **tagged,
    )


def describe_by_row(
    row: ListingRow, track_id: str, uri: str, original: str | None, path: Path, *, is_named_sound: bool = True
) -> SourceRecording:
    """The recording as its row describes it. Its tags are asked when it is decoded: a file is opened once."""
    later = partial(describe, row, track_id, uri, original, path)
    return replace(later({}), with_tags=later, is_named_sound=is_named_sound)


def name_of(place: str) -> str:
    """An id of what lies at a path or uri: readable, safe as a file's name, one of its own for each place."""
    return f"{slug(Path(place).stem)[:MAX_NAME_CHARS]}-{digest(place)}"


def digest(place: str) -> str:
    """First 8 hex digits of the SHA-256 of a place's path."""
    try:
        data = place.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a surrogate that stands for no byte
        data = place.encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()[:8]


def slug(text: str) -> str:
    """`Für Elise (live)` -> `fur-elise-live`; letters of other scripts stay."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return re.sub(r"[^\w.]+|_+", "-", plain).strip("-.")


def clean(text: str) -> str:
    """Valid text: what cannot be encoded is replaced."""
    return text.encode("utf-8", "replace").decode()


def _stem(uri: str) -> str:
    try:
        return Path(unquote(urlsplit(uri).path if "://" in uri else uri)).stem
    except ValueError:  # http://[::1/a
        return Path(uri).stem


def _line(text: str | None) -> str | None:
    """One line of valid, printable text, or None."""
    if text is None:
        return None
    return " ".join("".join(c if c.isprintable() else " " for c in clean(text)).split()) or None


def _language(text: str | None) -> str | None:
    language = _line(text)
    return language if language and len(language) <= MAX_LANGUAGE_CHARS else None


def _lyrics(tags: Mapping[str, str]) -> str | None:
    for name, text in sorted(tags.items()):
        # `lyrics-eng`, as FFmpeg names an ID3 tag with its language
        if name in LYRICS_TAGS or name.startswith("lyrics-"):
            return _lines(text)
    return None


def _lines(text: str) -> str | None:
    lines = [_line(line) for line in text.splitlines()]
    return "\n".join(line for line in lines if line) or None
