"""JAMS files (Humphrey et al. 2014), one a recording: tempo, beats, key, chords, sections, lyrics and tags as facts.

Times are seconds. An annotation that this project exported comes back as it was; of others the first of each kind
counts, and what a kind cannot say (a mode that is neither major nor minor, a label that is no chord) is counted. A
confidence that is missing or outside 0 to 1 is that of the caller.
"""

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from music_flamingo.core.errors import UserError
from music_flamingo.records import Facts
from music_flamingo.sources.annotated import AnnotatedRecording

SUFFIXES = (".jams", ".jamz")
MODES = {"major": "major", "minor": "minor", "ionian": "major", "aeolian": "minor"}
"""JAMS' modes that are the same notes as major and minor."""
FACT_OF = {
    "tempo": "tempo",
    "beat": "beats",
    "beat_position": "beats",
    "key_mode": "key",
    "chord": "chords",
    "chord_harte": "chords",
    "segment_open": "sections",
    "segment_salami_upper": "sections",
    "segment_salami_function": "sections",
    "lyrics": "lyrics",
    "tag_gtzan": "genre",
    "tag_medleydb_instruments": "instruments",
}
"""Namespace -> the fact that it gives, where the annotation does not say itself."""


class _Lenient(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class JamsObservation(_Lenient):
    """One observation: from `time`, for `duration` (s)."""

    time: float
    duration: float
    value: Any
    confidence: float | None = None


class JamsOrigin(_Lenient):
    """Who or what annotated."""

    annotation_tools: str = ""
    corpus: str = ""
    data_source: str = ""
    version: str | float = ""


class JamsAnnotation(_Lenient):
    """Observations of one kind."""

    namespace: str
    annotation_metadata: JamsOrigin = JamsOrigin()
    data: list[JamsObservation]
    sandbox: dict[str, Any] = {}

    @field_validator("data", mode="before")
    @classmethod
    def _rows(cls, data: Any) -> Any:
        """Dense kinds are columns in older files."""
        return (
            [dict(zip(data, row, strict=True)) for row in zip(*data.values(), strict=True)]
            if isinstance(data, dict)
            else data
        )


class JamsMetadata(_Lenient):
    """Of the recording."""

    duration: float | None = None
    identifiers: dict[str, Any] = {}


class JamsFile(_Lenient):
    """A file: annotations of one recording."""

    file_metadata: JamsMetadata
    annotations: list[JamsAnnotation]


def read_jams_folder(folder: Path, confidence: float) -> Iterator[AnnotatedRecording]:
    """Read every .jams and .jamz file below a folder, in order of path. Raises UserError naming a file that is none."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix in SUFFIXES)
    if not paths:
        raise UserError(f"{folder} holds no {' or '.join(SUFFIXES)} file.")
    for path in paths:
        try:
            content = gzip.decompress(path.read_bytes()) if path.suffix == ".jamz" else path.read_bytes()
            jam = JamsFile.model_validate(json.loads(content))
        except (ValueError, OSError, EOFError) as error:
            raise UserError(f"{path} is no JAMS file: {error}. Mend it, or take it out of the folder.") from error
        about, below = jam.file_metadata, path.relative_to(folder).with_suffix("")
        own = [str(about.identifiers[n]) for n in ("track", "audio_sha256") if about.identifiers.get(n)]
        yield recording_of(jam, (*own, str(below), below.name), confidence)


def recording_of(jam: JamsFile, names: tuple[str, ...], confidence: float) -> AnnotatedRecording:
    """The facts of one file's annotations, and what was not read of it."""
    facts: dict[str, Any] = {"duration_s": jam.file_metadata.duration or None}
    unread = []
    for annotation in jam.annotations:
        kind = annotation.namespace
        name = annotation.sandbox.get("fact") or FACT_OF.get(kind)
        if name not in _READERS:
            unread.append(f"{kind}: no fact of this project")
        elif name in facts:
            unread.append(f"{kind}: a further annotation of the same kind")
        else:
            try:
                facts[name] = _fact(name, annotation, confidence)
            except ValidationError as error:
                unread.append(f"{kind}: {error.errors()[0]['msg']}")
            except (ValueError, TypeError) as error:
                unread.append(f"{kind}: {error}")
    return AnnotatedRecording(names=names, facts=facts, unread=tuple(unread))


def _fact(name: str, annotation: JamsAnnotation, confidence: float) -> Any:
    own = dict(annotation.sandbox.get("scalars", {}))
    origin = annotation.annotation_metadata
    given = [o.confidence for o in annotation.data if o.confidence is not None and 0 <= o.confidence <= 1]
    values = {
        "tool": origin.annotation_tools or f"{origin.corpus or 'JAMS'} ({origin.data_source or 'origin unknown'})",
        "tool_version": str(origin.version),
        "confidence": sum(given) / len(given) if given else confidence,
        **_READERS[name](annotation.data, annotation.namespace),
        **own,
    }
    field = Facts.model_fields[name]
    kind = next(part for part in field.annotation.__args__ if part is not type(None))  # type: ignore[union-attr]
    return kind.model_validate(values)


def _segments(data: list[JamsObservation], _: str = "") -> list[dict[str, Any]]:
    placed = sorted(data, key=lambda o: o.time)
    return [{"start_s": o.time, "end_s": o.time + o.duration, "label": str(o.value)} for o in placed if o.duration > 0]


def _tempo(data: list[JamsObservation], _: str) -> dict[str, Any]:
    likeliest = sorted(data, key=lambda o: -(o.confidence or 0.0))
    if not likeliest:
        raise ValueError("no observation")
    return {"bpm": likeliest[0].value}


def _beats(data: list[JamsObservation], kind: str) -> dict[str, Any]:
    placed = sorted(data, key=lambda o: o.time)
    said = [o.value["position"] if kind == "beat_position" else o.value for o in placed]
    times = [o.time for o in placed]
    if not times:
        raise ValueError("no observation")
    if any(p is None or p != int(p) or p < 1 for p in said):
        return {"beats_s": times, "positions": [1] * len(times), "beats_per_bar": None}
    positions = [int(p) for p in said]
    return {"beats_s": times, "positions": positions, "beats_per_bar": _beats_per_bar(positions)}


def _beats_per_bar(positions: list[int]) -> int | None:
    """The most frequent length of the bars between two downbeats; None without a whole bar."""
    downbeats = [k for k, position in enumerate(positions) if position == 1]
    lengths = Counter(b - a for a, b in pairwise(downbeats))
    return min(lengths, key=lambda n: (-lengths[n], n)) if lengths and max(positions) > 1 else None


def _key(data: list[JamsObservation], _: str) -> dict[str, Any]:
    keys = []
    for segment in _segments(data):
        tonic, _, mode = segment["label"].partition(":")
        if mode not in MODES:
            raise ValueError(f"{mode or 'a key without its mode'} is neither major nor minor")
        keys.append({**segment, "label": f"{tonic} {MODES[mode]}"})
    if not keys:
        raise ValueError("no observation")
    lasting: Counter[str] = Counter()
    for segment in keys:
        lasting[segment["label"]] += segment["end_s"] - segment["start_s"]
    tonic, _, mode = max(lasting, key=lambda label: lasting[label]).partition(" ")
    return {"tonic": tonic, "mode": mode, "changes": keys if len(lasting) > 1 else []}


def _lyrics(data: list[JamsObservation], _: str) -> dict[str, Any]:
    lines = _segments(data)
    why_not = None if lines else "none_in_source"
    return {"available": bool(lines), "lines": lines, "language": None, "why_not": why_not}


def _tags(data: list[JamsObservation], kind: str) -> dict[str, Any]:
    sure: dict[str, float] = {}
    for o in data:
        name = str(o.value).replace("-", " ") if kind == "tag_gtzan" else str(o.value)
        sure[name] = max(sure.get(name, 0.0), 1.0 if o.confidence is None else min(1.0, max(0.0, o.confidence)))
    return {"labels": [{"name": n, "probability": p} for n, p in sorted(sure.items(), key=lambda s: (-s[1], s[0]))]}


_READERS: dict[str, Callable[[list[JamsObservation], str], dict[str, Any]]] = {
    "tempo": _tempo,
    "beats": _beats,
    "key": _key,
    "chords": lambda data, _: {"segments": _segments(data)},
    "sections": lambda data, _: {"segments": _segments(data)},
    "lyrics": _lyrics,
    "genre": _tags,
    "instruments": _tags,
    "content": lambda data, _: {"heard": _segments(data)},
    "voice": lambda data, _: {"present": bool(data), "heard": _segments(data)},
}
