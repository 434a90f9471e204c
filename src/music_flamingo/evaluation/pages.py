"""Write the files over all benchmarks of a folder: one table (JSON, Markdown) and the pages."""

import json
from collections.abc import Sequence
from pathlib import Path

from music_flamingo.core.shards import write_atomic
from music_flamingo.evaluation.grading import Graded
from music_flamingo.evaluation.outcome import RESULTS, TABLE, Outcome, outcomes_below, table_markdown


def write_all(out: Path, outcome: Outcome, graded: Sequence[Graded], data: Path) -> None:
    """Write OUT/results.json, OUT/results.md, the overview and the page of the benchmark that was just evaluated."""
    from music_flamingo.evaluation.html import write_benchmark_page, write_overview_page

    outcomes = outcomes_below(out)
    write_atomic(out / RESULTS, json.dumps([o.model_dump() for o in outcomes], ensure_ascii=False) + "\n")
    write_atomic(out / TABLE, table_markdown(outcomes))
    write_benchmark_page(out, outcome, graded, data)
    write_overview_page(out, outcomes)
