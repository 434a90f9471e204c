"""What a catalogue of a million tracks costs: python benchmarks/scale.py [--tracks 1000000] [--jobs planning]

Each job prepares synthetic data (not measured), then runs in a process of its own, whose wall time and largest
resident set are taken. Data lie under --work and are kept, so that a job can be measured again. A job is a pair of
functions below: `prepare_NAME(tracks, folder)` and `measure_NAME(folder)`, which gives what it found, in words.
"""

import argparse
import csv
import json
import resource
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
from published import publish

ROOT = Path(__file__).resolve().parents[1]
SONG_WORDS = (1300, 2500)
"""Of a full song, about 160 to 310 s."""
CHUNK = 5_000
COMMON_SHARE = 0.15
"""Of the words come from a pool that all songs share, the frequent ones often: music is less various than chance."""
COMMON_POOL = 2**16
PREVIEW_WORDS = 241
COPIES = {"re-encoded, 3 % of bits": 0.01, "re-encoded, 6 % of bits": 0.005, "trimmed": 0.005, "30 s preview": 0.005}
"""Share of the catalogue that repeats an earlier track."""


class Measured(NamedTuple):
    seconds: float
    cpu_s: float
    """Of all its processes: what a machine that others use too cannot change."""
    peak_gib: float
    found: str


# --- duplicates -----------------------------------------------------------------------------------------------------
def song(rng: np.random.Generator, pool: np.ndarray) -> np.ndarray:
    words = rng.integers(0, 2**32, int(rng.integers(*SONG_WORDS)), dtype=np.uint32)
    common = rng.random(len(words)) < COMMON_SHARE
    words[common] = pool[(len(pool) * rng.random(int(common.sum())) ** 2).astype(int)]
    return words


def with_errors(rng: np.random.Generator, words: np.ndarray, bit_error: float) -> np.ndarray:
    flips = np.packbits(rng.random((len(words), 32)) < bit_error, axis=1).view(np.uint32)[:, 0]
    return words ^ flips


def copy_of(rng: np.random.Generator, words: np.ndarray, kind: str) -> np.ndarray:
    if kind == "30 s preview":
        start = int(rng.integers(0, len(words) - PREVIEW_WORDS))
        return with_errors(rng, words[start : start + PREVIEW_WORDS], 0.03)
    if kind == "trimmed":
        return with_errors(rng, words[int(rng.integers(10, len(words) // 6)) :], 0.02)
    return with_errors(rng, words, 0.03 if "3 %" in kind else 0.06)


def prepare_duplicates(tracks: int, folder: Path) -> None:
    """words.u32, lengths.npy, and planted.npz: which track repeats which, and how."""
    rng = np.random.default_rng(20)
    pool = rng.integers(0, 2**32, COMMON_POOL, dtype=np.uint32)
    kinds = list(COPIES)
    kept: list[tuple[int, np.ndarray]] = []
    lengths: list[int] = []
    planted: list[tuple[int, int, int]] = []
    with (folder / "words.u32").open("wb") as file:
        for number in range(tracks):
            draw = rng.random()
            kind = int(np.searchsorted(np.cumsum(list(COPIES.values())), draw, side="right"))
            if kind < len(kinds) and kept:
                original, words = kept.pop(int(rng.integers(len(kept))))
                planted.append((number, original, kind))
                words = copy_of(rng, words, kinds[kind])
            else:
                words = song(rng, pool)
                if len(kept) < CHUNK and rng.random() < 0.1:
                    kept.append((number, words))
            words.tofile(file)
            lengths.append(len(words))
    np.save(folder / "lengths.npy", np.array(lengths))
    np.save(folder / "planted.npy", np.array(planted))


def measure_duplicates(folder: Path) -> str:
    from music_flamingo.audio.fingerprint import WORDS_PER_S
    from music_flamingo.quality.duplicates import DuplicateLimits, find_duplicates
    from music_flamingo.quality.fingerprint_store import Fingerprints, WordFile

    lengths = np.load(folder / "lengths.npy")
    ids = [f"t{n:07d}" for n in range(len(lengths))]
    hashes = np.array(ids, dtype="S64")
    fingerprints = Fingerprints(ids, hashes, WordFile(folder / "words.u32"), np.concatenate([[0], np.cumsum(lengths)]))
    limits = DuplicateLimits(max_bit_error=0.15, min_overlap=0.8, min_common_s=3.0)
    found = {i: d.of for i, d in find_duplicates(fingerprints, limits, WORDS_PER_S).items()}
    planted, kinds = np.load(folder / "planted.npy").tolist(), list(COPIES)
    of_kind, right = Counter(k for _, _, k in planted), Counter[int]()
    for copy, original, kind in planted:
        right[kind] += found.pop(ids[copy], None) == ids[original]
    recall = ", ".join(f"{kinds[k]} {100 * right[k] / n:.2f} % of {n}" for k, n in sorted(of_kind.items()))
    return f"{len(ids)} tracks, {lengths.sum() / 1e9:.2f}e9 words; found: {recall}; false: {len(found)}"


# --- planning -------------------------------------------------------------------------------------------------------
SHARD_SIZE = 32


def prepare_planning(tracks: int, folder: Path) -> None:
    """songs.csv: objects in a bucket, with ten columns about each."""
    rng = np.random.default_rng(20)
    regions, artists = rng.zipf(1.5, tracks) % 200, rng.integers(0, max(tracks // 12, 1), tracks)
    with (folder / "songs.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "uri", "title", "artist", "work", "album", "region", "tradition", "language", "licence"])
        for n in range(tracks):
            artist, region = int(artists[n]), int(regions[n])
            about = [f"Artist {artist}", f"work-{n // 3}", f"Album {artist % 9}", f"Region {region}"]
            uri = f"s3://catalogue/{artist % 256:02x}/song {n}.flac"
            writer.writerow([f"t{n:07d}", uri, f"Song, number {n}", *about, f"style {region % 40}", "en", "CC BY 4.0"])


def measure_planning(folder: Path) -> str:
    """The listing, its digest, every shard's units, and the splits by artist."""
    from music_flamingo.sources.object_store import S3Access
    from music_flamingo.sources.splits import MusicalWork, SplitConfig, deal_splits
    from music_flamingo.sources.table import TableConfig

    access = S3Access(endpoint="https://store:9000", region="-", access_key="env:KEY", secret_key="env:SECRET")
    config = TableConfig(kind="table", path=str(folder / "songs.csv"), columns={}, s3=access)
    digest, units = config.listing_sha256(), config.listing
    works: dict[str, MusicalWork] = {}
    num_shards = 0
    for start in range(0, len(units), SHARD_SIZE):
        num_shards += 1
        for row in map(json.loads, units[start : start + SHARD_SIZE]):
            works.setdefault(row["artist"], MusicalWork(row["artist"], row["tradition"], True))
    split = SplitConfig(by="artist", seed=20, train=0.9, dev=0.02, test=0.08)
    dealt = Counter(deal_splits(list(works.values()), split).values())
    return f"{len(units)} uris in {num_shards} shards, {dict(dealt)} artists by split, digest {digest[:12]}"


# --- validation ------------------------------------------------------------------------------------------------------
def prepare_validation(tracks: int, folder: Path) -> None:
    """Ports of a catalogue with one question a track."""
    from synthetic_skills import write_catalogue

    write_catalogue(tracks, folder)


def measure_validation(folder: Path) -> str:
    from synthetic_skills import validate_catalogue

    return validate_catalogue(folder)


# --- the command ----------------------------------------------------------------------------------------------------
JOBS: dict[str, tuple[Callable[[int, Path], None], Callable[[Path], str]]] = {
    "planning": (prepare_planning, measure_planning),
    "duplicates": (prepare_duplicates, measure_duplicates),
    "validation": (prepare_validation, measure_validation),
}


def run_job(name: str, tracks: int, work: Path) -> Measured:
    """Prepare where that was not done yet, then measure in a new process."""
    folder = work / f"{name}-{tracks}"
    ready = folder / "ready"
    if not ready.exists():
        folder.mkdir(parents=True, exist_ok=True)
        JOBS[name][0](tracks, folder)
        ready.touch()
    command = [sys.executable, __file__, "--measure", name, "--work", str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Measured(*json.loads(done.stdout.splitlines()[-1]))


def measure_here(name: str, folder: Path) -> Measured:
    started = time.monotonic()
    with watched() as use:
        found = JOBS[name][1](folder)
    seconds = time.monotonic() - started
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return Measured(seconds, sum(use.cpu_s.values()), max(own, use.peak_gib), found)


@dataclass
class Use:
    """What this process and all that it starts take, looked at four times a second."""

    peak_gib: float = 0.0
    cpu_s: dict[int, float] = field(default_factory=dict)
    """By process id."""

    def look(self) -> None:
        me, total = psutil.Process(), 0
        for process in [me, *me.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
                times = process.cpu_times()
                self.cpu_s[process.pid] = times.user + times.system
        self.peak_gib = max(self.peak_gib, total / 2**30)


@contextmanager
def watched() -> Iterator[Use]:
    use, ended = Use(), threading.Event()

    def watch() -> None:
        while not ended.wait(0.25):
            use.look()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield use
    finally:
        ended.set()
        watcher.join()
        use.look()


def rows_of(results: dict[str, Measured]) -> list[str]:
    return [
        "| job | minutes | CPU minutes | peak memory (GiB) | what was found |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {m.seconds / 60:.1f} | {m.cpu_s / 60:.1f} | {m.peak_gib:.2f} | {m.found} |"
            for name, m in results.items()
        ),
        "",
        f"In all {sum(m.seconds for m in results.values()) / 60:.1f} minutes; most memory of one job "
        f"{max(m.peak_gib for m in results.values()):.2f} GiB. Synthetic data, as the command's source says.",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=1_000_000)
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "scale")
    parser.add_argument("--measure", choices=JOBS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure_here(arguments.measure, arguments.work)))
        return
    results = {name: run_job(name, arguments.tracks, arguments.work) for name in arguments.jobs}
    publish("scale", f"A catalogue of {arguments.tracks:,} tracks", rows_of(results))


if __name__ == "__main__":
    main()
