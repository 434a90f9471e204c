"""Balance of the recordings over regions, traditions and languages, for the data page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from music_flamingo.core.manifest import Manifest
from music_flamingo.report.charts import Bar, bars
from music_flamingo.report.run import tradition_name

TITLES = {"region": "Regions", "tradition": "Traditions", "language": "Languages"}
UNKNOWN = "unknown"
MAX_BARS = 14


@dataclass(frozen=True)
class Balance:
    """One way to group the recordings."""

    title: str
    bars: tuple[Bar, ...]
    """Minutes of each group, largest first."""
    num_groups: int
    effective_number: float
    """Equally large groups that would be as even: exp of the entropy of the shares."""
    largest_percent: float


def balances(tracks: Manifest) -> tuple[Balance, ...]:
    """Of what ingest counted; groupings that the source says nothing of are left out."""
    counted: Mapping[str, Any] = tracks.metrics.get("coverage", {})
    found = ((title, counted[name]) for name, title in TITLES.items() if name in counted)
    return tuple(_balance(title, one) for title, one in found if set(one["groups"]) - {UNKNOWN})


def _balance(title: str, counted: Mapping[str, Any]) -> Balance:
    groups: Mapping[str, Mapping[str, float]] = counted["groups"]
    by_size = sorted(groups.items(), key=lambda item: (-item[1]["hours"], item[0]))
    minutes = {_named(name): round(60 * group["hours"]) for name, group in by_size[:MAX_BARS]}
    if len(by_size) > MAX_BARS:
        rest = sum(group["hours"] for _, group in by_size[MAX_BARS:])
        minutes[f"{len(by_size) - MAX_BARS} others"] = round(60 * rest)
    share = round(100 * counted["largest_share"], 1)
    return Balance(title, bars(minutes), counted["num_groups"], counted["effective_number"], share)


def _named(group: str) -> str:
    return "not given" if group == UNKNOWN else tradition_name(group)
