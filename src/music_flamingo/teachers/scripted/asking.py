"""How scripted writers put a question together."""

from collections.abc import Sequence

from music_flamingo.records import Reference
from music_flamingo.records.example import QuestionType, Skill
from music_flamingo.scoring.families import FAMILIES
from music_flamingo.teachers.payloads import SongPayload, WrittenQuestion


def asked(
    family: str,
    kind: QuestionType,
    question: str,
    answer: str,
    rationale: str,
    references: Sequence[Reference],
    options: Sequence[str] = (),
) -> WrittenQuestion:
    """A question; multiple choice without options of its own gets its wrong options later."""
    return WrittenQuestion(
        family=family,
        type=kind,
        question=question,
        options=list(options),
        answer=answer,
        rationale=rationale,
        references=list(references),
        wants_distractors=kind == "multiple_choice" and not options,
    )


def audible(
    payload: SongPayload, family: str, references: Sequence[Reference], because: str = ""
) -> list[WrittenQuestion]:
    """The closed question of an audible family, word for word, where the facts answer it."""
    return [
        asked(c.family, c.type, c.question, c.answer, _rationale(family, c.answer, because), references, c.options)
        for c in payload.closed
        if c.family == family
    ]


def audible_of(
    skill: Skill, payload: SongPayload, references: Sequence[Reference], but: Sequence[str] = ()
) -> list[WrittenQuestion]:
    """Ask the audible families of a skill in their order, without those (`but`) that its writer asks in its own way."""
    names = [family.name for family in FAMILIES.values() if family.skill == skill and family.name not in but]
    return [question for name in names for question in audible(payload, name, references)]


def _rationale(family: str, answer: str, because: str) -> str:
    claim = FAMILIES[family].claims[answer]
    return f"{claim.short} {because or claim.full}"
