"""Import of published conversations: python benchmarks/conversations.py [--entries 1000000]

Writes synthetic conversations about half as many recordings, in the published layout (captions of about 150 words,
choices, open questions; JSON arrays and JSON lines), every tenth about a recording that is missing, and a port of
tracks; not measured. Then the stage `synthesize` runs in a process of its own, once: its wall time, CPU time and
largest resident set, and what became of the entries.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from published import publish
from synthetic_skills import SHARD_TRACKS, _complete, _replace, _table, _write, a_song

from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.params import load_params, stage_json
from music_flamingo.core.stage import execute
from music_flamingo.records import Caption, Facts, Track
from music_flamingo.stages.synthesize import STAGE

ROOT = Path(__file__).resolve().parents[1]
PROFILE = ROOT / "pipelines/profiles/published-data.yaml"
ENTRIES_PER_FILE = 250_000
CAPTION_WORDS = 150
MISSING_EVERY = 10
CHOICES = ("jazz", "folk", "techno", "choral music")


def prepare(entries: int, folder: Path) -> None:
    """`hub` with the conversations, `data` with tracks, and empty facts and captions of the same shards."""
    rng = np.random.default_rng(20)
    words = [f"word{n}" for n in range(20_000)]
    tracks = entries // 2
    for number, start in enumerate(range(0, entries, ENTRIES_PER_FILE)):
        lines = number % 2 == 1
        path = folder / "hub" / f"part-{number}.{'jsonl' if lines else 'json'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            file.write("" if lines else "[\n")
            for n in range(start, min(start + ENTRIES_PER_FILE, entries)):
                last = n + 1 == min(start + ENTRIES_PER_FILE, entries)
                file.write(json.dumps(_entry(n, int(rng.integers(tracks)), words, rng)))
                file.write("\n" if lines or last else ",\n")
            file.write("" if lines else "]\n")
    _write_ports(tracks, folder / "data")


def _entry(number: int, track: int, words: list[str], rng: np.random.Generator) -> dict[str, Any]:
    place = "elsewhere" if number % MISSING_EVERY == 0 else "s"
    if number % 3 == 0:
        asked = "Describe the music in detail."
        said = " ".join(words[i] for i in rng.integers(len(words), size=CAPTION_WORDS))
    elif number % 3 == 1:
        asked = f"Which style is number {number}? Choose one among the following options: " + " ".join(
            f"({'ABCD'[i]}) {choice}" for i, choice in enumerate(CHOICES)
        )
        said = f"({'ABCD'[number % 4]}) {CHOICES[number % 4]}"
    else:
        asked, said = f"What is heard at second {number % 180}?", f"A {words[number % len(words)]} enters."
    spoken = [{"from": "human", "value": f"<sound>\n{asked}"}, {"from": "gpt", "value": said}]
    return {"id": f"{place}{track:07d}", "sound": f"{place}{track:07d}.mp3", "duration": 12.0, "conversations": spoken}


def _write_ports(tracks: int, data: Path) -> None:
    song = _table(Track, [a_song(0)[0]])
    for index, start in enumerate(range(0, tracks, SHARD_TRACKS)):
        ids = [f"s{n:07d}" for n in range(start, min(start + SHARD_TRACKS, tracks))]
        rows = song.take(np.zeros(len(ids), int))
        _write(data / "tracks", index, _replace(rows, {"id": ids, "work_id": ids, "uri": [f"/m/{i}.mp3" for i in ids]}))
        _write(data / "facts", index, _table(Facts, []))
        _write(data / "captions", index, _table(Caption, []))
    for port, record, number in (("tracks", Track, tracks), ("facts", Facts, 0), ("captions", Caption, 0)):
        _complete(data / port, record, number)


def measure(folder: Path) -> dict[str, float]:
    """Run the stage; seconds, CPU seconds and GiB."""
    params = json.loads(stage_json(load_params(ROOT / "params.yaml", (PROFILE,)), "synthesize"))
    params["source"]["path"] = str(folder / "hub")
    data = folder / "data"
    started = time.monotonic()
    execute(STAGE, json.dumps(params), {p: data / p for p in STAGE.inputs}, {p: data / p for p in STAGE.outputs})
    use = resource.getrusage(resource.RUSAGE_SELF)
    seconds = time.monotonic() - started
    return {"seconds": seconds, "cpu_s": use.ru_utime + use.ru_stime, "peak_gib": use.ru_maxrss / 2**20}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "conversations")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.work)))
        return
    if not (arguments.work / "data/captions/_manifest.json").exists():
        prepare(arguments.entries, arguments.work)
    shutil.rmtree(arguments.work / "data/candidates", ignore_errors=True)
    call = [sys.executable, __file__, "--measure", "--work", str(arguments.work)]
    found = json.loads(subprocess.run(call, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1])
    status = read_manifest(arguments.work / "data/candidates").status
    size = sum(path.stat().st_size for path in (arguments.work / "hub").iterdir()) / 2**30
    kinds = ", ".join(f"{count} {name}" for name, count in status.items())
    rows = [
        "| entries | GiB of JSON | minutes | CPU minutes | peak memory (GiB) | what became of them |",
        "|---|---|---|---|---|---|",
        f"| {arguments.entries:,} | {size:.2f} | {found['seconds'] / 60:.1f} | {found['cpu_s'] / 60:.1f} "
        f"| {found['peak_gib']:.2f} | {kinds} |",
        "",
        f"One process. Load average of the machine at the end: {os.getloadavg()[0]:.1f}.",
    ]
    publish("conversations", f"Import of {arguments.entries:,} published conversations", rows)


if __name__ == "__main__":
    main()
