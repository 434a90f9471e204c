"""Training curves from each model folder's `log.jsonl`: one JSON object a logged step, numbers only."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from music_flamingo.core.errors import CorruptDataError
from music_flamingo.core.lines import lines_of
from music_flamingo.core.ports import InputFolder
from music_flamingo.report.charts import LineChart, Point, line_chart
from music_flamingo.report.flow import flat

LOG_NAME = "log.jsonl"
FEWEST_POINTS = 2

TITLES = {
    "loss": ("Loss", ""),
    "accuracy": ("Right answers in training", "fraction"),
    "wer_asr": ("Words wrong, one speaker", "of reference words"),
    "per_phonemes": ("Phonemes wrong", "of reference phonemes"),
    "wer_multi_speaker_asr": ("Words wrong, two who speak together", "of reference words"),
    "wer_lyrics": ("Words wrong, sung over chords", "of reference words"),
    "wer_instructions": ("Words wrong, answers to requests", "of reference words"),
    "reward": ("Reward, all parts", "points"),
    "reward_format": ("Reward for the format", "points"),
    "reward_accuracy": ("Reward for the answer", "points"),
    "reward_structured": ("Reward for the caption's facts", "points"),
    "reward_std": ("Spread of the reward over all answers", "points"),
    "group_std": ("Spread of the reward within a group", "points"),
    "no_spread": ("Groups without spread", "fraction"),
    "kl": ("Distance from the reference (KL)", "nats"),
    "entropy": ("Entropy of the next word", "nats"),
    "mean_length": ("Length of an answer", "tokens"),
    "unfinished": ("Answers cut off", "fraction"),
    "clipped": ("Steps clipped", "fraction"),
    "grad_norm": ("Gradient norm", ""),
    "learning_rate": ("Learning rate", ""),
}
"""Name of a logged number -> what a person calls it, and its unit. The order is the order of the charts."""


EXAMS = ("wer_", "per_")
"""Error rates on held-out utterances, measured between phases: few points, drawn as they are."""
OTHER_AUDIO = "_other_audio"
"""A rate's control stands in its chart."""

SCHEDULED = ("learning_rate",)
"""Numbers that are set and not measured: they are drawn as they are."""


@dataclass(frozen=True)
class Curves:
    """Charts, constants, results and settings of one model's training."""

    model: str
    title: str
    charts: tuple[LineChart, ...]
    constants: tuple[tuple[str, float], ...]
    """Numbers that were logged but never changed."""
    num_steps: int
    left_out: tuple[tuple[str, str], ...]
    """(family, why it was not taught)."""
    results: tuple[tuple[str, str], ...]
    settings: tuple[tuple[str, str], ...]


def curves(model: str, title: str, folder: InputFolder) -> Curves:
    """Build the charts of a model folder from its log."""
    series = read_log(folder.root / LOG_NAME)
    moving = {name: points for name, points in series.items() if len({y for _, y in points}) > 1}
    still = {name: p[0][1] for name, p in series.items() if name not in moving and not name.endswith(OTHER_AUDIO)}
    last = max((points[-1][0] for points in series.values()), default=0)
    charts = tuple(_chart(model, name, series) for name in sorted(moving, key=_place) if not name.endswith(OTHER_AUDIO))
    metrics = dict(folder.manifest.metrics)
    left_out = metrics.pop("left_out", {})
    return Curves(
        model=model,
        title=title,
        charts=charts,
        constants=tuple(sorted(still.items())),
        num_steps=int(last),
        left_out=tuple(sorted(left_out.items())),
        results=tuple(flat(metrics)),
        settings=tuple(flat(folder.manifest.config)),
    )


def read_log(path: Path) -> dict[str, list[Point]]:
    """{name: [(step, value)]}, finite values only; empty without a log.

    Raises CorruptDataError naming the line that is not a JSON object with a step.
    """
    series: dict[str, list[Point]] = {}
    lines = lines_of(path.read_text(encoding="utf-8")) if path.is_file() else []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            step = float(row["step"])
        except (ValueError, KeyError, TypeError) as error:
            raise CorruptDataError(f"{path}, line {number}: not a JSON object with a step ({error}).") from error
        for name, value in row.items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            if name not in ("step", "epoch") and is_number:
                series.setdefault(name, []).append((step, float(value)))
    return {name: points for name, points in series.items() if len(points) >= FEWEST_POINTS}


def series_title(name: str) -> tuple[str, str]:
    """What a person calls a logged number, and its unit; a number this page does not know keeps its name."""
    return TITLES.get(name, (name.replace("/", " ").replace("_", " ").capitalize(), ""))


def _chart(model: str, name: str, series: Mapping[str, list[Point]]) -> LineChart:
    title, unit = series_title(name)
    lines = {title: (model, series[name])}
    if name + OTHER_AUDIO in series:
        lines["with another utterance's sound"] = ("b", series[name + OTHER_AUDIO])
    return line_chart(title, lines, unit=unit, noisy=name not in SCHEDULED and not name.startswith(EXAMS))


def _place(name: str) -> tuple[int, str]:
    return ([*TITLES].index(name) if name in TITLES else len(TITLES)), name
