"""Confidences of keys and textures as probabilities to be right, fitted on recordings with exact truth.

A key's confidence is the strength of the votes for it; how often a key of such a strength is right depends on whether
others voted against it. Whether one line sounds alone is weighed anew with the chord recogniser's certainty: a line
lets it guess, chords do not, drums or no drums. The fits are those of benchmarks/calibrate_confidences.py, which keeps
what it fitted on (calibration_inputs.json); facts of other tools keep the confidence that they came with.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from math import exp, log, log10
from pathlib import Path

from music_flamingo.mir.relative_keys import doubted_for_its_relative
from music_flamingo.mir.sound import WORTH_WITH_DRUMS
from music_flamingo.records import Chords, Facts, Key, Sound, SoundPart

MODEL = Path(__file__).with_name("probability_model.json")
NEVER_SURE = 0.02
"""Confidences nearer to 0 and 1 than this are taken for this."""
AGAINST, AT_MOST = 0.5, 0.7
"""One line that the analysis hears as chords by these log odds is no surer than this: of four such clips in the fit,
three are one line. No chords of short notes are among them (a clavinet's), and those leave Chordino guessing too."""
BOUND = 8.0
"""Log odds of the analysis beyond this count no more."""


@dataclass(frozen=True)
class ProbabilityModel:
    """Two logistic regressions."""

    key_tool: str
    """The vote whose strength was fitted."""
    key: tuple[float, float, float]
    """Bias, and weights of the log odds of the confidence and of a vote without a voice against it."""
    chords_tool: str
    texture: tuple[float, float, float]
    """Bias, and weights of the analysis's log odds and of the chord recogniser's certainty: for chords, positive."""


def with_probabilities(facts: Facts) -> Facts:
    """The facts with probabilities in the place of what tools say of themselves."""
    return facts.model_copy(
        update={"key": probable_key(facts.key, facts.chords), "sound": weighed(facts.sound, facts.chords)}
    )


def probable_key(key: Key | None, chords: Chords | None) -> Key | None:
    """The key with its probability, if it is of the vote that was fitted, then doubted for its relative."""
    model = load_probabilities()
    if key is None:
        return None
    if key.tool == model.key_tool:
        bias, *weights = model.key
        odds = bias + sum(w * x for w, x in zip(weights, key_features(key), strict=True))
        key = key.model_copy(update={"confidence": round(_probability(odds), 4)})
    return doubted_for_its_relative(key, chords)


def weighed(sound: Sound | None, chords: Chords | None) -> Sound | None:
    """The sound with a texture that counts how sure the chords are, as a whole and part by part."""
    model = load_probabilities()
    if sound is None or not sound.parts or chords is None or chords.tool != model.chords_tool:
        return sound
    bias, weight, certain = model.texture
    shift = bias + certain * chord_evidence(chords.confidence)
    parts = [_part(part, weight * _bounded(part.chords) + shift) for part in sound.parts]
    evidence = texture_evidence(sound)
    odds = weight * evidence + shift
    most = AT_MOST if odds <= 0 and evidence > AGAINST else 1.0
    return sound.model_copy(
        update={
            "texture": "chords" if odds > 0 else "melody",
            "texture_confidence": min(most, round(_probability(abs(odds)), 4)),
            "parts": parts,
        }
    )


def key_features(key: Key) -> tuple[float, float]:
    """Log odds of the vote's strength, and whether it was unanimous."""
    strength = min(max(key.confidence, NEVER_SURE), 1 - NEVER_SURE)
    return log(strength / (1 - strength)), float(is_unanimous(key))


def is_unanimous(key: Key) -> bool:
    """Whether no vote is for another key."""
    votes = [opinion for opinion in key.opinions if opinion.tool in key.tool]
    return all(vote.agrees == 1 for vote in votes)


def texture_evidence(sound: Sound) -> float:
    """Mean log odds of chords over the parts."""
    return sum(_bounded(part.chords) for part in sound.parts) / len(sound.parts)


def chord_evidence(certainty: float) -> float:
    """Logarithm of the certainty: 0 to 2."""
    return log10(100 * certainty + 1)


def _part(part: SoundPart, log_odds: float) -> SoundPart:
    return part.model_copy(update={"chords": round(log_odds / WORTH_WITH_DRUMS["chords"], 3)})


def _bounded(log_odds: float) -> float:
    return min(max(log_odds, -BOUND), BOUND)


def _probability(log_odds: float) -> float:
    return 1 / (1 + exp(-log_odds))


@lru_cache(maxsize=1)
def load_probabilities() -> ProbabilityModel:
    """Load the fitted weights, once a process."""
    stored = json.loads(MODEL.read_text())
    texture, key = stored["texture"], stored["key"]
    return ProbabilityModel(
        key_tool=key["tool"],
        key=(key["bias"], key["confidence"], key["unanimous"]),
        chords_tool=texture["tool"],
        texture=(texture["bias"], texture["log_odds"], texture["certainty"]),
    )
