"""A synthetic catalogue for the validation job: one question a track, written by the scripted teacher.

The facts are those of a 12 s excerpt (24 beats, 6 chords), drawn in various keys, meters and tempi; the examples are
what the scripted teacher writes of them, so that they pass the rules. One example in 16 is a rich caption of about 150
words; a fifth of its words are exchanged, so that captions differ, and some contradict their facts by that.
"""

import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from music_flamingo.core.manifest import Manifest, complete, files_digest, list_files
from music_flamingo.core.params import load_params, stage_json
from music_flamingo.core.record import Provenance, Record, arrow_schema
from music_flamingo.core.shards import shard_path
from music_flamingo.records import Example, Facts, Track
from music_flamingo.stages.synthesize import SynthesizeConfig, write_track
from music_flamingo.teachers import open_teacher

ROOT = Path(__file__).resolve().parents[1]
SHARD_TRACKS = 2_000
NUM_SONGS = 128
CAPTION_EVERY = 16
DURATION_S = 12.0
TOOL = {"tool": "synthetic", "tool_version": "1", "confidence": 0.9}
KEYS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


def a_song(k: int) -> tuple[Track, Facts]:
    rng = random.Random(k)
    beats_per_bar = rng.choice([2, 3, 4])
    tonic, mode = rng.choice(KEYS), rng.choice(["major", "minor"])
    triad = "maj" if mode == "major" else "min"
    roots = [tonic, *rng.sample(KEYS, 4), tonic]
    chords = [
        {"start_s": 2.0 * i, "end_s": 2.0 * i + 2, "label": f"{root}:{triad if root == tonic else 'maj'}"}
        for i, root in enumerate(roots)
    ]
    facts = {
        "id": f"s{k}",
        "work_id": f"s{k}",
        "duration_s": DURATION_S,
        "tempo": {"bpm": 120.0, **TOOL},
        "beats": {
            "beats_s": [0.5 * b for b in range(24)],
            "positions": [b % beats_per_bar + 1 for b in range(24)],
            "beats_per_bar": beats_per_bar,
            **TOOL,
        },
        "key": {"tonic": tonic, "mode": mode, **TOOL},
        "chords": {"segments": chords, **TOOL},
        "sections": {
            "segments": [{"start_s": 0.0, "end_s": 5.0, "label": "A"}, {"start_s": 5.0, "end_s": 12.0, "label": "B"}],
            **TOOL,
        },
        "dynamics": {"range_db": float(rng.randint(2, 20)), "trend": rng.choice(["steady", "rising"]), **TOOL},
        "sound": {
            "has_drums": rng.random() < 0.5,
            "texture": "chords",
            "lead_envelope": rng.choice(["decaying", "sustained"]),
            **TOOL,
        },
        "lyrics": None,
        "problems": [],
    }
    required = (name for name, field in Facts.model_fields.items() if field.is_required())
    known = Facts.model_validate({**dict.fromkeys(required), "status": "ok", **facts})
    provenance = Provenance(made_by="benchmark", tool="synthetic", tool_version="1")
    track = {
        **dict.fromkeys(Track.model_fields),
        **{"id": f"s{k}", "status": "ok", "work_id": f"s{k}", "split": "train", "uri": f"synthetic:{k}"},
        **{"source_sha256": "0" * 64, "duration_s": DURATION_S, "fingerprint": [], "provenance": provenance},
    }
    defaults = {n: f.default for n, f in Track.model_fields.items() if not f.is_required() and n not in ("status",)}
    return Track.model_validate({**track, **{n: v for n, v in defaults.items() if track.get(n) is None}}), known


def write_catalogue(tracks: int, folder: Path) -> None:
    """Ports `tracks`, `facts` and `candidates` in `folder`, in shards of 2000 tracks."""
    songs = [a_song(k) for k in range(NUM_SONGS)]
    config = SynthesizeConfig.model_validate_json(stage_json(load_params(ROOT / "params.yaml"), "synthesize"))
    teacher = open_teacher(config.teacher)
    written = [write_track(config, teacher, track, facts, []) for track, facts in songs]
    tables = {
        "tracks": _table(Track, [t for t, _ in songs]),
        "facts": _table(Facts, [f for _, f in songs]),
    }
    captions = [next(e for e in examples if e.family == "rich_caption") for examples in written]
    questions = [[e for e in examples if e.family != "rich_caption"] for examples in written]
    rng = np.random.default_rng(20)
    for index, start in enumerate(range(0, tracks, SHARD_TRACKS)):
        numbers = np.arange(start, min(start + SHARD_TRACKS, tracks))
        song = rng.integers(0, NUM_SONGS, len(numbers))
        ids = [f"t{n:07d}" for n in numbers]
        for port, table in tables.items():
            rows = _replace(table.take(song), {"id": ids, "work_id": ids})
            _write(folder / port, index, rows)
        examples = [_example(n, captions[s], questions[s]) for n, s in zip(numbers.tolist(), song, strict=True)]
        rows = _table(Example, examples)
        named = {"id": [f"{i}/{e.family}" for i, e in zip(ids, examples, strict=True)], "track_id": ids, "work_id": ids}
        _write(folder / "candidates", index, _replace(rows, named))
    for port, record in (("tracks", Track), ("facts", Facts), ("candidates", Example)):
        _complete(folder / port, record, tracks)


def _example(number: int, caption: Example, questions: list[Example]) -> Example:
    if number % CAPTION_EVERY:
        return questions[number % len(questions)]
    # one in a hundred has the exchanges of an earlier one: a repeat where the song is the same too
    rng = random.Random(number if number // CAPTION_EVERY % 100 else number % 1600)
    words = caption.answer.split(" ")
    for place in rng.sample(range(len(words)), len(words) // 5):
        if words[place].isalpha() and words[place].islower():
            words[place] = f"word{rng.randrange(50_000)}"
    return caption.model_copy(update={"answer": " ".join(words)})


def _table(record: type[Record], records: list[Record]) -> pa.Table:
    return pa.Table.from_pylist([r.model_dump() for r in records], schema=arrow_schema(record))


def _replace(rows: pa.Table, columns: dict[str, list[str]]) -> pa.Table:
    for name, values in columns.items():
        rows = rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), pa.array(values))
    return rows


def _write(root: Path, index: int, rows: pa.Table) -> None:
    root.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, shard_path(root, index), compression="zstd")


def _complete(root: Path, record: type[Record], number: int) -> None:
    files = list_files(root)
    manifest = Manifest(
        stage="benchmark",
        port=root.name,
        record=record.__name__,
        key="benchmark",
        config={},
        inputs={},
        files=files,
        num_records=number,
        status={"ok": number},
        metrics={},
        digest=files_digest(files),
    )
    complete(root, manifest)


def validate_catalogue(folder: Path) -> str:
    """Run the stage by its one door; says how fast and what it kept."""
    import shutil
    import time

    from music_flamingo.core.manifest import read_manifest
    from music_flamingo.core.stage import execute
    from music_flamingo.stages.validate import STAGE

    config = json.loads(stage_json(load_params(ROOT / "params.yaml"), "validate"))
    for port in STAGE.outputs:
        shutil.rmtree(folder / port, ignore_errors=True)
    started = time.monotonic()
    execute(STAGE, json.dumps(config), {p: folder / p for p in STAGE.inputs}, {p: folder / p for p in STAGE.outputs})
    seconds = time.monotonic() - started
    metrics = read_manifest(folder / "skills").metrics
    number = metrics["num_kept"] + metrics["num_rejected"]
    return (
        f"{number} examples, {number / seconds:.0f} a second; {metrics['num_kept']} kept, rejected {metrics['reasons']}"
    )
