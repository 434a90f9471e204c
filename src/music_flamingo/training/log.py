"""Training log: one JSON object per step, without clocks, so that equal runs write equal bytes."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from music_flamingo.core.progress import Progress
from music_flamingo.core.shards import write_atomic

LOG_NAME, PLAN_NAME = "log.jsonl", "plan.json"

RENAMED = {
    "loss": "loss",
    "learning_rate": "learning_rate",
    "grad_norm": "grad_norm",
    "accuracy": "accuracy",
    "samples": "samples",
    "reward": "reward",
    "reward_std": "reward_std",
    "rewards/format/mean": "reward_format",
    "rewards/accuracy/mean": "reward_accuracy",
    "rewards/structured/mean": "reward_structured",
    "rewards/faithful/mean": "reward_faithful",
    "rewards/timed/mean": "reward_timed",
    "rewards/repeated/mean": "reward_repeated",
    "group_std": "group_std",
    "frac_reward_zero_std": "no_spread",
    "redrawn": "redrawn",
    "passed_over": "passed_over",
    "kl": "kl",
    "entropy": "entropy",
    "completions/mean_length": "mean_length",
    "completions/clipped_ratio": "unfinished",
    "clip_ratio/region_mean": "clipped",
}
"""What is kept of the trainers' metrics, and under which name. Everything else is a clock or derived."""

BY_FAMILY = "right/"
"""Names that begin so are kept as they are: the reward for being right, by family."""

DIGITS = 6

Line = dict[str, Any]


def log_lines(history: Sequence[Line]) -> list[Line]:
    """The steps of a trainer's log history."""
    lines = []
    for entry in history:
        kept = {new: entry[old] for old, new in RENAMED.items() if entry.get(old) is not None}
        kept |= {name: value for name, value in sorted(entry.items()) if name.startswith(BY_FAMILY)}
        if "loss" in kept:
            lines.append({"step": int(entry["step"]), **{name: _rounded(value) for name, value in kept.items()}})
    return lines


def write_log(folder: Path, lines: Sequence[Line]) -> None:
    """Write the log lines as JSON lines, atomically."""
    write_atomic(folder / LOG_NAME, "".join(json.dumps(line) + "\n" for line in lines))


def write_plan(folder: Path, plan: Mapping[str, object]) -> None:
    """What was planned: families and answers taught, what was left out and why, the window rule."""
    write_atomic(folder / PLAN_NAME, json.dumps(plan, indent=1, sort_keys=True) + "\n")


def _rounded(value: float | str) -> float | str | None:
    if isinstance(value, str):
        return value
    return round(float(value), DIGITS) if math.isfinite(value) else None


class ShowProgress(TrainerCallback):
    """A bar or a line, with rate and time left."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.progress: Progress | None = None

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Begin the progress display at the resumed step."""
        # after an interruption only what remains is counted, else the rate would be too good
        self.progress = Progress(self.label, state.max_steps - state.global_step, "steps")

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Advance the progress display by one step."""
        assert self.progress is not None
        self.progress.advance()

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Close the progress display."""
        assert self.progress is not None
        with self.progress:
            pass  # the last line
