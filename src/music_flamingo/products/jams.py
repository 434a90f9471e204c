"""Facts as JAMS files (Humphrey et al. 2014), one a track, which mirdata, mir_eval and annotators' tools read.

Times and durations are seconds from the start; a value's confidence is the fact's. What is not trusted is left out.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from music_flamingo import __version__
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.ports import Table
from music_flamingo.core.shards import write_atomic
from music_flamingo.records import (
    Beats,
    Chords,
    Content,
    Facts,
    Genre,
    HeardTag,
    Instruments,
    Key,
    Lyrics,
    Measured,
    Sections,
    Segment,
    Tempo,
    Track,
    Vocals,
    trusted,
)
from music_flamingo.sources.about import slug

JAMS_VERSION = "0.3.5"
CONFIGURATION = "music-flamingo-kubeflow"
Observation = dict[str, Any]
FACT_OF: dict[type[Measured], str] = {
    **{Content: "content", Vocals: "voice", Instruments: "instruments", Genre: "genre", Tempo: "tempo"},
    **{Beats: "beats", Key: "key", Chords: "chords", Sections: "sections", Lyrics: "lyrics"},
}
"""Which fact an annotation holds: what its namespace cannot say stands in its sandbox, for `mf import jams`."""


def export_jams(data: Path, folder: Path) -> list[Path]:
    """Write a JAMS file for each track that has facts; gives their paths, in order.

    Raises MissingInputError before `facts` has run.
    """
    facts = Table(data / "facts", Facts, read_manifest(data / "facts"))
    tracks = Table(data / "tracks", Track, read_manifest(data / "tracks"))
    columns = tracks.columns("id", "title", "artist", "audio_sha256").to_pylist()
    about = {row["id"]: row for row in columns}
    written = []
    for found in facts.ok():
        path = folder / f"{slug(found.id)}.jams"
        write_atomic(path, json.dumps(jams_of(found, about[found.id]), indent=1, ensure_ascii=False) + "\n")
        written.append(path)
    return written


def jams_of(facts: Facts, about: dict[str, Any]) -> dict[str, Any]:
    """The JAMS object of a track's trusted facts; `about` has its title, artist and audio_sha256."""
    held = trusted(facts)
    duration_s = facts.duration_s or 0.0
    return {
        "file_metadata": {
            "title": about["title"] or "",
            "artist": about["artist"] or "",
            "release": "",
            "duration": duration_s,
            "identifiers": {"track": facts.id, "audio_sha256": about["audio_sha256"] or ""},
            "jams_version": JAMS_VERSION,
        },
        "annotations": list(_annotations(held, duration_s)),
        "sandbox": {"withheld": [entry.model_dump() for entry in facts.withheld]},
    }


def _annotations(facts: Facts, duration_s: float) -> Iterator[dict[str, Any]]:
    if facts.content:
        yield _annotation("tag_open", facts.content, _segments(facts.content.heard, facts.content), duration_s)
    if facts.voice:
        yield _annotation("tag_open", facts.voice, _segments(facts.voice.heard, facts.voice), duration_s)
    for tagged in (facts.instruments, facts.genre):
        if tagged:
            yield _annotation("tag_open", tagged, [_tag(label, duration_s) for label in tagged.labels], duration_s)
    if facts.tempo:
        yield _annotation("tempo", facts.tempo, [_at(0.0, duration_s, facts.tempo.bpm, facts.tempo)], duration_s)
    if facts.beats:
        placed = zip(facts.beats.beats_s, facts.beats.positions, strict=True)
        beats = [_at(time_s, 0.0, position, facts.beats) for time_s, position in placed]
        yield _annotation("beat", facts.beats, beats, duration_s)
    if facts.key:
        whole = Segment(start_s=0.0, end_s=max(duration_s, 0.001), label=facts.key.label)
        keys = facts.key.changes or [whole]
        spelled = [s.model_copy(update={"label": s.label.replace(" ", ":")}) for s in keys]
        yield _annotation("key_mode", facts.key, _segments(spelled, facts.key), duration_s)
    if facts.chords:
        yield _annotation("chord", facts.chords, _segments(facts.chords.segments, facts.chords), duration_s)
    if facts.sections:
        segments = _segments(facts.sections.segments, facts.sections)
        yield _annotation("segment_open", facts.sections, segments, duration_s)
    if facts.lyrics and facts.lyrics.lines:
        yield _annotation("lyrics", facts.lyrics, _segments(facts.lyrics.lines, facts.lyrics), duration_s)


def _segments(segments: Iterable[Segment], by: Measured) -> list[Observation]:
    return [_at(s.start_s, s.end_s - s.start_s, s.label, by) for s in segments]


def _at(time_s: float, duration_s: float, value: object, by: Measured) -> Observation:
    return {"time": time_s, "duration": duration_s, "value": value, "confidence": by.confidence}


def _tag(label: HeardTag, duration_s: float) -> Observation:
    return {"time": 0.0, "duration": duration_s, "value": label.name, "confidence": label.probability}


def _scalars(by: Measured) -> dict[str, Any]:
    return {name: value for name, value in by.model_dump().items() if not isinstance(value, list)}


def _annotation(namespace: str, by: Measured, data: list[Observation], duration_s: float) -> dict[str, Any]:
    return {
        "namespace": namespace,
        "annotation_metadata": {
            "annotator": {},
            "annotation_tools": f"{by.tool} {by.tool_version}".strip(),
            "annotation_rules": "",
            "corpus": "",
            "curator": {"name": "", "email": ""},
            "data_source": "program",
            "validation": "",
            "version": f"{CONFIGURATION} {__version__}",
        },
        "data": data,
        "sandbox": {"fact": FACT_OF[type(by)], "scalars": _scalars(by)},
        "time": 0.0,
        "duration": duration_s,
    }
