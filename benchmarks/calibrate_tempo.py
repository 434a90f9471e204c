"""Fit the levels of the tempo (mir/tempo_levels.py) on bands that benchmarks/bands.py draws.

    python benchmarks/calibrate_tempo.py --clips 1800

Every clip of 20 s is tracked by madmom's network; where one of the levels around the tracked tempo is right, the clip
teaches which. A quarter of the clips takes no part in a first fit, which is reported on. Writes
src/music_flamingo/mir/tempo_model.json: several networks as one. No recording is used, but for the temperature, which
the development half of real.py's recordings has asked for (their likelihood is highest at 1.25, of 1, 1.25, 1.5, 2).
"""

import argparse
import json
from dataclasses import dataclass

import numpy as np
import torch
from bands import STYLES, Band

from music_flamingo.core.shards import write_atomic
from music_flamingo.mir import NothingFoundError, Signal
from music_flamingo.mir.madmom_beats import MadmomBeatTracker
from music_flamingo.mir.pulse import onsets, tempo_bpm
from music_flamingo.mir.tempo_levels import MODEL, RATIOS, candidates, evidence
from music_flamingo.scoring.tempo import same_tempo

CLIP_S, FIRST_SEED = 20.0, 50000
UNITS, NETWORKS, DECAY, RATE, STEPS = 16, 4, 1e-3, 1e-2, 220
TEMPERATURE = 1.25
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
    torch.set_num_threads(1)
    tracker = MadmomBeatTracker((2, 3, 4), 50, 215)
    heard = [clip for number in range(parser.parse_args().clips) if (clip := listen(tracker, number))]
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
    """All networks as one: their hidden layers next to each other, their outputs averaged."""
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
    write_atomic(MODEL, json.dumps({"version": "1", **rounded, **beats}) + "\n")


if __name__ == "__main__":
    main()
