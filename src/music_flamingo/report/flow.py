"""The pipeline as a flow: each stage's inputs and outputs, from the completion manifests alone."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from music_flamingo.core.manifest import Manifest
from music_flamingo.core.record import OK, QUARANTINED
from music_flamingo.report.charts import short


class ShownStage(NamedTuple):
    """A stage as the report names it."""

    name: str
    group: str
    title: str
    does: str


@cache
def shown_stages() -> tuple[ShownStage, ...]:
    """Read the stages that the report shows, in the order of one song's way; derived from `STAGE` of each stage."""
    return tuple(ShownStage(**row) for row in json.loads((Path(__file__).parent / "stages.json").read_text()))


UNITS = {
    "tracks": "track",
    "truth": "truth record",
    "facts": "fact sheet",
    "captions": "caption",
    "candidates": "candidate",
    "skills": "example",
    "rejects": "reject",
    "think": "chain",
    "think_rejects": "discarded chain",
    "predictions": "prediction",
    "scores": "result",
}
"""One record of a table, in words."""
FOLDERS = {
    "originals": "original recordings",
    "data_docs": "data docs",
    "speech": "utterances",
    "backbone_model": "backbone",
    "sft_model": "fine-tuned model",
    "warmup_model": "warm-up model",
    "grpo_model": "GRPO model",
    "release": "release",
}
UNREAD = {"ingest": ("originals",), "speech": ("speech",)}
"""Outputs that the report does not open; the stages that did recorded their digests."""

DIGEST_LETTERS = 10


@dataclass(frozen=True)
class ReasonCount:
    """A reject reason and its count."""

    name: str
    count: int


@dataclass(frozen=True)
class PortView:
    """A port: digest, good records, rejects by reason."""

    name: str
    label: str
    """`440 tracks`, `model, 4.3 MB`; the name alone when its manifest is not among the report's inputs."""
    digest: str
    num_ok: int
    reasons: tuple[ReasonCount, ...]

    @property
    def percent_ok(self) -> float:
        """Share of good records, in percent."""
        return round(100 * self.num_ok / (self.num_ok + sum(r.count for r in self.reasons)), 1)


@dataclass(frozen=True)
class StageView:
    """A stage: its text, input and output ports, metrics."""

    name: str
    group: str
    title: str
    what: str
    takes: tuple[PortView, ...]
    gives: tuple[PortView, ...]
    metrics: tuple[tuple[str, str], ...]

    @property
    def reasons(self) -> tuple[tuple[PortView, ReasonCount], ...]:
        """Reject reasons with the port that holds them."""
        return tuple((port, reason) for port in self.gives for reason in port.reasons)


def stage_views(manifests: Mapping[str, Manifest], otherwise: Mapping[str, str] | None = None) -> list[StageView]:
    """Every stage that gave, or whose output fed, one of the ports. `otherwise`: what some do, in other words."""
    digests = _digests(manifests)
    by_stage = {m.stage: m for m in manifests.values()}
    views = []
    for name, group, title, what in shown_stages():
        one = by_stage.get(name)
        takes = sorted(one.inputs) if one else []
        gives = [p for p, m in manifests.items() if m.stage == name]
        gives += [p for p in UNREAD.get(name, ()) if p in digests]
        if not gives:
            continue
        views.append(
            StageView(
                name,
                group,
                title,
                (otherwise or {}).get(name, what),
                tuple(_port(p, digests[p], manifests.get(p)) for p in takes),
                tuple(_port(p, digests[p], manifests.get(p)) for p in gives),
                tuple(flat(one.metrics)) if one else (),
            )
        )
    return views


def reasons_of(manifest: Manifest) -> tuple[ReasonCount, ...]:
    """Quarantined records by reason, the most frequent first."""
    found = [ReasonCount(s.removeprefix(QUARANTINED), n) for s, n in manifest.status.items() if s != OK]
    return tuple(sorted(found, key=lambda r: (-r.count, r.name)))


def flat(metrics: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested metrics as (name, value) lines: {"a": {"b": 1}} -> ("a b", "1")."""
    lines: list[tuple[str, str]] = []
    for key, value in metrics.items():
        name = f"{prefix} {key}".strip().replace("_", " ")
        if isinstance(value, Mapping):
            lines.extend(flat(value, name))
        elif isinstance(value, bool):
            lines.append((name, "yes" if value else "no"))
        elif isinstance(value, int | float):
            lines.append((name, short(value)))
        elif isinstance(value, list | tuple):
            lines.append((name, ", ".join(map(str, value))))
        else:
            lines.append((name, "none" if value is None else str(value)))
    return lines


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 track`, `1,200 tracks`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def human_bytes(num_bytes: int) -> str:
    """`4.3 MB` (decimal)."""
    size = float(num_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{short(size)} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError("unreachable")


def _digests(manifests: Mapping[str, Manifest]) -> dict[str, str]:
    """Digest of every port that is known: read here, or taken in by a stage whose output is read here."""
    known: dict[str, str] = {}
    for manifest in manifests.values():
        known.update(manifest.inputs)
    known.update({port: m.digest for port, m in manifests.items()})
    return known


def _port(name: str, digest: str, manifest: Manifest | None) -> PortView:
    if manifest is None:
        label = FOLDERS.get(name, name)
    elif manifest.num_records is None:
        label = f"{FOLDERS.get(name, name)}, {human_bytes(sum(f.num_bytes for f in manifest.files))}"
    else:
        label = count(manifest.num_records, UNITS.get(name, "record"))
    reasons = reasons_of(manifest) if manifest else ()
    return PortView(name, label, digest[:DIGEST_LETTERS], manifest.status.get(OK, 0) if manifest else 0, reasons)
