"""What a recording is, where that is hard: loops and stings of 1 and 3 s, sounds that drum, talk over music.

    python benchmarks/short_and_spoken.py RECORDINGS

Drum loops and stings are bands of benchmarks/bands.py in grooves that nothing is fitted on, knocks, steps and typing
are noise with envelopes, animals and speech are excerpts of the recordings, and talk is a reader over a recording of
music at -12 to 6 dB. Nothing is fitted; thresholds of `mir/voices.py` were chosen on other seeds, grooves and pairs
(docs/decisions/254). A kind is right, left open (withheld), or wrong. Of talk also: who is said to sing, and keys.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from bands import LEFT_OUT_STYLES, Band
from published import publish
from real import TOOLS
from scipy.signal import butter, lfilter
from threadpoolctl import threadpool_limits

from music_flamingo.audio.decode import decode_original
from music_flamingo.core.params import load_params, stage_json
from music_flamingo.mir import RATE_HZ, Signal, to_signal
from music_flamingo.records import Facts, trusted
from music_flamingo.scoring.normalise import same_answer
from music_flamingo.stages.facts import FactsConfig, gated, measure, open_toolbox

SEED, EACH = 2300000, 20
LENGTHS_S = (1.0, 3.0)
SOUNDS = {"knocks": (0.3, 0.02, 150, 900), "steps": (0.52, 0.04, 60, 700), "typing": (0.14, 0.006, 1500, 6000)}
"""Seconds from one to the next, seconds of decay, band (Hz)."""
TALK_S, LEVELS_DB = 16.0, (-12.0, -6.0, 0.0, 6.0)
QUIET = 0.02


@dataclass(frozen=True)
class Clip:
    """A sound, what it is called in the table, and what it is."""

    group: str
    kind: str
    """`music`, or what is none."""
    samples: np.ndarray
    key: str | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=Path)
    arguments = parser.parse_args()
    config = FactsConfig.model_validate_json(stage_json(load_params(Path("params.yaml")), "facts"))
    config = config.model_copy(update={"lyrics": None, "sections": None, "dynamics": None, "key_changes": None})
    tools = open_toolbox(config.model_dump_json())
    counts: dict[str, Counter[str]] = {}
    for clip in (*bands(), *sounds(), *excerpts(arguments.recordings, config)):
        with threadpool_limits(limits=1):
            facts = gated(measure(None, Signal(clip.samples.astype(np.float32)), tools), config.trust)
        counts.setdefault(clip.group, Counter()).update(judged(clip, facts))
        print(clip.group, dict(counts[clip.group]), flush=True)
    publish("short-and-spoken", "short-and-spoken", table(counts), TOOLS, ["one thread; params.yaml"])


def judged(clip: Clip, facts: Facts) -> list[str]:
    """What is counted of one clip."""
    seen, is_music = trusted(facts), clip.kind == "music"
    said = seen.content.kind if seen.content else None
    found = ["known", "open" if said is None else "right" if (said == "music") == is_music else "wrong"]
    if seen.voice and seen.voice.sings:
        found.append("sings")
    musical = (seen.tempo, seen.key, seen.chords, seen.instruments and seen.instruments.labels)
    if not is_music and any(musical):
        found.append("musical")
    if clip.key and seen.key:
        found += ["key", *(["key right"] if same_answer(seen.key.label, clip.key) else [])]
    return found


def bands() -> Iterator[Clip]:
    drummed = [name for name, style in LEFT_OUT_STYLES.items() if style.drums]
    for length_s in LENGTHS_S:
        for number in range(EACH):
            style, rng = drummed[number % len(drummed)], np.random.default_rng(SEED + number)
            samples = Band(rng).play(style, length_s, drums=True, parts=[]).samples
            yield Clip(f"drums alone, {length_s:.0f} s", "music", samples)
            samples = Band(rng).play([*LEFT_OUT_STYLES][number], length_s).samples
            yield Clip(f"band, {length_s:.0f} s", "music", samples)


def sounds() -> Iterator[Clip]:
    for length_s in LENGTHS_S:
        for number in range(EACH):
            for name, shape in SOUNDS.items():
                samples = struck(np.random.default_rng([SEED, number]), length_s, *shape)
                yield Clip(f"{name}, {length_s:.0f} s", "noise", samples)


def struck(rng: np.random.Generator, length_s: float, step_s: float, decay_s: float, low: int, high: int) -> np.ndarray:
    """Bursts of filtered noise, one after another, not quite even."""
    samples, at_s = np.zeros(round(length_s * RATE_HZ)), 0.1
    size, unevenness = round(0.15 * RATE_HZ), float(rng.choice((0.04, 0.4)))
    band = butter(2, [low, high], "band", fs=RATE_HZ)
    while at_s < length_s - 0.05:
        burst = rng.normal(0, 1, size) * np.exp(-np.arange(size) / RATE_HZ / decay_s) * rng.uniform(0.6, 1)
        first = round(at_s * RATE_HZ)
        samples[first : first + size] += lfilter(*band, burst)[: len(samples) - first]
        at_s += step_s * max(0.2, 1 + rng.normal(0, unevenness))
    samples = samples / np.abs(samples).max() * rng.uniform(0.1, 0.6)
    return samples + rng.normal(0, 10 ** -rng.uniform(2.5, 4), len(samples))


def excerpts(recordings: Path, config: FactsConfig) -> Iterator[Clip]:
    truth = yaml.safe_load((recordings / "truth.yaml").open())
    heard = {name: to_signal(*decode_original(recordings / name, config.limits)).samples for name in truth}
    for name, known in truth.items():
        kind = known["sound"]
        for length_s in LENGTHS_S:
            for number in range(4):
                rng, size = np.random.default_rng([SEED, number, *name.encode()]), round(length_s * RATE_HZ)
                first = int(rng.integers(0, max(1, len(heard[name]) - size)))
                part = heard[name][first : first + size]
                if len(part) == size and np.abs(part).max() > QUIET:
                    yield Clip(f"{kind}, {length_s:.0f} s", kind, part)
    readers = [name for name, known in truth.items() if known["sound"] == "speech"]
    pieces = [name for name, known in truth.items() if known["sound"] == "music" and not known.get("singing")]
    for number, name in enumerate(pieces):
        reader, music = heard[readers[(number + 1) % len(readers)]], heard[name]
        size = min(len(reader), len(music), round(TALK_S * RATE_HZ))
        if size >= 5 * RATE_HZ:
            level = LEVELS_DB[(number // 2 + 1) % len(LEVELS_DB)]
            mixed = normal(reader[-size:]) + normal(music[-size:]) * 10 ** (level / 20)
            yield Clip("talk over music", "music", mixed, truth[name].get("key"))


def normal(samples: np.ndarray) -> np.ndarray:
    """At a root mean square of .1."""
    return 0.1 * samples / max(float(np.sqrt(np.square(samples).mean())), 1e-6)


def table(counts: dict[str, Counter[str]]) -> list[str]:
    names = ("known", "right", "open", "wrong", "musical", "sings", "key", "key right")
    lines = [
        "| sound | clips | right | left open | wrong | no music, yet musical facts | said to be sung | key | right |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    return [
        *lines,
        *(f"| {group} | {' | '.join(str(found[name]) for name in names)} |" for group, found in counts.items()),
    ]


if __name__ == "__main__":
    main()
