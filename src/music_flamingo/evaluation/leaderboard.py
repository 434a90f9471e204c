"""Results in the form that lm-evaluation-harness writes and leaderboards read: results and samples of one task.

Values are fractions as there (an accuracy of .7, a word error rate of .2); points of judges stay points. Standard
errors come from the 95 % interval. What the harness has no field for (prompt, rule, judge, digests) is under `configs`.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from music_flamingo.core.shards import write_atomic
from music_flamingo.evaluation.benchmarks import BENCHMARKS
from music_flamingo.evaluation.grading import ALL, Graded
from music_flamingo.evaluation.outcome import Outcome

RESULTS_FILE, SAMPLES_FILE = "lm_eval_results.json", "lm_eval_samples.jsonl"
_WIDTH = 2 * 1.959964


def write_leaderboard(folder: Path, outcome: Outcome, graded: Sequence[Graded]) -> None:
    """Write both files into the folder of the results."""
    write_atomic(folder / RESULTS_FILE, json.dumps(harness_results(outcome), ensure_ascii=False, indent=1) + "\n")
    heard = [g for g in graded if g.condition == "audio"]
    samples = (json.dumps(_sample(number, g), ensure_ascii=False) + "\n" for number, g in enumerate(heard))
    write_atomic(folder / SAMPLES_FILE, "".join(samples))


def harness_results(outcome: Outcome) -> dict[str, Any]:
    """`results`, `configs`, `versions`, `n-samples` and `config` of one task."""
    run, task = outcome.run, outcome.run.benchmark
    values: dict[str, Any] = {"alias": task}
    lower_is_better = {}
    for row in (r for r in outcome.rows if r.group == ALL and r.condition == "audio" and r.value is not None):
        scale = BENCHMARKS[task].measure(row.measure).scale if task in BENCHMARKS else 100.0
        assert row.value is not None and row.low is not None and row.high is not None
        values[f"{row.measure},none"] = row.value / scale
        values[f"{row.measure}_stderr,none"] = (row.high - row.low) / scale / _WIDTH
        lower_is_better[row.measure] = row.lower_is_better
    published = run.published_counts[0] if run.published_counts else run.num_items
    return {
        "results": {task: values},
        "group_subtasks": {task: []},
        "configs": {task: {"task": task, "num_fewshot": 0, "metadata": run.model_dump(mode="json")}},
        "versions": {task: run.questions_version or run.package_version},
        "n-shot": {task: 0},
        "higher_is_better": {task: {name: not lower for name, lower in lower_is_better.items()}},
        "n-samples": {task: {"original": published, "effective": run.num_items}},
        "config": {"model": run.model, "model_args": {"digest": run.model_digest}, "limit": run.limit,
                   "bootstrap_iters": run.resamples, "random_seed": run.seed,
                   "gen_kwargs": {"temperature": run.temperature, "max_gen_toks": run.max_new_tokens}},
        "model_name": run.model,
        "system_instruction": run.system or None,
    }  # fmt: skip


def _sample(number: int, graded: Graded) -> dict[str, Any]:
    scores = {name: value / weight for name, (value, weight) in graded.grades.items() if weight}
    return {
        "doc_id": number,
        "doc": {"id": graded.item_id, "question": graded.question, "options": graded.options, "audio": graded.audio},
        "target": graded.reference,
        "resps": [[graded.output]],
        "filtered_resps": [graded.parsed],
        **scores,
    }
