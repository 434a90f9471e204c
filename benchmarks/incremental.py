"""What a change of a folder of songs costs: some come, some go, some are renamed; ingest and facts, as `mf run` does.

    python benchmarks/incremental.py                1,000 made songs of 3 s, 10 changed at a time

Every row is two commands from start to end, loading of tools included. A last row puts the final folder into a run
without anything kept: its digests are those of the run that grew. Writes a dated table to benchmarks/results.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from published import publish

ROOT = Path(__file__).parents[1]
RATE_HZ, SONG_S, NOTE_S = 44100, 3.0, 0.5
STAGES = ("ingest", "facts")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--songs", type=int, default=1000)
    parser.add_argument("--changed", type=int, default=10)
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="STAGE.NAME=VALUE")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        lines = ["| change | ingest, s | facts, s | more than the new songs alone, s |", "|---|---:|---:|---:|"]
        for line in rows(Path(scratch), chosen.songs, chosen.changed, tuple(chosen.settings)):
            lines.append(line)
            print(line, flush=True)
    publish("incremental", "A folder that grows", lines, notes=[f"{chosen.songs} songs of {SONG_S} s, two workers"])


def rows(scratch: Path, num_songs: int, changed: int, settings: tuple[str, ...]) -> "list[str]":
    """Rows of the table, one a change."""
    songs, new = scratch / "songs", range(num_songs, num_songs + changed)
    write_songs(songs, range(num_songs))
    write_songs(scratch / "new", new)
    alone = timed(scratch / "new", scratch / "alone", settings)
    found = [row(f"the {changed} new songs alone", alone, None)]
    found.append(row(f"{num_songs} songs for the first time", timed(songs, scratch / "data", settings), None))
    write_songs(songs, new)
    found.append(row(f"{changed} songs more", timed(songs, scratch / "data", settings), sum(alone)))
    for seed in range(changed):
        name(songs, seed).unlink()
    found.append(row(f"{changed} songs less", timed(songs, scratch / "data", settings), 0.0))
    for seed in range(changed, 2 * changed):
        name(songs, seed).rename(songs / f"renamed {seed}.wav")
    found.append(row(f"{changed} songs renamed", timed(songs, scratch / "data", settings), 0.0))
    found.append(row("nothing", timed(songs, scratch / "data", settings), 0.0))
    found.append(row("the same folder, nothing kept", timed(songs, scratch / "fresh", settings), None))
    assert digests(scratch / "data") == digests(scratch / "fresh"), "a run that grew gives what a fresh one gives"
    return found


def row(change: str, seconds: tuple[float, ...], allowed: float | None) -> str:
    more = "" if allowed is None else f"{sum(seconds) - allowed:.1f}"
    return f"| {change} | {' | '.join(f'{s:.1f}' for s in seconds)} | {more} |"


def timed(songs: Path, data: Path, settings: tuple[str, ...]) -> tuple[float, ...]:
    """Seconds of each stage."""
    settings = (f"ingest.source={{kind: audio_folder, path: {songs}}}", *settings)
    options = [text for setting in settings for text in ("--set", setting)]
    seconds = []
    for stage in STAGES:
        started = time.monotonic()
        command = [sys.executable, "-m", "music_flamingo.cli", "run", stage, "--data", str(data), *options]
        subprocess.run(
            command, cwd=ROOT, check=True, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        seconds.append(time.monotonic() - started)
    return tuple(seconds)


def digests(data: Path) -> list[str]:
    return [json.loads((data / port / "_manifest.json").read_text())["digest"] for port in ("tracks", "truth", "facts")]


def name(folder: Path, seed: int) -> Path:
    return folder / f"song {seed:05d}.wav"


def write_songs(folder: Path, seeds: range) -> None:
    """Melodies of random notes with overtones, 16-bit WAV."""
    import soundfile

    folder.mkdir(exist_ok=True)
    time_s = np.arange(round(NOTE_S * RATE_HZ)) / RATE_HZ
    for seed in seeds:
        notes = []
        for pitch in np.random.default_rng(seed).integers(50, 80, round(SONG_S / NOTE_S)):
            base_hz = 440 * 2 ** ((pitch - 69) / 12)
            notes.append(sum(np.sin(2 * np.pi * base_hz * k * time_s) / k for k in (1, 2, 3)) * np.exp(-2 * time_s))
        soundfile.write(name(folder, seed), 0.2 * np.concatenate(notes), RATE_HZ)


if __name__ == "__main__":
    main()
