"""Every tool of every fact: one choice with its licence, one row of docs/reference/mir.md, one place in a union."""

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, get_args

import pytest

from music_flamingo.core.licences import licences_of
from music_flamingo.mir.choices import OpinionsChoice, ToolChoice
from music_flamingo.mir.choices.base import identity_of
from music_flamingo.mir.choices.keys import EssentiaKeys, VotedKeys
from music_flamingo.stages.facts import FactsConfig, Toolbox

PAGE = (Path(__file__).parents[2] / "docs/reference/mir.md").read_text()
FACT_OF = {
    "beats": "beats, downbeats, tempo",
    "key_changes": "key changes",
    "sound": "drums, texture, envelope",
    "instruments": "instruments, voice",
    "opinions.tempo": "tempo, second opinion",
}
"""How the page calls a field of the configuration, where it is not called alike."""


def choices_in(annotation: Any) -> Iterator[type[ToolChoice]]:
    """The tools among which a field's annotation lets one choose."""
    if isinstance(annotation, type) and issubclass(annotation, ToolChoice):
        yield annotation
    for part in get_args(annotation):
        yield from choices_in(part)


def documented() -> dict[tuple[str, str], str]:
    """The rows of the page's table by fact and kind."""
    rows, fact = {}, ""
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 6 and (kind := re.match(r"`(\w+)`", cells[1])):
            fact = cells[0] or fact
            rows[fact, kind[1]] = line
    return rows


def chosen() -> Iterator[tuple[str, type[ToolChoice]]]:
    """Each fact's field with each tool that can be chosen for it."""
    for name in (field.name for field in fields(Toolbox) if field.name != "opinions"):
        yield from ((name, choice) for choice in choices_in(FactsConfig.model_fields[name].annotation))
    yield from (("opinions.tempo", choice) for choice in choices_in(OpinionsChoice.model_fields["tempo"].annotation))


CHOSEN = list(chosen())


class Weighed(ToolChoice):
    """A tool that counts by what lies in its folder."""

    kind: Literal["weighed"]
    folder: str

    def identity(self) -> dict[str, Any]:
        return {"kind": self.kind, "folder": "sha256 of " + self.folder}


class Pair(ToolChoice):
    """Tools inside a tool."""

    first: Weighed
    others: tuple[Weighed, ...]
    level: float


@pytest.mark.parametrize(("name", "choice"), CHOSEN, ids=[f"{n}-{c.__name__}" for n, c in CHOSEN])
def test_every_tool_stands_on_the_page_with_the_licence_it_states(name: str, choice: type[ToolChoice]) -> None:
    (kind,) = get_args(choice.model_fields["kind"].annotation)
    row = documented().get((FACT_OF.get(name, name), kind))
    assert row, f"docs/reference/mir.md has no row for {FACT_OF.get(name, name)}: `{kind}`"
    for licence in choice.uses:
        stated = licence.licence.removeprefix("as their card states").removeprefix("as its operator states")
        assert stated in row, f"{kind} states {licence.licence}; its row does not"


def test_all_tools_of_the_page_can_be_chosen() -> None:
    kinds = {(FACT_OF.get(name, name), *get_args(choice.model_fields["kind"].annotation)) for name, choice in CHOSEN}
    others = {("chords, second opinion", "templates")}
    ingest = {(fact, kind) for fact, kind in documented() if fact.endswith("(ingest)")}
    assert set(documented()) - ingest - others == kinds


def test_a_tool_inside_another_counts_by_its_weights_too() -> None:
    one, two = Weighed(kind="weighed", folder="a"), Weighed(kind="weighed", folder="b")
    found = Pair(first=one, others=(one, two), level=0.5).identity()
    assert found == {"first": one.identity(), "others": [one.identity(), two.identity()], "level": 0.5}
    assert identity_of(None, None) is None


def test_a_vote_uses_what_its_voters_use() -> None:
    vote = VotedKeys(kind="vote", voters=(EssentiaKeys(kind="essentia", profiles=("braw",)),))
    assert licences_of(vote) == EssentiaKeys.uses


def test_each_tool_of_the_toolbox_has_its_choice() -> None:
    assert {field.name for field in fields(Toolbox)} <= set(FactsConfig.model_fields)
