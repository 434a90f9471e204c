"""Fit the families of instruments that mir/musicnn_tagger.py names, on bands that benchmarks/bands.py draws.

    python benchmarks/calibrate_instruments.py --clips 1200

Every clip of 6.5 s gives two windows of musicnn's layers; a fifth of the clips takes no part in a first fit, which is
reported on. Writes src/music_flamingo/mir/instrument_model.json. No recording is used.
"""

import argparse
import json
from dataclasses import dataclass

import numpy as np
import soxr
from bands import FAMILIES, STYLES, Band, BandClip
from sklearn.linear_model import LogisticRegression

from music_flamingo.audio.flac import MODEL_RATE_HZ
from music_flamingo.core.shards import write_atomic
from music_flamingo.mir import RATE_HZ
from music_flamingo.mir.musicnn_net import HOP_SIZE, WINDOW_FRAMES, load_net, log_mel
from music_flamingo.mir.musicnn_tagger import MODEL, NETS

CLIP_S, FIRST_SEED = 6.5, 1000
STARTS = (4000, 4000 + WINDOW_FRAMES * HOP_SIZE)
PENALTY = 0.02
"""Inverse strength of the ridge: of 0.003 and 0.02 the one that names more at the same precision."""
SAID_FROM = 0.7
NAMES = tuple(name for name in (*FAMILIES, "drums") if name != "harp")  # no style plays a harp


@dataclass(frozen=True)
class Fit:
    """Standardisation and weights of all families."""

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: np.ndarray

    def log_odds(self, layers: np.ndarray) -> np.ndarray:
        return self.bias + np.clip((layers - self.mean) / self.scale, -4, 4) @ self.weights.T


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=1200)
    count = parser.parse_args().clips
    clips = [drawn(number) for number in range(count)]
    layers = np.array([heard(clip) for clip in clips])
    truth = np.array([[name in clip.families for name in NAMES] for clip in clips])
    held_out = np.arange(count) // 5 % 5 == 0
    report(fit(layers[~held_out], truth[~held_out]), layers[held_out], truth[held_out])
    write(fit(layers, truth))


def drawn(number: int) -> BandClip:
    """One clip: alone, with drums, or any band, in turn."""
    rng = np.random.default_rng(FIRST_SEED + number)
    band, names, drummed = Band(rng), [*STYLES], [name for name in STYLES if STYLES[name].drums]
    kind = number % 5
    if kind == 0:
        return band.play(names[rng.integers(len(names))], CLIP_S, drums=False, parts=["melody"])
    if kind == 1:
        part = "chords" if rng.random() < 0.6 else "bass"
        return band.play(names[rng.integers(len(names))], CLIP_S, drums=False, parts=[part])
    if kind == 2:
        parts = [[], ["bass"], ["melody"], ["chords"]][rng.integers(4)]
        return band.play(drummed[rng.integers(len(drummed))], CLIP_S, drums=True, parts=parts)
    return band.play(names[rng.integers(len(names))], CLIP_S)


def heard(clip: BandClip) -> np.ndarray:
    """Tags and the layers before them in two windows. Shape (2, 500)."""
    mel = log_mel(soxr.resample(clip.samples, RATE_HZ, MODEL_RATE_HZ), STARTS)
    found = [load_net(name)(mel) for name in NETS]
    return np.concatenate([*(tags for tags, _ in found), *(hidden for _, hidden in found)], axis=1)


def fit(layers: np.ndarray, truth: np.ndarray) -> Fit:
    """One logistic regression a family, over windows."""
    flat, wanted = layers.reshape(-1, layers.shape[2]), np.repeat(truth, layers.shape[1], axis=0)
    mean, scale = flat.mean(axis=0), flat.std(axis=0) + 1e-4
    flat = np.clip((flat - mean) / scale, -4, 4)
    models = [LogisticRegression(C=PENALTY, max_iter=300).fit(flat, column) for column in wanted.T]
    return Fit(mean, scale, np.array([m.coef_[0] for m in models]), np.array([m.intercept_[0] for m in models]))


def report(fitted: Fit, layers: np.ndarray, truth: np.ndarray) -> None:
    likely = 1 / (1 + np.exp(-fitted.log_odds(layers).mean(axis=1)))
    said = likely >= SAID_FROM
    for column, name in enumerate(NAMES):
        right = truth[:, column] & said[:, column]
        print(f"{name}: {truth[:, column].sum()} sound, {said[:, column].sum()} said, {right.sum()} right")
    print(f"of all that is said {truth[said].mean():.3f} right; of all that sounds {said[truth].mean():.3f} said")


def write(fitted: Fit) -> None:
    def rounded(values: np.ndarray) -> list[float]:
        return [round(float(value), 4) for value in values]

    arrays = {"mean": rounded(fitted.mean), "scale": rounded(fitted.scale), "bias": rounded(fitted.bias)}
    weights = [rounded(row) for row in fitted.weights]
    write_atomic(MODEL, json.dumps({"version": "1", "names": NAMES, **arrays, "weights": weights}) + "\n")


if __name__ == "__main__":
    main()
