"""How long `mf explain` takes over a catalogue of synthetic tracks: `python -m benchmarks.lineage --tracks 1000000`.

Writes tracks (without audio) and one question each into a temporary folder, then asks in processes of their own:
first with no index (which makes it), then with it, then for an id that does not exist. Prints one line a figure.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from music_flamingo.core.manifest import Manifest, complete
from music_flamingo.core.record import arrow_schema
from music_flamingo.core.shards import shard_path
from music_flamingo.records import Example, Track

TEXT = "0" * 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=1_000_000)
    parser.add_argument("--shard-size", type=int, default=1000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        ids = _write(data, arguments.tracks, arguments.shard_size)
        some = random.Random(1).choice(ids)
        print(f"{arguments.tracks} tracks, shards of {arguments.shard_size}")
        for label, wanted in (
            ("first look-up, makes the index", f"{some}/key"),
            ("look-up", f"{some}/key"),
            ("unknown id", f"{some[:-2]}zz/key"),
        ):
            print(f"{label}: {_ask(data, wanted):.2f} s")
        size = sum(p.stat().st_size for p in (data / "_index").iterdir())
        print(f"index: {size / 1e6:.1f} MB")


def _write(data: Path, count: int, shard_size: int) -> list[str]:
    order = random.Random(0)
    ids = [f"song-{order.getrandbits(48):012x}" for _ in range(count)]
    for port, record in (("tracks", Track), ("skills", Example)):
        for index, start in enumerate(range(0, count, shard_size)):
            part = ids[start : start + shard_size]
            table = pa.Table.from_pylist([_row(record, i) for i in part], schema=arrow_schema(record))
            path = shard_path(data / port, index)
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, path, compression="zstd")
        complete(data / port, _manifest(port, record.__name__, count))
    return ids


def _row(record: type[Track] | type[Example], track_id: str) -> dict[str, object]:
    common = {"status": "ok", "work_id": track_id, "split": "train"}
    if record is Track:
        made = {"made_by": "ingest", "tool": "synthetic", "tool_version": "1", "parents": [], "seed": None}
        own = {"uri": f"test:{track_id}", "source_sha256": TEXT, "fingerprint": [], "provenance": made}
        return {**common, **own, "id": track_id, "title": "A Song", "duration_s": 200.0}
    stamp = {"kind": "scripted", "model": "m", "revision": "1", "prompt_id": "qa_harmony", "prompt_sha256": TEXT}
    asked = {"skill": "harmony", "type": "open", "family": "key", "question": "Which key?", "answer": "C major"}
    empty = {"options": [], "rationale": "", "references": [], "structured": []}
    return {**common, **asked, **empty, "id": f"{track_id}/key", "track_id": track_id, "teacher": stamp}


def _manifest(port: str, record: str, count: int) -> Manifest:
    stage = "ingest" if port == "tracks" else "validate"
    about = {"stage": stage, "port": port, "record": record, "key": TEXT, "config": {}, "inputs": {}, "files": ()}
    return Manifest.model_validate(
        {**about, "num_records": count, "status": {"ok": count}, "metrics": {}, "digest": port.ljust(64, "0")}
    )


def _ask(data: Path, wanted: str) -> float:
    started = time.monotonic()
    command = [sys.executable, "-m", "music_flamingo.cli", "explain", wanted, "--data", str(data)]
    done = subprocess.run(command, capture_output=True, text=True)
    took_s = time.monotonic() - started
    assert wanted in done.stdout + done.stderr, done.stderr
    return took_s


if __name__ == "__main__":
    main()
