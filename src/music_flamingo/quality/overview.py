"""Summary statistics of the set: kept by family, reject reasons, answer positions, text-only scores."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class Places:
    """Where the answer stands among so many drawn options."""

    num_options: int
    counts: tuple[int, ...]
    """Answers at the first place, the second, ..."""
    p_value: float
    """Of a chi-square test that all places are equally likely: small where the place tells something."""

    @property
    def shift(self) -> float:
        """Mean place less the middle, in the range from first (-.5) to last (.5)."""
        mean = float(np.average(np.arange(self.num_options), weights=self.counts))
        return mean / (self.num_options - 1) - 0.5


@dataclass(frozen=True)
class TextOnlyScore:
    """How well words alone answer the questions of a family."""

    family: str
    num_questions: int
    accuracy: float
    chance: float
    """Of the answers, before a question is read: one in so many options, or the share of its commonest answers."""
    num_dropped: int

    @property
    def error(self) -> float:
        """Half of the 95 % interval of the accuracy."""
        return 1.96 * float(np.sqrt(max(self.accuracy * (1 - self.accuracy), 0.0) / self.num_questions))


@dataclass(frozen=True)
class Overview:
    """Counts by family (kept, rejected) and reason, answer positions, and text-only accuracy."""

    families: dict[str, tuple[int, int]]
    """(kept, rejected) by family."""
    reasons: dict[str, dict[str, int]]
    """Reason -> family -> rejects; the commonest reason first."""
    places: list[Places]
    text_only: list[TextOnlyScore]

    @property
    def num_kept(self) -> int:
        """Number of kept examples."""
        return sum(kept for kept, _ in self.families.values())

    @property
    def num_rejected(self) -> int:
        """Number of rejected examples."""
        return sum(rejected for _, rejected in self.families.values())

    def count(self, reason: str) -> int:
        """Number of examples rejected for `reason`, over all families."""
        return sum(self.reasons[reason].values())


def overview(rows: pa.Table) -> Overview:
    """Of the narrow rows of all candidates."""
    counted = rows.group_by(["family", "reason"], use_threads=False).aggregate([([], "count_all")]).to_pylist()
    families: dict[str, tuple[int, int]] = {}
    reasons: dict[str, dict[str, int]] = {}
    for row in sorted(counted, key=lambda r: (r["family"], r["reason"])):
        kept, rejected = families.get(row["family"], (0, 0))
        number = row["count_all"]
        families[row["family"]] = (kept, rejected + number) if row["reason"] else (kept + number, rejected)
        if row["reason"]:
            reasons.setdefault(row["reason"], {})[row["family"]] = number
    ordered = dict(sorted(reasons.items(), key=lambda item: (-sum(item[1].values()), item[0])))
    return Overview(families, ordered, places(rows), text_only(rows))


def places(rows: pa.Table) -> list[Places]:
    """Of the kept questions whose options were drawn, by how many there are."""
    from scipy.stats import chisquare

    drawn = rows.filter(pc.and_(pc.equal(rows["reason"], ""), pc.greater_equal(rows["place"], 0)))
    counts: Counter[tuple[int, int]] = Counter()
    for row in drawn.group_by(["num_options", "place"], use_threads=False).aggregate([([], "count_all")]).to_pylist():
        counts[row["num_options"], row["place"]] = row["count_all"]
    found = []
    for num_options in sorted({n for n, _ in counts}):
        at = tuple(counts[num_options, place] for place in range(num_options))
        found.append(Places(num_options, at, float(chisquare(at).pvalue)))
    return found


def text_only(rows: pa.Table) -> list[TextOnlyScore]:
    """By family, over what the rules kept: the dropped are among them."""
    guessed = rows.filter(rows["text_right"].is_valid())
    if not len(guessed):
        return []
    dropped = pc.equal(guessed["reason"], "answered_without_audio").cast(pa.int64())
    table = pa.table(
        {
            "family": guessed["family"],
            "right": guessed["text_right"].cast(pa.float64()),
            "chance": guessed["text_chance"].cast(pa.float64()),
            "dropped": dropped,
        }
    )
    aggregates = [("right", "mean"), ("right", "count"), ("chance", "mean"), ("dropped", "sum")]
    found = table.group_by("family", use_threads=False).aggregate(aggregates).to_pylist()
    scores = [
        TextOnlyScore(r["family"], r["right_count"], r["right_mean"], r["chance_mean"], r["dropped_sum"]) for r in found
    ]
    return sorted(scores, key=lambda s: (s.chance - s.accuracy, s.family))
