"""Chains of thought: write, split into steps, rewrite the steps that the probe rejects."""

from collections.abc import Sequence
from dataclasses import dataclass

from music_flamingo.records import Example, Facts, Step
from music_flamingo.records.chain import HeardClaim
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
    RewriteReply,
    SongFacts,
    SplitPayload,
    StepsReply,
    TextReply,
    TimedChainPayload,
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
    heard: Sequence[HeardClaim] = (),
) -> list[Step]:
    """The steps of a new chain, unchecked. `audible` are the track's closed questions that passed validation.

    With `heard` the steps name the seconds they rest on.
    """
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
    prompt_id = "chain"
    if heard:
        prompt_id, payload = "chain_seconds", TimedChainPayload(**dict(payload), seconds=list(heard))
    written = ask(teacher, prompt_id, payload, TextReply, seed, example.id).text
    split = SplitPayload(track_id=example.track_id, family=example.family, thinking=written, closed=closed)
    steps = ask(teacher, "step_split", split, StepsReply, seed, example.id).steps
    return [unchecked(step, None) for step in steps]


@dataclass(frozen=True)
class Doubt:
    """Why a step is to be mended."""

    fact_confidence: float
    """How sure the tool is of the fact behind the claim; 0 for a step in free words."""
    heard: str
    """What the checking model takes to be right: an option of the claim's question, or `no` to a step in free words."""
    probability: float
    restate_above: float


def mend(
    teacher: Teacher, step: Step, doubt: Doubt, track_id: str, style: ChainStyle, facts: Facts, seed: int
) -> tuple[Step, bool]:
    """(the step rewritten, unchecked; whether it claims anything still). It remembers what it said before."""
    payload = RewritePayload(
        track_id=track_id,
        style=style,
        step=PlainStep(text=step.text, family=step.family, claim=step.claim),
        fact_confidence=doubt.fact_confidence,
        heard=doubt.heard,
        heard_probability=doubt.probability,
        restate_above=doubt.restate_above,
        facts=None if step.family else SongFacts.of(facts, facts.duration_s or 0.0),
    )
    reply = ask(teacher, "rewrite", payload, RewriteReply, seed, step.text)
    return unchecked(reply, step.text), not reply.withdrawn


def unchecked(step: PlainStep, rewritten_from: str | None) -> Step:
    """Make a record of a step that was not probed yet."""
    return Step(
        text=step.text,
        family=step.family,
        claim=step.claim,
        verdict="unchecked",
        confidence=0.0,
        rewritten_from=rewritten_from,
    )
