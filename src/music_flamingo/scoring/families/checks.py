"""Checks of a chain of thought about a composite question: what is heard of each part, and right or wrong.

`Notes are decaying: wrong.` checks the part `sustained notes`. Read strictly: a sentence of another form is no check.
"""

import re
from dataclasses import dataclass
from functools import cache, lru_cache

from music_flamingo.scoring.families.composite import RIGHT, WRONG, Composite, NamedPart
from music_flamingo.scoring.families.registry import COMPOSITES, FAMILIES

_SECONDS = re.compile(r"\[\d+:\d\d-\d+:\d\d\]\s*")
"""Of a step that names the seconds it rests on (scoring/timed.py)."""


def composite_of(family: str) -> Composite | None:
    """Give the kind of composite question of this name; None for any other family."""
    return COMPOSITES.get(family)


@lru_cache(maxsize=65536)
def parts_asked(family: str, question: str) -> tuple[NamedPart, ...] | None:
    """Read the parts of a composite question; None for another family or other words."""
    composite = COMPOSITES.get(family)
    return composite.read(question, FAMILIES) if composite else None


def check_sentence(part: NamedPart, heard: str, style: str) -> str:
    """Say what is heard of a part's family and whether the part holds, in a chain's style (`short` or `full`)."""
    claim = FAMILIES[part.family].claims[heard]
    verdict = RIGHT if heard == part.value else WRONG
    said = claim.in_style(style).rstrip(".")
    if style == "short":
        return f"{said}: {verdict}."
    return f"{said}: {FAMILIES[part.family].claims[part.value].phrase}, {verdict}."


@cache
def check_sentences() -> dict[str, tuple[str, str]]:
    """Sentence of a check, in either style -> (family, what is heard)."""
    return {
        check_sentence(NamedPart(family.name, asked), heard, style): (family.name, heard)
        for family in FAMILIES.values()
        for asked in family.options
        for heard in family.options
        for style in ("short", "full")
    }


def without_verdict(sentence: str) -> str:
    """Give what a check says of the sound, without its right or wrong; any other sentence as it is."""
    found = check_sentences().get(sentence)
    if found is None:
        return sentence
    claim = FAMILIES[found[0]].claims[found[1]]
    return claim.short if sentence.startswith(claim.short.rstrip(".")) else claim.full


@dataclass(frozen=True)
class ChainReading:
    """What the checks in a thought about a composite question come to."""

    heard: dict[str, str]
    """Family -> what the chain says is heard, of the families asked for."""
    is_whole: bool
    """Every part is checked, each verdict fits, and nothing is checked twice with two results."""
    is_faithful: bool
    """It is whole, and the answer given follows from its checks."""


def read_chain(family: str, question: str, thinking: str, answer: str | None) -> ChainReading | None:
    """Read a thought and hold the answer against it; None where the question is no composite one."""
    composite, parts = COMPOSITES.get(family), parts_asked(family, question)
    if composite is None or parts is None:
        return None
    checks = _checks_of(parts)
    found = [checks[sentence] for sentence in _sentences(thinking) if sentence in checks]
    heard = dict(found)
    is_whole = set(found) == set(heard.items()) and all(part.family in heard for part in parts)
    return ChainReading(heard, is_whole, is_whole and answer == composite.follows(parts, heard))


@cache
def _checks_of(parts: tuple[NamedPart, ...]) -> dict[str, tuple[str, str]]:
    """Sentence -> (family, what is heard), of the checks of these parts whose verdict fits what they say is heard."""
    return {
        check_sentence(part, heard, style): (part.family, heard)
        for part in parts
        for heard in FAMILIES[part.family].options
        for style in ("short", "full")
    }


def _sentences(thinking: str) -> list[str]:
    untimed = _SECONDS.sub("", thinking.replace("\n", " "))
    return [f"{s.strip()}." for s in untimed.split(".") if s.strip()]
