"""Emilia: in-the-wild speech in six languages, as tars of `ID.json` and `ID.mp3`, or as JSON lines with mp3s.

Each entry has `id`, `wav` (the clip's path), `text`, `duration`, `speaker`, `language`, `dnsmos` (He et al. 2024).
The tars name a pair by its stem, the JSON lines by `wav` relative to their folder.
"""

import json
import tarfile
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from music_flamingo.audio.decode import BadAudioError, DecodeLimits, QuarantineReason, decode_model_copy
from music_flamingo.records.track import Split
from music_flamingo.sources.speech import SpeechSettings, SpokenUtterance, Whole
from music_flamingo.sources.speech.reading import files_sha256, inside, require_folder, require_found

AUDIO = (".mp3", ".wav", ".flac")


class EmiliaConfig(SpeechSettings):
    """Emilia on disk: folder, split, licence."""

    kind: Literal["emilia"]
    path: str
    """A folder with `*.tar`, or `*.jsonl` and the clips they name, at any depth."""
    split: Split
    """Emilia has no splits of its own."""
    licence: str
    """CC-BY-NC-4.0 for Emilia, CC-BY-4.0 for its part Emilia-YODAS."""

    def open(self, limits: DecodeLimits) -> "EmiliaSource":
        """Make the source."""
        return EmiliaSource(self, require_folder(self.path, self.kind), limits)

    def listing_sha256(self) -> str:
        """SHA-256 over all tars and listings."""
        return files_sha256(_files(require_folder(self.path, self.kind)))


def _files(root: Path) -> list[Path]:
    return sorted([*root.rglob("*.tar"), *root.rglob("*.jsonl")])


class EmiliaSource:
    """Units are JSON texts: where the clip lies, and what is said of it."""

    tool = "emilia"

    def __init__(self, config: EmiliaConfig, root: Path, limits: DecodeLimits) -> None:
        self.config = config
        self.root = root
        self.limits = limits

    def tool_version(self) -> str:
        """Version of PyAV."""
        return f"av {version('av')}"

    def units(self) -> Sequence[str]:
        """Entries as JSON, one a clip."""
        return require_found([u for file in _files(self.root) for u in self._listed(file)], self.root, "tar or jsonl")

    def _listed(self, file: Path) -> Iterator[str]:
        name = str(file.relative_to(self.root))
        entries = _tar_entries(file) if file.suffix == ".tar" else _line_entries(file)
        for entry in entries:
            yield json.dumps({"file": name, **entry}, ensure_ascii=False)

    def utterances(self, unit: str) -> Iterator[SpokenUtterance]:
        """The utterance of one clip; raises where text, speaker or language is missing."""
        entry: dict[str, Any] = json.loads(unit)
        about = entry["about"]
        fields = {"id": entry["key"], "split": self.config.split, "licence": self.config.licence}
        missing = [name for name in ("text", "speaker", "language") if not isinstance(about.get(name), str)]
        if missing:
            problem = f"bad_row:no {', '.join(missing)}"
            yield SpokenUtterance(
                language="und", words=(), read=partial(np.zeros, 0, np.float32), problem=problem, **fields
            )
            return
        words = Whole(about["speaker"], about["text"])
        yield SpokenUtterance(language=about["language"], words=words, read=partial(self._read, entry), **fields)

    def _read(self, entry: dict[str, Any]) -> np.ndarray:
        file = self.root / entry["file"]
        if "at" not in entry:
            return decode_model_copy(inside(file.parent, entry["about"]["wav"]), self.limits)
        if entry["at"] is None:
            raise BadAudioError(QuarantineReason.UNREADABLE, f"{file} has no clip {entry['key']}")
        with file.open("rb") as tar:
            tar.seek(entry["at"])
            return decode_model_copy(tar.read(entry["size"]), self.limits)


def _tar_entries(file: Path) -> Iterator[dict[str, Any]]:
    """Pairs of a JSON and a clip, by stem, with the place of the clip's bytes."""
    about: dict[str, Any] = {}
    clips: dict[str, tuple[int, int]] = {}
    with tarfile.open(file) as tar:
        for member in tar:
            stem, suffix = str(Path(member.name).with_suffix("")), Path(member.name).suffix.lower()
            if suffix == ".json" and (opened := tar.extractfile(member)) is not None:
                about[stem] = _object(opened.read())
            elif suffix in AUDIO:
                clips[stem] = (member.offset_data, member.size)
    for stem in sorted(about):
        at, size = clips.get(stem, (None, None))
        yield {"key": str(about[stem].get("id", Path(stem).name)), "about": about[stem], "at": at, "size": size}


def _line_entries(file: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        about = _object(line)
        about.setdefault("wav", "")
        yield {"key": str(about.get("id", f"{file.stem}-{number}")), "about": about}


def _object(text: bytes) -> dict[str, Any]:
    """An empty object for what is no JSON object: it lacks all fields, and is quarantined for that."""
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
