"""Aggregate ratings by ear: error rates by stratum and overall, with 95 % intervals.

By stratum: Wilson's interval of wrong among right and wrong. Overall: the strata's rates weighed by their sizes, the
variance from each rate with one wrong and one right added (Agresti and Coull), so that four right answers out of four
do not count as certainty. `unsure` is counted and enters no rate.
"""

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from music_flamingo.core.errors import UserError
from music_flamingo.core.lines import lines_of
from music_flamingo.quality.review import Stratum

Z_95 = 1.959964
RATINGS = ("right", "wrong", "unsure")


@dataclass(frozen=True)
class ErrorRate:
    """Wrong examples among the judged, with a 95 % interval; `value` is None where nothing was judged."""

    value: float | None
    low: float
    high: float


@dataclass(frozen=True)
class StratumRate:
    """Ratings of one stratum (right, wrong, unsure) and its error rate."""

    stratum: Stratum
    right: int
    wrong: int
    unsure: int
    rate: ErrorRate


@dataclass(frozen=True)
class Review:
    """Error rates of kept and rejected examples, and the share of the set that the rated strata cover."""

    strata: list[StratumRate]
    """Those with ratings."""
    kept: ErrorRate
    """Of what is kept: label noise."""
    rejected: ErrorRate
    """Of what is rejected: high where the rules are right to reject."""
    kept_covered: float
    """Fraction of the kept whose strata have been judged; the rate speaks for them."""
    rejected_covered: float


def wilson(wrong: int, judged: int) -> ErrorRate:
    """Wilson 95 % interval of an error rate; 0 to 1 where nothing was judged."""
    if judged == 0:
        return ErrorRate(None, 0.0, 1.0)
    p, z2 = wrong / judged, Z_95**2
    centre = (p + z2 / (2 * judged)) / (1 + z2 / judged)
    half = Z_95 * math.sqrt(p * (1 - p) / judged + z2 / (4 * judged**2)) / (1 + z2 / judged)
    return ErrorRate(p, max(centre - half, 0.0), min(centre + half, 1.0))


def weigh(strata: Sequence[StratumRate]) -> ErrorRate:
    """The rate of all examples of these strata together."""
    judged = [s for s in strata if s.right + s.wrong]
    total = sum(s.stratum.size for s in judged)
    if not total:
        return ErrorRate(None, 0.0, 1.0)
    value = variance = 0.0
    for s in judged:
        weight, n = s.stratum.size / total, s.right + s.wrong
        smoothed = (s.wrong + 1) / (n + 2)
        left_out = max(1 - n / s.stratum.size, 0.0)  # a stratum heard in full leaves nothing to chance
        value += weight * s.wrong / n
        variance += weight**2 * left_out * smoothed * (1 - smoothed) / n
    half = Z_95 * math.sqrt(variance)
    return ErrorRate(value, max(value - half, 0.0), min(value + half, 1.0))


def review(ratings: Mapping[str, tuple[str, str]], strata: Sequence[Stratum]) -> Review:
    """`ratings` gives (stratum, rating) by example id."""
    sizes = {s.name: s for s in strata}
    counts: dict[str, Counter[str]] = {}
    for stratum, rating in ratings.values():
        if stratum not in sizes:
            raise UserError(f"no stratum is called {stratum!r}. Give the data docs that the sheet belongs to (--docs).")
        counts.setdefault(stratum, Counter())[rating] += 1
    rates = [
        StratumRate(sizes[n], c["right"], c["wrong"], c["unsure"], wilson(c["wrong"], c["right"] + c["wrong"]))
        for n, c in sorted(counts.items())
    ]
    kept, rejected = ([r for r in rates if r.stratum.kept is side] for side in (True, False))
    return Review(rates, weigh(kept), weigh(rejected), _covered(kept, strata, True), _covered(rejected, strata, False))


def _covered(rates: Sequence[StratumRate], strata: Sequence[Stratum], kept: bool) -> float:
    total = sum(s.size for s in strata if s.kept is kept)
    return sum(r.stratum.size for r in rates if r.right + r.wrong) / total if total else 0.0


def read_ratings(path: Path) -> dict[str, tuple[str, str]]:
    """(stratum, rating) by example id, from the sheet's CSV or JSONL. Rows with a note alone are passed over."""
    if not path.is_file():
        raise UserError(f"there is no file {path}. Export it from the sheet: data/data_docs/review/index.html.")
    text = path.read_text(encoding="utf-8-sig")
    rows = [json.loads(line) for line in lines_of(text) if line] if path.suffix == ".jsonl" else _csv(text)
    found = {}
    for number, row in enumerate(rows, start=1):
        if not {"id", "stratum", "rating"} <= set(row):
            raise UserError(f"{path}, row {number}: a rating has an id, a stratum and a rating, not {sorted(row)}.")
        if row["rating"] not in ("", *RATINGS):
            raise UserError(f"{path}, row {number}: a rating is right, wrong or unsure, not {row['rating']!r}.")
        if row["rating"]:
            found[row["id"]] = (row["stratum"], row["rating"])
    return found


def _csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def read_strata(path: Path) -> list[Stratum]:
    """Read the strata of a review; UserError where the file is missing."""
    if not path.is_file():
        raise UserError(f"there is no file {path}. Give the folder of the data docs (--docs), with a review in it.")
    return [Stratum.model_validate(s) for s in json.loads(path.read_bytes())]


def in_words(found: Review) -> str:
    """The table that `mf review` prints."""
    lines = [f"{'right':>5} {'wrong':>5} {'unsure':>6} {'of':>8}  wrong, 95 % interval"]
    lines += [
        f"{s.right:5d} {s.wrong:5d} {s.unsure:6d} {s.stratum.size:8d}  {_interval(s.rate):22s} {s.stratum.name}"
        for s in found.strata
    ]
    lines.append(f"kept:     wrong {_interval(found.kept)} (rated strata hold {found.kept_covered:.0%} of the kept)")
    lines.append(
        f"rejected: wrong {_interval(found.rejected)} (rated strata hold {found.rejected_covered:.0%} of the rejected)"
    )
    return "\n".join(lines)


def _interval(rate: ErrorRate) -> str:
    if rate.value is None:
        return "not rated"
    return f"{rate.value:.1%} [{rate.low:.1%}, {rate.high:.1%}]"
