"""Build the questions of scripted writers."""

import random
from collections.abc import Sequence

from music_flamingo.records import Reference
from music_flamingo.records.example import QuestionType, Skill
from music_flamingo.scoring.families import FAMILIES, on_sound
from music_flamingo.teachers.payloads import SongPayload, WrittenQuestion
from music_flamingo.teachers.scripted.words import one_of, whole


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


def reworded_of(skill: Skill, payload: SongPayload, rng: random.Random) -> list[WrittenQuestion]:
    """Ask the other questions of a skill about what is heard of the players, where the facts answer them."""
    asking = ((family, other) for family in on_sound() for other in family.reworded if other.skill == skill)
    questions = []
    for family, other in asking:
        if family.claim and (heard := family.claim.answer(payload.facts)):
            answer, rationale = other.answers[heard]
            wording, shown = one_of(other.wordings, rng), [whole(payload.facts)]
            questions.append(asked(other.name, other.type, wording, answer, rationale, shown, other.options))
    return questions


def _rationale(family: str, answer: str, because: str) -> str:
    claim = FAMILIES[family].claims[answer]
    return f"{claim.short} {because or claim.full}"
