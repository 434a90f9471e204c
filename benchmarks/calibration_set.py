"""The recordings on which confidences become probabilities: several hundred, of three origins, with exact truth.

    python benchmarks/calibration_set.py KEPT --bands 200
    python benchmarks/calibration_set.py KEPT --scores DATA
    python benchmarks/calibration_set.py KEPT --recordings RECORDINGS --hard HARD_AUDIO --varied 2

bands        clips of benchmarks/bands.py with seeds of their own
scores       the rendered performances of a finished run, from their originals
recordings   those of benchmarks/real.py as they are, and excerpts of them played faster or slower (tempo and key
             follow), at another level, with another tilt of the spectrum and noise

Facts are measured on the scales of the tools (stages.facts.heard) and kept as JSON lines, one file an origin, a line a
clip; clips that are there already are not measured again. benchmarks/calibrate_confidences.py reads them.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from bands import MORE_STYLES, STYLES, Band, BandClip
from real import listed
from threadpoolctl import threadpool_limits

from music_flamingo.audio.decode import decode_original
from music_flamingo.audio.originals import open_original
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.params import load_params, stage_json
from music_flamingo.core.ports import Table
from music_flamingo.mir import RATE_HZ, Signal, to_signal
from music_flamingo.mir.keys import pitch_class, spell_tonic, split_label
from music_flamingo.records import Facts, Track, Truth
from music_flamingo.stages.facts import FactsConfig, heard, open_toolbox

BANDS_SEED, BAND_S, EXCERPT_S = 900000, 16.0, 30.0
UNBROKEN = [n for n, s in STYLES.items() if all(len(places) < 6 for places in s.comping)]
"""Styles whose chords are never broken into single notes."""
SEMITONES = (-3, -2, -1, 0, 1, 2, 3)
"""By how much an excerpt is played faster or slower."""


@dataclass(frozen=True)
class Clip:
    """A recording to measure, and what is certain about it."""

    name: str
    recording: str
    """What it was made of: halves are split by this."""
    signal: Signal
    tempo_bpm: float | None
    key: str | None
    texture: str | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kept", type=Path)
    parser.add_argument("--bands", type=int, default=0)
    parser.add_argument("--scores", type=Path, metavar="DATA")
    parser.add_argument("--recordings", type=Path)
    parser.add_argument("--hard", type=Path)
    parser.add_argument("--varied", type=int, default=2, help="excerpts of each, beside the recording itself")
    arguments = parser.parse_args()
    config = FactsConfig.model_validate_json(stage_json(load_params(Path("params.yaml")), "facts"))
    config = config.model_copy(update={"lyrics": None, "instruments": None, "sections": None, "dynamics": None})
    arguments.kept.mkdir(parents=True, exist_ok=True)
    if arguments.bands:
        keep(arguments.kept / "bands.jsonl", (f"{n}" for n in range(arguments.bands)), band, config)
    if arguments.scores:
        performances = Performances(arguments.scores, config)
        keep(arguments.kept / "scores.jsonl", performances.tracks, performances, config)
    if arguments.recordings:
        excerpts = Excerpts(arguments.recordings, arguments.hard, config)
        names = (f"{name}#{n}" for n in range(arguments.varied + 1) for name in excerpts.known)
        keep(arguments.kept / "recordings.jsonl", names, excerpts, config)


def keep(path: Path, names: Any, make: Any, config: FactsConfig) -> None:
    """Measure the clips that the file does not hold yet."""
    done = {json.loads(line)["name"] for line in path.read_text().splitlines()} if path.exists() else set()
    tools = open_toolbox(config.model_dump_json())
    with path.open("a") as file:
        for name in names:
            if name in done:
                continue
            with threadpool_limits(limits=1):
                clip: Clip = make(name)
                facts = heard(None, clip.signal, tools)
            truth = {"tempo_bpm": clip.tempo_bpm, "key": clip.key, "texture": clip.texture}
            line = {"name": name, "recording": clip.recording, **truth, "facts": json.loads(facts.model_dump_json())}
            file.write(json.dumps(line) + "\n")
            file.flush()


def read(path: Path) -> Iterator[tuple[dict[str, Any], Facts]]:
    """(name, recording and truth; facts) of every clip of a file."""
    for text in path.read_text().splitlines():
        line = json.loads(text)
        yield line, Facts.model_validate_json(json.dumps(line["facts"]))


def band(name: str) -> Clip:
    """A band in any style; a quarter of them a melody or a bass alone, with or without drums."""
    number, names = int(name), [*STYLES, *MORE_STYLES]
    rng = np.random.default_rng(BANDS_SEED + number)
    parts = [("melody", "bass", "melody")[number // 4 % 3]] if number % 4 == 0 else None
    played = Band(rng).play(names[number % len(names)], BAND_S, parts=parts, varied=True)
    return Clip(name, f"band {name}", Signal(played.samples), played.tempo_bpm, played.key, texture_of(played))


def texture_of(played: BandClip) -> str | None:
    """Chords that sound as chords, or a melody alone; None for what is neither: a bass that spells chords out."""
    if "chords" in played.parts:
        return "chords" if played.style in UNBROKEN else None
    return "melody" if played.parts == ("melody",) else None


@dataclass
class Performances:
    """The rendered performances of a finished run."""

    data: Path
    config: FactsConfig

    def __post_init__(self) -> None:
        rows = Table(self.data / "tracks", Track, read_manifest(self.data / "tracks"))
        truths = Table(self.data / "truth", Truth, read_manifest(self.data / "truth"))
        self.truth = {truth.id: truth for truth in truths}
        self.tracks = {track.id: track for track in rows if track.id in self.truth}

    def __call__(self, name: str) -> Clip:
        truth = self.truth[name]
        path = open_original(self.tracks[name], self.data / "originals")
        signal = to_signal(*decode_original(path, self.config.limits))
        return Clip(name, truth.work_id, signal, truth.tempo_bpm, truth.key, truth.texture)


@dataclass
class Excerpts:
    """Recordings (number 0), and excerpts of them played anew (from 1 on)."""

    recordings: Path
    hard: Path | None
    config: FactsConfig

    def __post_init__(self) -> None:
        listing = listed(self.recordings, self.hard)
        self.known = {path.name: (path, truth) for path, truth in listing if truth.get("sound") == "music"}

    def __call__(self, name: str) -> Clip:
        recording, _, number = name.partition("#")
        path, truth = self.known[recording]
        rng = np.random.default_rng([int(number), *recording.encode()])
        signal = to_signal(*decode_original(path, self.config.limits))
        steps = int(rng.choice(SEMITONES)) if int(number) else 0
        key, bpm = truth.get("key"), truth.get("tempo_bpm")
        return Clip(
            name, recording, Signal(played_anew(signal.samples, steps, rng)) if int(number) else signal,
            bpm * 2 ** (steps / 12) if bpm else None, transposed(key, steps) if key else None, truth.get("texture"),
        )  # fmt: skip


def played_anew(samples: np.ndarray, steps: int, rng: np.random.Generator) -> np.ndarray:
    """An excerpt, `steps` semitones higher and as much faster."""
    length = round(EXCERPT_S * RATE_HZ)
    first = int(rng.integers(0, max(1, len(samples) - length)))
    samples = samples[first : first + length]
    samples = soxr.resample(samples, RATE_HZ * 2 ** (steps / 12), RATE_HZ)
    slope = rng.uniform(-0.4, 0.4)
    samples = samples - slope * np.concatenate([[0], samples[:-1]])
    samples = samples / max(float(np.abs(samples).max()), 1e-6) * 10 ** rng.uniform(-1.2, -0.05)
    return (samples + rng.normal(0, 10 ** rng.uniform(-5, -3), len(samples))).astype(np.float32)


def transposed(key: str, steps: int) -> str:
    tonic, mode = split_label(key)
    return f"{spell_tonic(pitch_class(tonic) + steps, mode)} {mode}"


if __name__ == "__main__":
    main()
