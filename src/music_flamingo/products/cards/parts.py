"""Sections shared by several cards: words, teachers, tools, places, rejects, configurations, licences."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from music_flamingo.core.licences import Licence, listed
from music_flamingo.core.manifest import Manifest
from music_flamingo.products.cards.figures import DURATION_EDGES_S, TrackFigures
from music_flamingo.products.cards.front_matter import SPLITS
from music_flamingo.products.cards.tables import Spread, table

PRIVATE = ("source", "teacher", "teachers", "judge", "listener", "transcriber")
"""Parts of a configuration that may name paths and addresses: a card shows their `kind` and `model` alone."""


def words_section(words: Mapping[str, Counter[int]]) -> list[str]:
    """Section on the lengths of texts, in words."""
    rows = [(name, *Spread.of(counts).cells) for name, counts in sorted(words.items())]
    return ["## Lengths in words", "", *table(["text", "number", "least", "median", "mean", "most"], rows), ""]


def reasons_section(reasons: Counter[str], number: int, where: str) -> list[str]:
    """`where` names the port that keeps them."""
    if not number:
        return ["## Rejects", "", "None.", ""]
    told = f"{number} did not pass; they lie in `{where}` with their reason as `status`."
    return ["## Rejects", "", told, "", *table(["reason", "records"], _largest_first(reasons)), ""]


def teachers_section(teachers: Counter[tuple[str, ...]]) -> list[str]:
    """Section on the teachers that wrote the texts."""
    rows = [(*stamp, n) for stamp, n in sorted(teachers.items())]
    lines = ["## Who wrote the words", ""]
    if any(stamp[0] == "scripted" for stamp in teachers):
        lines += ["`scripted`: deterministic writers from facts and music theory; no language model wrote these.", ""]
    head = ["teacher", "model", "revision", "prompt", "sha256 of the prompt", "records"]
    return [*lines, *table(head, rows), ""]


def music_section(found: TrackFigures) -> list[str]:
    """Tracks by split, place and length, and the sources they came from."""
    hours = f"{found.tracks} recordings, {found.seconds / 3600:.2f} hours; works never share a split."
    rows = [(s, found.by_split[s], len(found.works.get(s, ()))) for s in SPLITS]
    lines = ["## The music", "", hours, "", *table(["split", "recordings", "works"], rows), ""]
    for place, counts in found.places.items():
        shown = [(v, n, f"{found.place_seconds[place, v] / 3600:.2f}") for v, n in _largest_first(counts)]
        lines += [*table([place, "recordings", "hours"], shown), ""]
    lengths = [(_bin(k), n) for k, n in sorted(found.durations.items())]
    lines += [*table(["length", "recordings"], lengths), ""]
    return [*lines, *table(["source", "recordings"], _largest_first(found.sources)), ""]


def _bin(index: int) -> str:
    start = f"{DURATION_EDGES_S[index]} s"
    return f"{start} to {DURATION_EDGES_S[index + 1]} s" if index + 1 < len(DURATION_EDGES_S) else f"{start} and more"


def tools_section(tools: Counter[tuple[str, str, str]]) -> list[str]:
    """Section on the tools that measured the facts, with versions."""
    rows = [(*key, n) for key, n in sorted(tools.items())]
    return ["## Tools that measured the facts", "", *table(["fact", "tool", "version", "recordings"], rows), ""]


def licences_section(licences: Sequence[Licence]) -> list[str]:
    """Section on the licences of tools and collections."""
    told = "The audio keeps its own rights; a recording's `uri` says where it comes from. Labels were made with:"
    return ["## Licences", "", told, "", *listed(licences), ""]


def made_section(manifests: Sequence[Manifest], own: tuple[str, Mapping[str, Any]]) -> list[str]:
    """The configuration of each stage, from the manifests of its outputs and, for the stage that writes, its own."""
    lines = ["## How it was made", "", "`mf explain ID` tells how any record came to be. Configurations:", ""]
    told = [(m.stage, m.config, f"; gave `{m.port}` with digest {m.digest}") for m in manifests]
    for stage, config, gave in [*told, (*own, "")]:
        text = yaml.safe_dump(public(config), sort_keys=True, allow_unicode=True).rstrip()
        lines += [f"`{stage}`{gave}", "", "```yaml", *text.splitlines(), "```", ""]
    return lines


def public(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without what may name machines, paths or accounts."""
    shown: dict[str, Any] = {}
    for name, value in config.items():
        if name in PRIVATE and isinstance(value, Mapping):
            shown[name] = {k: value[k] for k in ("kind", "model", "revision") if k in value}
        elif isinstance(value, Mapping):
            shown[name] = public(value)
        elif name != "licences" and not name.endswith(("path", "url", "key_env")):
            shown[name] = value
    return shown


def _largest_first(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def card(
    title: str, lead: str, loading: str, body: Sequence[str], limits: Sequence[str], licences: Sequence[Licence]
) -> str:
    """The page of a card below its front matter: what it is, how to load it, what is in it, limits, licences."""
    return "\n".join(
        [
            f"# {title}",
            "",
            lead,
            "",
            "## How to load it",
            "",
            *loading.splitlines(),
            "",
            *body,
            "## Known limits",
            "",
            *(f"- {limit}" for limit in limits),
            "",
            *licences_section(licences),
        ]
    )
