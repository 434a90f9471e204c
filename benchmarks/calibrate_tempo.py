"""Fit the levels of the tempo (mir/tempo_levels.py) on bands that benchmarks/bands.py draws.

    python benchmarks/calibrate_tempo.py --clips 1800     the network
    python benchmarks/calibrate_tempo.py --second 1000    the layer that weighs it with kick and snare, on other clips

Every clip of 20 s is tracked by madmom's network; where one of the levels around the tracked tempo is right, the clip
teaches which. A quarter of the clips takes no part in a first fit, which is reported on. Writes
src/music_flamingo/mir/tempo_model.json: several networks as one. The second layer is fitted on grooves that the network
has not seen, MORE_STYLES among them, a fifth of the clips left out in turn for the report. No recording is used, but
for the network's temperature, which the development half of real.py's recordings has asked for (their likelihood is
highest at 1.25, of 1, 1.25, 1.5, 2).
"""

import argparse
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from bands import MORE_STYLES, STYLES, Band
from scipy.optimize import minimize

from music_flamingo.core.shards import write_atomic
from music_flamingo.mir import NothingFoundError, Signal
from music_flamingo.mir.backbeat import backbeat
from music_flamingo.mir.madmom_beats import MadmomBeatTracker
from music_flamingo.mir.pulse import onsets, tempo_bpm
from music_flamingo.mir.tempo_levels import (
    MODEL,
    RATIOS,
    candidates,
    evidence,
    load_level_model,
    roots,
    second_evidence,
)
from music_flamingo.scoring.tempo import same_tempo

CLIP_S, FIRST_SEED = 20.0, 50000
UNITS, NETWORKS, DECAY, RATE, STEPS = 16, 4, 1e-3, 1e-2, 220
TEMPERATURE = 1.25
SECOND_SEED, FOLDS, RIDGE = 200000, 5, 1e-2
BEAT_SLOPE, BEAT_BIAS = 14.246, -0.246
"""Logistic fit of `some level is right` on the mean activation at the beats: 706 clips, .986 of them right."""


@dataclass(frozen=True)
class Levels:
    """What is heard at each candidate of one clip, and which is right."""

    evidence: np.ndarray
    right: np.ndarray


@dataclass(frozen=True)
class Network:
    """A line and a hidden layer."""

    line: np.ndarray
    hidden: np.ndarray
    bias: np.ndarray
    out: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=1800)
    parser.add_argument("--second", type=int, help="clips for the second layer; the network stays")
    parser.add_argument("--kept", type=Path, help="with --second: what was heard of the clips, written or read")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.second:
        fit_second(arguments.second, arguments.kept)
        return
    tracker = MadmomBeatTracker((2, 3, 4), 50, 215)
    heard = [clip for number in range(arguments.clips) if (clip := listen(tracker, number))]
    every = np.concatenate([clip.evidence for clip in heard])
    mean, scale = every.mean(axis=0), every.std(axis=0) + 1e-6
    report([fit(heard[len(heard) // 4 :], mean, scale, 0)], heard[: len(heard) // 4], mean, scale)
    write([fit(heard, mean, scale, seed) for seed in range(NETWORKS)], mean, scale)


def listen(tracker: MadmomBeatTracker, number: int) -> Levels | None:
    """The evidence of one clip; None where no level is right or no beat is heard."""
    clip = Band(np.random.default_rng(FIRST_SEED + number)).play([*STYLES][number % len(STYLES)], CLIP_S)
    signal = Signal(clip.samples)
    activations = tracker.activations(signal.samples)
    try:
        beats = tracker.plain(activations).beats
    except NothingFoundError:
        return None
    bpm = tempo_bpm(beats[:, 0])
    tempi = candidates(bpm)
    found = evidence(bpm, int(beats[:, 1].max()), tempi, activations, signal.shared(onsets))
    right = np.array([same_tempo(float(tempo), clip.tempo_bpm) for tempo in tempi])
    return Levels(found, right) if right.any() else None


def fit(heard: list[Levels], mean: np.ndarray, scale: np.ndarray, seed: int) -> Network:
    """By the log-likelihood of the right level under the softmax."""
    torch.manual_seed(seed)
    size = len(mean)
    x = torch.zeros(len(heard), len(RATIOS), size)
    is_there, right = (torch.zeros(len(heard), len(RATIOS), dtype=torch.bool) for _ in range(2))
    for row, clip in enumerate(heard):
        count = len(clip.evidence)
        x[row, :count] = torch.from_numpy(np.clip((clip.evidence - mean) / scale, -4, 4))
        is_there[row, :count], right[row, :count] = True, torch.from_numpy(clip.right)
    hidden, out, line = torch.nn.Linear(size, UNITS), torch.nn.Linear(UNITS, 1), torch.nn.Linear(size, 1, bias=False)
    torch.nn.init.zeros_(line.weight)
    weights = (hidden.weight, out.weight, line.weight)
    optimiser = torch.optim.Adam([*hidden.parameters(), *out.parameters(), *line.parameters()], lr=RATE)
    slower = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, STEPS)
    for _ in range(STEPS):
        odds = (out(torch.tanh(hidden(x))) + line(x))[..., 0].masked_fill(~is_there, -1e9)
        missed = -odds.log_softmax(1).masked_fill(~right, -1e9).logsumexp(1).mean()
        optimiser.zero_grad()
        (missed + DECAY * sum(weight.square().sum() for weight in weights)).backward()
        optimiser.step()
        slower.step()
    plain = [one.detach().numpy() for one in (line.weight[0], hidden.weight, hidden.bias, out.weight[0])]
    return Network(*plain)


def likely(networks: list[Network], scaled: np.ndarray, temperature: float) -> np.ndarray:
    odds = np.mean([scaled @ n.line + np.tanh(scaled @ n.hidden.T + n.bias) @ n.out for n in networks], axis=0)
    risen = np.exp((odds - odds.max()) / temperature)
    return risen / risen.sum()


def report(networks: list[Network], heard: list[Levels], mean: np.ndarray, scale: np.ndarray) -> None:
    pairs = []
    for clip in heard:
        found = likely(networks, np.clip((clip.evidence - mean) / scale, -4, 4), 1.0)
        pairs.append((float(found.max()), bool(clip.right[found.argmax()])))
    pairs.sort(reverse=True)
    for share in (0.5, 0.75, 1.0):
        best = pairs[: round(share * len(pairs))]
        print(f"the surest {share:.0%} of {len(pairs)}: {np.mean([right for _, right in best]):.3f} right")


def write(networks: list[Network], mean: np.ndarray, scale: np.ndarray) -> None:
    """All networks as one: their hidden layers next to each other, their outputs averaged. The second layer stays."""
    share = 1 / len(networks) / TEMPERATURE
    stored = {
        "mean": mean,
        "scale": scale,
        "line": np.sum([n.line for n in networks], axis=0) * share,
        "hidden": np.concatenate([n.hidden for n in networks]),
        "hidden_bias": np.concatenate([n.bias for n in networks]),
        "out": np.concatenate([n.out for n in networks]) * share,
    }
    rounded = {name: np.round(values.astype(float), 4).tolist() for name, values in stored.items()}
    beats = {"beat_slope": BEAT_SLOPE, "beat_bias": BEAT_BIAS}
    second = json.loads(MODEL.read_text())["second"]
    write_atomic(MODEL, json.dumps({"version": "2", **rounded, **beats, "second": second}) + "\n")


# --- the second layer ------------------------------------------------------------------------------------------------


def fit_second(count: int, kept: Path | None) -> None:
    """Fit the second layer on `count` clips, report on those left out in turn, and write it into the model."""
    clips = [clip for number in range(count) if (clip := weighed(number, kept))]
    folds = [regression([c for i, c in enumerate(clips) if i % FOLDS != fold]) for fold in range(FOLDS)]
    found = [(second(clip, folds[i % FOLDS]), clip.right) for i, clip in enumerate(clips)]
    pairs = sorted(((float(p.max()), bool(right[p.argmax()])) for p, right in found), reverse=True)
    for share in (0.5, 0.75, 1.0):
        best = pairs[: round(share * len(pairs))]
        print(f"the surest {share:.0%} of {len(pairs)}: {np.mean([right for _, right in best]):.3f} right")
    for low in range(5):
        inside = [(p, right) for p, right in pairs if min(4, int(p * 5)) == low]
        if inside:
            print(f"{low / 5:.1f} to {low / 5 + 0.2:.1f}: {len(inside)}, said {np.mean([p for p, _ in inside]):.2f}, "
                  f"right {np.mean([r for _, r in inside]):.2f}")  # fmt: skip
    stored = json.loads(MODEL.read_text()) | {"version": "2", "second": np.round(regression(clips), 4).tolist()}
    write_atomic(MODEL, json.dumps(stored) + "\n")


def weighed(number: int, kept: Path | None) -> Levels | None:
    """What the second layer weighs in one clip; None where no level is right or no beat is heard."""
    names = [*STYLES, *MORE_STYLES]
    place = kept / f"{number}.npz" if kept else None
    if place is None or not place.exists():
        clip = Band(np.random.default_rng(SECOND_SEED + number)).play(names[number % len(names)], CLIP_S, varied=True)
        signal, tracker = Signal(clip.samples), shared_tracker()
        activations = tracker.activations(signal.samples).astype(np.float32)
        try:
            beats = tracker.plain(activations).beats
        except NothingFoundError:
            beats = np.zeros((0, 2))
        halves = {"activations": activations, "rises": signal.shared(onsets)}
        heard = {name: values.astype(np.float16) for name, values in halves.items()}
        heard |= {"beats": beats.astype(np.float32), "bpm": np.array(clip.tempo_bpm)}
        if place:
            np.savez(place, **heard)
    else:
        heard = dict(np.load(place))
    if len(heard["beats"]) < 2:
        return None
    bpm, rises = tempo_bpm(heard["beats"][:, 0].astype(float)), heard["rises"].astype(float)
    tempi = candidates(bpm)
    found = evidence(bpm, int(heard["beats"][:, 1].max()), tempi, heard["activations"].astype(float), rises)
    likely = load_level_model().probabilities(found)
    right = np.array([same_tempo(float(tempo), float(heard["bpm"])) for tempo in tempi])
    return Levels(second_evidence(likely, tempi, backbeat(roots(rises), tempi)), right) if right.any() else None


@cache
def shared_tracker() -> MadmomBeatTracker:
    return MadmomBeatTracker((2, 3, 4), 50, 215)


def regression(clips: list[Levels]) -> np.ndarray:
    """Conditional logistic regression, held near the network's own answer."""
    scale = np.concatenate([clip.evidence for clip in clips]).std(axis=0) + 1e-6
    start = np.zeros(len(scale))
    start[0] = scale[0]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        total, slope = 0.0, np.zeros(len(weights))
        for clip in clips:
            likely = second(clip, weights / scale)
            reached = likely * clip.right / max(float(likely[clip.right].sum()), 1e-12)
            total -= float(np.log(max(likely[clip.right].sum(), 1e-12)))
            slope -= (clip.evidence / scale).T @ (reached - likely)
        away = weights - start
        return total / len(clips) + RIDGE * float(away @ away), slope / len(clips) + 2 * RIDGE * away

    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 80})
    return np.asarray(found.x / scale)


def second(clip: Levels, weights: np.ndarray) -> np.ndarray:
    odds = clip.evidence @ weights
    risen = np.exp(odds - odds.max())
    return np.asarray(risen / risen.sum())


if __name__ == "__main__":
    main()
