"""How a chain of thought comes about: written, split into steps, and mended where a step was not heard."""

from collections.abc import Sequence

from music_flamingo.records import Example, Facts, Step
from music_flamingo.scoring.families import FAMILIES
from music_flamingo.teachers import Teacher, ask
from music_flamingo.teachers.payloads import (
    ChainPayload,
    ChainStyle,
    Closed,
    DifficultyPayload,
    DifficultyReply,
    PlainStep,
    RewritePayload,
    SongFacts,
    SplitPayload,
    StepsReply,
    TextReply,
)


def rate(teacher: Teacher, example: Example, facts: Facts, seed: int) -> int:
    """1 to 5: how hard the teacher finds the question."""
    payload = DifficultyPayload(
        track_id=example.track_id,
        facts=SongFacts.of(facts, facts.duration_s or 0.0),
        family=example.family,
        question=example.question,
        answer=example.answer,
    )
    return ask(teacher, "difficulty", payload, DifficultyReply, seed, example.id).difficulty


def draft(
    teacher: Teacher,
    example: Example,
    facts: Facts,
    audible: Sequence[Example],
    evidence: Sequence[str],
    style: ChainStyle,
    seed: int,
) -> list[Step]:
    """The steps of a new chain, unchecked. `audible` are the track's closed questions that passed validation."""
    closed = [
        Closed(family=e.family, type=e.type, question=e.question, options=e.options, answer=e.answer)
        for e in audible
        if e.family in FAMILIES
    ]
    payload = ChainPayload(
        track_id=example.track_id,
        style=style,
        facts=SongFacts.of(facts, facts.duration_s or 0.0),
        closed=closed,
        family=example.family,
        question=example.question,
        options=example.options,
        answer=example.answer,
        rationale=example.rationale,
        evidence=list(evidence),
    )
    written = ask(teacher, "chain", payload, TextReply, seed, example.id).text
    split = SplitPayload(track_id=example.track_id, family=example.family, thinking=written, closed=closed)
    steps = ask(teacher, "step_split", split, StepsReply, seed, example.id).steps
    return [unchecked(step, None) for step in steps]


def mend(
    teacher: Teacher,
    step: Step,
    track_id: str,
    style: ChainStyle,
    fact_confidence: float,
    heard: str,
    heard_probability: float,
    restate_above: float,
    seed: int,
) -> Step:
    """The step rewritten, unchecked; it remembers what it said before."""
    payload = RewritePayload(
        track_id=track_id,
        style=style,
        step=PlainStep(text=step.text, family=step.family, claim=step.claim),
        fact_confidence=fact_confidence,
        heard=heard,
        heard_probability=heard_probability,
        restate_above=restate_above,
    )
    return unchecked(ask(teacher, "rewrite", payload, PlainStep, seed, step.text), step.text)


def unchecked(step: PlainStep, rewritten_from: str | None) -> Step:
    return Step(
        text=step.text,
        family=step.family,
        claim=step.claim,
        verdict="unchecked",
        confidence=0.0,
        rewritten_from=rewritten_from,
    )
