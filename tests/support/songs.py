"""Small records, made by hand, that the tests of teachers, checks and their stages share."""

import functools

import numpy as np

from music_flamingo.core.record import Provenance
from music_flamingo.records import (
    Audio,
    Beats,
    Chords,
    Dynamics,
    Facts,
    Key,
    Lyrics,
    Sections,
    Segment,
    Sound,
    Tempo,
    Track,
)
from music_flamingo.records.track import Split

TOOL = {"tool": "by hand", "tool_version": "1"}
CHORDS = ("C:maj", "F:maj", "G:7", "C:maj", "A:min", "D:min", "G:maj", "C:maj/3")


def segments(labels, length_s: float, start_s: float = 0.0) -> list[Segment]:
    starts = [start_s + k * length_s for k in range(len(labels) + 1)]
    return [Segment(start_s=a, end_s=b, label=n) for a, b, n in zip(starts, starts[1:], labels, strict=False)]


def make_facts(track_id: str = "w1/0", work_id: str = "w1", **changes) -> Facts:
    """16 s of C major, four to the bar at 120 BPM, with drums, in A B A."""
    values = {
        "id": track_id,
        "work_id": work_id,
        "duration_s": 16.0,
        "tempo": Tempo(bpm=120.0, confidence=0.9, **TOOL),
        "beats": Beats(
            beats_s=[0.5 * k for k in range(32)],
            positions=[k % 4 + 1 for k in range(32)],
            beats_per_bar=4,
            confidence=0.9,
            **TOOL,
        ),
        "key": Key(tonic="C", mode="major", confidence=0.9, **TOOL),
        "chords": Chords(segments=segments(CHORDS, 2.0), confidence=0.9, **TOOL),
        "sections": Sections(segments=segments(("A", "B", "A"), 16 / 3), confidence=0.9, **TOOL),
        "dynamics": Dynamics(range_db=9.0, trend="rising", confidence=0.9, **TOOL),
        "sound": Sound(has_drums=True, texture="chords", lead_envelope="decaying", confidence=0.9, **TOOL),
        "lyrics": Lyrics(available=False, lines=[], language=None, confidence=1.0, **TOOL),
        "problems": [],
    }
    return Facts.model_validate({**values, **changes})


def with_lyrics(lines=("Oh come all ye", "sing a merry tune")) -> Lyrics:
    return Lyrics(available=True, lines=segments(lines, 4.0, 1.0), language="en", confidence=1.0, **TOOL)


def empty_facts(track_id: str = "w1/0") -> Facts:
    nothing = ("tempo", "beats", "key", "chords", "sections", "dynamics", "sound", "lyrics")
    return make_facts(track_id, **dict.fromkeys(nothing))


@functools.cache
def sound_of(duration_s: float) -> bytes:
    """The 16 kHz copy of a track of that length: a sine of 16 s, then silence, which takes no room."""
    from music_flamingo.audio.flac import encode_flac

    samples = np.zeros(round(duration_s * 16000), np.float32)
    heard = samples[: 16 * 16000]
    heard[:] = np.sin(np.arange(heard.size, dtype=np.float32) / 20) * 0.1
    return encode_flac(samples)


def make_track(track_id: str = "w1/0", work_id: str = "w1", split: Split = "train", **changes) -> Track:
    values = {
        "id": track_id,
        "work_id": work_id,
        "split": split,
        "title": "A Song",
        "artist": None,
        "tradition": None,
        "language": None,
        "lyrics": None,
        "uri": f"test:{track_id}",
        "original": None,
        "source_sha256": "0" * 64,
        "audio_sha256": "0" * 64,
        "duration_s": 16.0,
        "original_rate_hz": 16000,
        "num_channels": 1,
        "loudness": None,
        "fingerprint": [],
        "audio": Audio(bytes=sound_of(changes.get("duration_s") or 16.0), path=f"{track_id}.flac"),
        "provenance": Provenance(made_by="test", tool="test", tool_version="1"),
    }
    return Track.model_validate({**values, **changes})


def write_port(root, record, shards, stage="by-hand", licences=()):
    """A finished port with one Parquet file for each list of records."""
    from music_flamingo.core.manifest import Manifest, complete, files_digest, list_files
    from music_flamingo.core.ports import Writer

    writer = Writer(root, record)
    for index, records in enumerate(shards):
        writer.write(index, records)
    files = list_files(root)
    num_records, status = writer.status_counts()
    complete(
        root,
        Manifest(
            stage=stage,
            port=root.name,
            record=record.__name__,
            key="by hand",
            config={},
            inputs={},
            files=files,
            num_records=num_records,
            status=status,
            metrics={},
            licences=licences,
            digest=files_digest(files),
        ),
    )
    return root


def run_stage(stage, config, data):
    """`execute` with every port in `data`; gives the outputs' manifests by port."""
    import json

    from music_flamingo.core.manifest import read_manifest
    from music_flamingo.core.stage import execute

    inputs, outputs = ({name: data / name for name in ports} for ports in (stage.inputs, stage.outputs))
    execute(stage, json.dumps(config), inputs, outputs)
    return {name: read_manifest(path) for name, path in outputs.items()}


def params(stage_name):
    """A stage's parameters in params.yaml, for a test to change."""
    import json
    from pathlib import Path

    from music_flamingo.core.params import load_params, stage_json

    return json.loads(stage_json(load_params(Path(__file__).parents[2] / "params.yaml"), stage_name))
