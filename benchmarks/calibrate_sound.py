"""Fit the weights of mir/sound.py on rendered performances of training pieces, and report on all the others.

    python benchmarks/calibrate_sound.py

Performances are drawn as in params.yaml, but with seeds of their own, so no recording of the data set is used; some
play congas, or have piano chords on the beats. Pieces of the splits dev and test take no part in the fit. Writes
src/music_flamingo/mir/sound_model.json.
"""

import json
import multiprocessing
import random
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from music_flamingo.core.hashing import sha256_json
from music_flamingo.core.params import load_params
from music_flamingo.core.shards import write_atomic
from music_flamingo.mir.sound import CLAIMS, MODEL
from music_flamingo.mir.sound_features import describe
from music_flamingo.records import Truth
from music_flamingo.sources.pieces import find_piece
from music_flamingo.sources.reading import read_score
from music_flamingo.sources.render import render_performance
from music_flamingo.sources.scores import ScoresConfig, ScoresSource, draw_performance
from music_flamingo.sources.splits import MusicalWork, SplitConfig, deal_splits

SEEDS = (777, 778)
VARIED = 0.2
"""Share of performances with congas in place of the kit, and with chords on the beats."""
PENALTY = 0.3
"""Inverse strength of the ridge penalty: cross-validated accuracy is flat from 0.1 to 1."""
WORKERS = 2


@dataclass(frozen=True)
class Job:
    config: ScoresConfig
    work_id: str


@dataclass(frozen=True)
class Clip:
    work_id: str
    features: dict[str, float]
    claims: tuple[bool, bool, bool]


def main() -> None:
    ingest = load_params(Path("params.yaml"))["ingest"]
    configs = [
        ScoresConfig.model_validate_json(json.dumps(ingest["source"] | {"seed": seed, "held_out": None}))
        for seed in SEEDS
    ]
    jobs = [Job(config, work_id) for config in configs for work_id in ScoresSource(config).units()]
    with multiprocessing.Pool(WORKERS) as pool:
        clips = [clip for made in pool.imap(perform, jobs, chunksize=4) for clip in made]
    split = SplitConfig.model_validate(ingest["split"])
    works = sorted({find_piece(job.work_id) for job in jobs}, key=lambda p: p.work_id)
    splits = deal_splits([MusicalWork(p.work_id, p.tradition, True) for p in works], split)
    fit([c for c in clips if splits[c.work_id] == "train"], [c for c in clips if splits[c.work_id] != "train"])


def perform(job: Job) -> list[Clip]:
    """Render and describe the performances of one work."""
    config, score = job.config, read_score(find_piece(job.work_id))
    clips = []
    for number in range(config.performances):
        rng = random.Random(f"{config.seed}/{job.work_id}/{number}")
        performance = draw_performance(config, score, number, rng)
        if performance.drums == "kit" and rng.random() < VARIED:
            performance = replace(performance, drums="congas")
        if rng.random() < VARIED:
            performance = replace(performance, comping="beats")
        samples, truth = render_performance(
            score,
            performance,
            rng.getrandbits(62),
            level_dbfs=rng.uniform(*config.level_dbfs),
            noise_dbfs=rng.uniform(*config.noise_dbfs),
        )
        clips.append(Clip(job.work_id, describe(samples), claims(truth)))
    return clips


def claims(truth: Truth) -> tuple[bool, bool, bool]:
    """In the order of CLAIMS."""
    return truth.has_drums, truth.texture == "chords", truth.lead_envelope == "decaying"


def fit(train: list[Clip], others: list[Clip]) -> None:
    names = list(train[0].features)
    seen, unseen = (np.array([[c.features[n] for n in names] for c in clips]) for clips in (train, others))
    mean, scale = seen.mean(axis=0), seen.std(axis=0)
    seen, unseen = (np.clip((x - mean) / scale, -4, 4) for x in (seen, unseen))
    weights, bias = [], []
    for index, claim in enumerate(CLAIMS):
        model = LogisticRegression(C=PENALTY, max_iter=5000)
        model.fit(seen, [c.claims[index] for c in train])
        right, held_out = (
            model.score(x, [c.claims[index] for c in clips]) for x, clips in ((seen, train), (unseen, others))
        )
        print(f"{claim:10s} training pieces {right:.3f} ({len(train)} clips)  others {held_out:.3f} ({len(others)})")
        weights.append([round(float(w), 6) for w in model.coef_[0]])
        bias.append(round(float(model.intercept_[0]), 6))
    fitted = {
        "claims": CLAIMS,
        "features": names,
        "mean": [round(float(x), 6) for x in mean],
        "scale": [round(float(x), 6) for x in scale],
        "weights": weights,
        "bias": bias,
    }
    write_atomic(MODEL, json.dumps({"version": sha256_json(fitted)[:8], **fitted}, indent=1) + "\n")
    print(f"wrote {MODEL}")


if __name__ == "__main__":
    main()
