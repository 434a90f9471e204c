"""Shared by benchmarks with a judge: read points from its reply, and count replies that cannot be read."""

import json
import re

from music_flamingo.evaluation.benchmarks.base import BenchmarkItem, BenchmarkMetric, Grade, JudgeTask, Replies
from music_flamingo.scoring.wrappings import without_thoughts

_NUMBER = re.compile(r"\W*(?:score\W*)?(\d+(?:\.\d+)?)(?:\s*/\s*\d+)?\W*", re.IGNORECASE)


def read_points(reply: str, task: JudgeTask) -> float | None:
    """A judge's points: `{"score": 7}`, `Score: 7`, `7/10` or `7` and nothing else; None for anything else."""
    text = without_thoughts(reply).removeprefix("```json").removeprefix("```").removesuffix("```").strip()
    try:
        told = json.loads(text)
    except ValueError:
        found = _NUMBER.fullmatch(text)
        told = float(found.group(1)) if found else None
    if isinstance(told, dict):
        told = told.get("score")
    if isinstance(told, bool) or not isinstance(told, int | float) or not task.low <= told <= task.high:
        return None
    return float(told)


def judged(task: JudgeTask, scale: float = 1.0) -> BenchmarkMetric:
    """The mean of the judge's points; an empty answer earns the lowest without asking."""

    def score(item: BenchmarkItem, output: str, replies: Replies) -> Grade | None:
        if task.name not in replies:
            return None
        points = read_points(replies[task.name], task)
        return Grade(0.0, 0.0) if points is None else Grade(points)

    return BenchmarkMetric(
        task.name,
        "strict",
        score,
        f"a judge's points, {task.low:g} to {task.high:g}; replies that cannot be read are left out and counted",
        scale,
    )
