"""Counts of answers against truth, and what their confidences are worth: calibration error beside that of chance.

With few answers even a confidence that is a true probability shows a calibration error: of ten answers at .85 eight or
nine are right, never eight and a half. `chance_error` says how much of one: every answer is drawn right with the
probability that it claims, many times over, and the error of each draw is taken. An error above the 95 % of these
draws speaks against the confidence; one below says no more than that nothing speaks against it at that number.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

BINS, DRAWS = 5, 4000


@dataclass
class Count:
    """Of one fact in one group."""

    known: int = 0
    answered: int = 0
    right: float = 0
    wrong: list[str] = field(default_factory=list)
    pairs: list[tuple[float, bool]] = field(default_factory=list)

    def add(self, name: str, value: float | None, confidence: float, measured: float | None) -> None:
        """`value` is None where the fact is not trusted; `measured`: how far the kept value is right (1, .5, 0)."""
        self.known += 1
        self.answered += value is not None
        self.right += value or 0.0
        if value is not None and value < 1:
            self.wrong.append(name if value == 0 else f"{name} (half)")
        if measured is not None:
            self.pairs.append((confidence, measured > 0))


Counts = dict[tuple[str, str], Count]
"""(fact, group) -> its count."""


def calibration_error(sure: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error over five bins of the confidence. `sure`, `right` (1 or 0): shape (answers,)."""
    bins = np.minimum(BINS - 1, (sure * BINS).astype(int))
    return float(np.abs(np.bincount(bins, sure - right, BINS)).sum() / len(right))


def chance_error(sure: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """(mean, 95 %) of the calibration error that these confidences show if each is exactly the chance to be right."""
    rng = np.random.default_rng(seed)
    errors = [calibration_error(sure, (rng.random(len(sure)) < sure).astype(float)) for _ in range(DRAWS)]
    return float(np.mean(errors)), float(np.quantile(errors, 0.95))


def pooled(counts: Counts, groups: Sequence[str], name: str) -> Counts:
    """A group that joins those of `groups` for each fact that stands in all of them."""
    joined: Counts = {}
    for fact in sorted({fact for fact, _ in counts}):
        parts = [counts[fact, group] for group in groups if (fact, group) in counts]
        if len(parts) == len(groups):
            joined[fact, name] = Count(
                known=sum(part.known for part in parts),
                answered=sum(part.answered for part in parts),
                right=sum(part.right for part in parts),
                wrong=[f"{len(part.wrong)} of {each}" for each, part in zip(groups, parts, strict=True) if part.wrong],
                pairs=[pair for part in parts for pair in part.pairs],
            )
    return joined


def table(counts: Counts) -> list[str]:
    """A row a fact and group: known, trusted, right, calibration error and what chance alone gives at that number."""
    lines = [
        "| fact | group | known | trusted | of these right | right, claimed | calibration error | by chance | wrong |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (fact, group), one in sorted(counts.items()):
        share = f"{one.right / one.answered:.2f}" if one.answered else "-"
        cells = [fact, group, one.known, one.answered, f"{one.right:g} ({share})", *worth(one), ", ".join(one.wrong)]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def worth(count: Count) -> tuple[str, str, str]:
    """How many answers are right beside the sum of their confidences, their calibration error, that of chance."""
    if not count.pairs:
        return "-", "-", "-"
    sure, right = (np.array(column, float) for column in zip(*count.pairs, strict=True))
    error, (mean, highest) = calibration_error(sure, right), chance_error(sure)
    mark = "**" if error > highest else ""
    claimed = f"{right.sum():.0f} of {len(right)}, {sure.sum():.1f}"
    return claimed, f"{mark}{error:.2f}{mark}", f"{mean:.2f}, at most {highest:.2f}"


def diagrams(counts: Counts) -> list[str]:
    """A reliability diagram for each fact: of the answers whose confidence lies in a fifth, how many are right."""
    lines = ["Reliability: right of all answers (trusted or not) whose confidence lies in that fifth.", ""]
    lines += ["| fact | group | 0 to .2 | .2 to .4 | .4 to .6 | .6 to .8 | .8 to 1 |", "|---|---|---|---|---|---|---|"]
    for (fact, group), one in sorted(counts.items()):
        if one.pairs:
            cells = []
            for low in range(BINS):
                inside = [right for sure, right in one.pairs if min(BINS - 1, int(sure * BINS)) == low]
                cells.append(f"{sum(inside)} of {len(inside)}" if inside else "")
            lines.append(f"| {fact} | {group} | {' | '.join(cells)} |")
    return lines
