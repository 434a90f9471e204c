"""Composite questions of a track, whoever the teacher is: fixed words, and an answer that is logic over trusted facts.

There is nothing in them for a language model to add, so code writes them for every teacher, and they are stamped
`scripted`.
"""

import random
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, field_validator

from music_flamingo import __version__
from music_flamingo.core.hashing import sha256_json
from music_flamingo.core.ranges import CountOrNone
from music_flamingo.records import Facts, TeacherStamp
from music_flamingo.scoring.families import (
    COMPOSITES,
    FAMILIES,
    CompositeQuestion,
    FamilyNames,
    HeldOutCombinations,
    NamedPart,
    heard_in_facts,
)
from music_flamingo.teachers.payloads import SongFacts, WrittenQuestion
from music_flamingo.teachers.scripted.asking import asked
from music_flamingo.teachers.scripted.words import whole

PROMPT_ID = "composite"
"""Stands in their stamp; there is no prompt of that name, for nobody is asked."""


class CompositeRule(BaseModel):
    """Which composite questions a track gets, besides those that its teacher writes."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    parts: FamilyNames
    """Single families that may be part of one: what can be heard well enough to be reasoned with."""
    per_track: dict[str, CountOrNone]
    """Composite family -> questions a track; fewer where its facts have no more of them."""
    held_out: HeldOutCombinations | None
    """Combinations of parts that nothing is asked about, so that an exam can; null: none."""

    @field_validator("parts")
    @classmethod
    def _parts_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(value) - set(FAMILIES)):
            raise ValueError(f"no single families: {', '.join(unknown)}. There are {', '.join(FAMILIES)}.")
        return value

    @field_validator("per_track")
    @classmethod
    def _families_known(cls, value: dict[str, int]) -> dict[str, int]:
        if unknown := sorted(set(value) - set(COMPOSITES)):
            raise ValueError(f"no composite families: {', '.join(unknown)}. There are {', '.join(COMPOSITES)}.")
        return value


def composite_questions(facts: Facts, rule: CompositeRule, rng: random.Random) -> list[tuple[str, CompositeQuestion]]:
    """(family, question), drawn from the trusted facts of a track; both need not be there."""
    families = {name: FAMILIES[name] for name in rule.parts}
    heard = heard_in_facts(facts, families.values())

    def taught(parts: tuple[NamedPart, ...]) -> bool:
        return rule.held_out is None or not rule.held_out.holds_out(parts)

    return [
        (name, question)
        for name, count in sorted(rule.per_track.items())
        for question in COMPOSITES[name].draw_many(heard, families, count, rng, taught)
    ]


def write_composites(facts: Facts, shown: SongFacts, rule: CompositeRule, rng: random.Random) -> list[WrittenQuestion]:
    """The composite questions of a track in the form of a teacher's."""
    heard = heard_in_facts(facts, FAMILIES.values())
    return [
        asked(
            family,
            COMPOSITES[family].type,
            question.text,
            question.answer,
            _rationale(question, heard),
            [whole(shown)],
            COMPOSITES[family].options,
        )
        for family, question in composite_questions(facts, rule, rng)
    ]


def _rationale(question: CompositeQuestion, heard: Mapping[str, str]) -> str:
    return " ".join(FAMILIES[part.family].claims[heard[part.family]].short for part in question.parts)


def composite_stamp() -> TeacherStamp:
    """Who wrote them: this package's wordings, by their digest."""
    wordings = {name: composite.wording for name, composite in COMPOSITES.items()}
    return TeacherStamp(
        kind="scripted",
        model="scripted",
        revision=__version__,
        prompt_id=PROMPT_ID,
        prompt_sha256=sha256_json(wordings),
    )
