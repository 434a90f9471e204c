"""Count chains by path: why they were selected, right at once, rewritten, or discarded with which reason."""

from collections import Counter

import pyarrow as pa

from music_flamingo.core.record import QUARANTINED
from music_flamingo.core.stage import Metrics


def count_paths(kept: pa.Table, discarded: pa.Table) -> Metrics:
    """Counts over the columns status, difficulty, family and steps of both ports.

    `drafted` = `right_at_first` + `rewritten_and_right` + the sum of `reasons`, and = the sum of `chosen`.
    """
    rewritten = [any(step["rewritten_from"] is not None for step in steps) for steps in kept["steps"].to_pylist()]
    both = pa.concat_tables([kept, discarded])
    steps = [step for steps in both["steps"].to_pylist() for step in steps]
    reasons = Counter(status.removeprefix(QUARANTINED) for status in discarded["status"].to_pylist())
    return {
        "num_kept": kept.num_rows,
        "num_rewritten_steps": sum(
            step["rewritten_from"] is not None for steps in kept["steps"].to_pylist() for step in steps
        ),
        "chosen": _counted(both["difficulty"]),
        "drafted": both.num_rows,
        "right_at_first": kept.num_rows - sum(rewritten),
        "rewritten_and_right": sum(rewritten),
        "reasons": dict(sorted(reasons.items())),
        "by_difficulty": _counted(kept["difficulty"]),
        "by_family": _counted(kept["family"]),
        "step_verdicts": dict(sorted(Counter(step["verdict"] for step in steps).items())),
        "steps_checked_by": dict(sorted(Counter(step["checked_by"] or "nothing" for step in steps).items())),
    }


def _counted(column: pa.ChunkedArray) -> dict[str, int]:
    return dict(sorted(Counter(column.to_pylist()).items()))
