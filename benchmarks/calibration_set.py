"""The recordings on which confidences become probabilities, with exact truth: all but the last are made here.

    python benchmarks/calibration_set.py KEPT
    python benchmarks/calibration_set.py KEPT --recordings RECORDINGS --hard HARD_AUDIO --varied 2

bands        clips of benchmarks/bands.py with seeds of their own
arrangements bands in styles whose chords sound together: a line or chords, with drums and without
scores       performances of the works that a default run renders, with a seed of their own
mixtures     such a performance without drums, and the drums of a band over it at a tempo of their own
recordings   those of benchmarks/real.py as they are, and excerpts of them played faster or slower (tempo and key
             follow), at another level, with another tilt of the spectrum and noise: to report on, nothing is fitted
             on them

Facts are measured on the scales of the tools (stages.facts.heard) and kept as JSON lines, one file an origin, a line a
clip; clips that are there already are not measured again. benchmarks/calibrate_confidences.py reads them.
"""

import argparse
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from bands import MORE_STYLES, STYLES, UNBROKEN, Band
from real import listed
from threadpoolctl import threadpool_limits

from music_flamingo.audio.decode import decode_original
from music_flamingo.core.params import load_params, stage_json
from music_flamingo.mir import RATE_HZ, Signal, to_signal
from music_flamingo.mir.keys import pitch_class, spell_tonic, split_label
from music_flamingo.records import Facts
from music_flamingo.sources.pieces import find_piece
from music_flamingo.sources.reading import read_score
from music_flamingo.sources.render import render_performance
from music_flamingo.sources.scores import ScoresConfig, ScoresSource, draw_performance
from music_flamingo.stages.facts import FactsConfig, heard, open_toolbox

SEED = 900000
MADE = {"bands": 120, "arrangements": 160, "scores": 120, "mixtures": 60}
"""How many clips of each origin are made."""
BAND_S, EXCERPT_S = 16.0, 30.0
DRUM_LEVEL = (0.3, 1.2)
"""Of the drums of a mixture, against the rest."""
ARRANGED_FROM = 50000
ARRANGED = (["chords"], ["melody"], ["chords", "bass"], ["melody"], ["chords", "bass", "melody"])
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
    parser.add_argument("--recordings", type=Path)
    parser.add_argument("--hard", type=Path)
    parser.add_argument("--varied", type=int, default=2, help="excerpts of each, beside the recording itself")
    arguments = parser.parse_args()
    make(arguments.kept)
    if arguments.recordings:
        config = facts_config()
        excerpts = Excerpts(arguments.recordings, arguments.hard, config)
        names = (f"{name}#{n}" for n in range(arguments.varied + 1) for name in excerpts.known)
        keep(arguments.kept / "recordings.jsonl", names, excerpts, config)


def facts_config() -> FactsConfig:
    """As in params.yaml, without what needs no calibration here."""
    config = FactsConfig.model_validate_json(stage_json(load_params(Path("params.yaml")), "facts"))
    return config.model_copy(update={"lyrics": None, "instruments": None, "sections": None, "dynamics": None})


def make(kept: Path, counts: dict[str, int] = MADE) -> None:
    """Render and measure the clips of each origin that the folder does not hold yet."""
    kept.mkdir(parents=True, exist_ok=True)
    for origin, render in RENDERED.items():
        keep(kept / f"{origin}.jsonl", (str(number) for number in range(counts[origin])), render, facts_config())


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
    rng = np.random.default_rng(SEED + number)
    parts = [("melody", "bass", "melody")[number // 4 % 3]] if number % 4 == 0 else None
    played = Band(rng).play(names[number % len(names)], BAND_S, parts=parts, varied=True)
    return Clip(name, f"band {name}", Signal(played.samples), played.tempo_bpm, played.key, played.texture)


def arrangement(name: str) -> Clip:
    """Chords with or without others, or a melody alone; under drums every second time.

    For textures: its plain chords have keys that are easier than those of recordings.
    """
    number, rng = int(name), np.random.default_rng(SEED + ARRANGED_FROM + int(name))
    parts, drummed = ARRANGED[number % len(ARRANGED)], bool(number // len(ARRANGED) % 2)
    styles = [n for n in UNBROKEN if n in STYLES and (STYLES[n].drums or not drummed)]
    played = Band(rng).play(str(rng.choice(styles)), BAND_S, drums=drummed, parts=parts)
    return Clip(name, f"arrangement {name}", Signal(played.samples), played.tempo_bpm, None, played.texture)


def performance(name: str, drums: str | None = None) -> Clip:
    """A performance of the so-many-th work in a drawn order, as ingest draws performances."""
    number, source = int(name), load_params(Path("params.yaml"))["ingest"]["source"]
    config = ScoresConfig.model_validate_json(json.dumps(source | {"seed": SEED, "held_out": None}))
    works = sorted(ScoresSource(config).units())
    order = random.Random(SEED).sample(works, len(works))
    score = read_score(find_piece(order[number % len(works)]))
    rng = random.Random(f"{SEED}/{name}")
    drawn = draw_performance(config, score, rng.randrange(config.performances), rng)
    drawn = replace(drawn, drums=drums) if drums else drawn
    levels = {"level_dbfs": rng.uniform(*config.level_dbfs), "noise_dbfs": rng.uniform(*config.noise_dbfs)}
    samples, truth = render_performance(score, drawn, rng.getrandbits(62), **levels)
    return Clip(name, truth.work_id, Signal(samples), truth.tempo_bpm, truth.key, truth.texture)


def mixture(name: str) -> Clip:
    """A work under the drums of a band, which keeps a tempo of its own: key and texture are known, no tempo."""
    played, rng = performance(str(int(name) + MADE["scores"]), "none"), np.random.default_rng([SEED, int(name)])
    drummed = [name for name, style in STYLES.items() if style.drums]
    beaten = Band(rng).play(str(rng.choice(drummed)), played.signal.duration_s, drums=True, parts=[]).samples
    under = played.signal.samples
    length, loudness = min(len(beaten), len(under)), float(np.sqrt(np.square(under).mean()))
    beaten = beaten[:length] * loudness / max(float(np.sqrt(np.square(beaten).mean())), 1e-6)
    mixed = under[:length] + rng.uniform(*DRUM_LEVEL) * beaten
    mixed = (mixed / max(float(np.abs(mixed).max()), 1.0)).astype(np.float32)
    return Clip(name, played.recording, Signal(mixed), None, played.key, played.texture)


RENDERED = {"bands": band, "arrangements": arrangement, "scores": performance, "mixtures": mixture}


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
