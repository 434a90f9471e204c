"""What the log odds of mir/sound.py are worth: logistic fits on bands that benchmarks/bands.py draws.

    python benchmarks/calibrate_claims.py --clips 320

The weights of sound_model.json are fitted on renders of scores; here their claims meet bands that no weight has seen.
For each claim: how many clips, how often its sign is right, the slope of the fit (WORTH in mir/sound.py), and, of the
clips that are sure by .8 at that slope, how many are right. No recording is used.
"""

import argparse

import numpy as np
from bands import STYLES, Band
from sklearn.linear_model import LogisticRegression

from music_flamingo.mir import Signal
from music_flamingo.mir.sound import SoundAnalyst

CLIP_S, FIRST_SEED = 12.0, 300000
DECAYING = {"piano", "electric piano", "clavinet", "harpsichord", "mallets", "acoustic guitar"}
SUSTAINED = {"organ", "accordion", "choir", "brass", "saxophone", "woodwinds"}
PARTS = (
    ["melody"],
    ["chords"],
    ["melody"],
    ["bass"],
    ["chords", "bass"],
    ["chords", "bass", "melody"],
    ["chords", "melody"],
    [],
)
UNBROKEN = [name for name, style in STYLES.items() if all(len(places) < 6 for places in style.comping)]
"""Styles whose chords are never broken into single notes."""
SURE = 0.8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=320)
    heard = [listen(number) for number in range(parser.parse_args().clips)]
    odds, truth, drums = (np.array(column) for column in zip(*heard, strict=True))
    everywhere = np.ones(len(odds), bool)
    report("drums", odds[:, 0], truth[:, 0], everywhere)
    for name, column in (("chords", 1), ("decaying", 2)):
        for place, chosen in (("with drums", drums), ("without drums", ~drums)):
            report(f"{name} {place}", odds[:, column], truth[:, column], chosen)


def listen(number: int) -> tuple[np.ndarray, np.ndarray, bool]:
    """(log odds of the claims, their truth: 1, 0 or nan for no answer, whether drums play) of one clip."""
    rng, parts = np.random.default_rng(FIRST_SEED + number), PARTS[number % len(PARTS)]
    drummed = bool((number // len(PARTS)) % 2) or not parts
    names = [name for name in UNBROKEN if STYLES[name].drums] if drummed else UNBROKEN
    clip = Band(rng).play(names[rng.integers(len(names))], CLIP_S, drums=drummed, parts=parts)
    windows = SoundAnalyst().describe(Signal(clip.samples)).parts
    odds = np.mean([[w.drums, w.chords, w.decaying] for w in windows], axis=0)
    families, decaying = set(clip.families) - {"drums"}, np.nan
    if len(parts) == 1 and len(families) == 1:
        decaying = 1.0 if families <= DECAYING else 0.0 if families <= SUSTAINED else np.nan
    chords = float("chords" in parts) if parts else np.nan
    return odds, np.array([float(clip.has_drums), chords, decaying]), clip.has_drums


def report(name: str, odds: np.ndarray, truth: np.ndarray, chosen: np.ndarray) -> None:
    known = chosen & ~np.isnan(truth)
    odds, truth = odds[known], truth[known]
    model = LogisticRegression().fit(odds[:, None] / 3, truth)
    slope, bias, right = model.coef_[0][0] / 3, model.intercept_[0], (odds > 0) == (truth > 0)
    sure = 1 / (1 + np.exp(-slope * np.abs(odds))) >= SURE
    print(
        f"{name}: {len(odds)} clips, {right.mean():.3f} right; slope {slope:.2f}, bias {bias:.2f}; "
        f"{sure.sum()} sure, {right[sure].mean():.3f} of them right"
    )


if __name__ == "__main__":
    main()
