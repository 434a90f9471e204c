"""Balance of a catalogue over regions, traditions and languages, and sampling weights that correct it.

Effective number of groups: exp of the entropy of their shares, the number of equally large groups that would be as
even. Weights: a group's share p becomes p ** (1 - exponent) before normalisation, as languages are sampled in
multilingual training; no track is drawn more than `max_weight` times as often as the average one.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from music_flamingo.core.ranges import NonNegative, Positive
from music_flamingo.records.track import Split

UNKNOWN = "unknown"
DIMENSIONS: tuple[Literal["region", "tradition", "language", "split"], ...] = (
    "region",
    "tradition",
    "language",
    "split",
)
MAX_SHOWN = 40
"""Groups of a dimension that metrics name; the rest are added up."""


class BalanceConfig(BaseModel):
    """How training draws tracks of groups that differ in size."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    by: Literal["region", "tradition", "language"]
    exponent: NonNegative
    """0 leaves every track alike, 1 makes the groups alike."""
    max_weight: Positive
    """Of a track, where 1 is the average: a group of few tracks is not learned by heart."""

    @model_validator(mode="after")
    def _in_range(self) -> "BalanceConfig":
        if not 0 <= self.exponent <= 1 or self.max_weight < 1:
            raise ValueError(
                f"exponent lies between 0 and 1 and max_weight is at least 1: {self.exponent}, {self.max_weight}"
            )
        return self


@dataclass(slots=True)
class BalanceCell:
    """Number of tracks and hours of one group."""

    tracks: int = 0
    hours: float = 0.0


@dataclass
class Coverage:
    """Good tracks and their hours, by what they are of."""

    groups: dict[str, dict[str, BalanceCell]] = field(default_factory=lambda: {name: {} for name in DIMENSIONS})

    def add(self, values: Mapping[str, str | None], duration_s: float) -> None:
        """Count a track of `duration_s` seconds in every grouping."""
        for name, groups in self.groups.items():
            group = groups.setdefault(values.get(name) or UNKNOWN, BalanceCell())
            group.tracks += 1
            group.hours += duration_s / 3600

    def metrics(self) -> dict[str, object]:
        """Dimension -> its groups by size, effective number and largest share (of tracks)."""
        return {name: _described(groups) for name, groups in self.groups.items()}


def _described(groups: Mapping[str, BalanceCell]) -> dict[str, object]:
    counts = [g.tracks for g in groups.values()]
    largest = sorted(groups.items(), key=lambda item: (-item[1].tracks, item[0]))
    shown, rest = largest[:MAX_SHOWN], largest[MAX_SHOWN:]
    named = {name: {"tracks": g.tracks, "hours": round(g.hours, 3)} for name, g in shown}
    if rest:
        rest_hours = round(sum(g.hours for _, g in rest), 3)
        named[f"{len(rest)} others"] = {"tracks": sum(g.tracks for _, g in rest), "hours": rest_hours}
    return {
        "groups": named,
        "num_groups": len(groups),
        "effective_number": round(effective_number(counts), 3),
        "largest_share": round(max(counts, default=0) / max(sum(counts), 1), 4),
    }


def effective_number(counts: Iterable[int]) -> float:
    """exp(entropy) of the counts' shares: 4.0 for four equal groups, 0.0 for none."""
    found = [c for c in counts if c > 0]
    total = sum(found)
    return math.exp(-sum(c / total * math.log(c / total) for c in found)) if found else 0.0


def sampling_weights(counts: Mapping[str, int], config: BalanceConfig) -> dict[str, float]:
    """Group -> weight of each of its tracks, whose mean over all tracks is 1 before the cap."""
    total = sum(counts.values())
    if config.exponent == 0 or not total:
        return dict.fromkeys(counts, 1.0)
    raw = {name: (count / total) ** -config.exponent for name, count in counts.items() if count}
    mean = sum(raw[name] * counts[name] for name in raw) / total
    return {name: round(min(weight / mean, config.max_weight), 6) for name, weight in sorted(raw.items())}


@dataclass
class Weighing:
    """Counts the training tracks of each group, then gives a track's weight."""

    config: BalanceConfig
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, group: str | None, split: Split) -> None:
        """Count a track of the train split."""
        if split == "train":
            self.counts[group or UNKNOWN] = self.counts.get(group or UNKNOWN, 0) + 1

    def weights(self) -> dict[str, float]:
        """Sampling weight of each group."""
        return sampling_weights(self.counts, self.config)
