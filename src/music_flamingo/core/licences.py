"""Licences of what a result was made with: stated by each tool and source, gathered from what really ran.

A configuration says by `uses` which tools stand behind it. Manifests carry the licences of their own stage and of all
before it, so a card lists those of its whole history.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict


class Licence(BaseModel):
    """A tool, a collection or a model that data were made with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tool: str
    licence: str
    """An SPDX name where there is one, else in words."""
    citation: str = ""
    """What its authors ask to be cited, without addresses; empty where they ask for nothing."""


def licences_of(config: Any) -> tuple[Licence, ...]:
    """Gather what a configuration uses, with all configurations inside it, each licence once and in order."""
    return united(_uses(config))


def united(*groups: Iterable[Licence]) -> tuple[Licence, ...]:
    """Join licences, each once, in order of first appearance."""
    return tuple(dict.fromkeys(licence for group in groups for licence in group))


def listed(licences: Iterable[Licence]) -> list[str]:
    """Write one line of Markdown a licence, with what its authors ask to be cited."""
    return [f"- {e.tool}: {e.licence}" + (f". Cite: {e.citation}" if e.citation else "") for e in licences]


def _uses(value: Any) -> Iterable[Licence]:
    if isinstance(value, BaseModel):
        yield from getattr(value, "uses", ())
        for name in type(value).model_fields:
            yield from _uses(getattr(value, name))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _uses(inner)
    elif isinstance(value, (tuple, list)):
        for inner in value:
            yield from _uses(inner)
