"""One chain of thought: drafted, checked step by step, mended once where that is allowed (paper, MF-Think)."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from music_flamingo.quality.checks import confidences
from music_flamingo.quality.claims import reason_against_steps
from music_flamingo.quality.difficulty import Difficulty
from music_flamingo.quality.steps import (
    OptionProbabilities,
    StepLimits,
    in_free_words,
    judge,
    reason_against_text,
    reason_to_discard,
)
from music_flamingo.quality.timed_steps import reason_against_seconds
from music_flamingo.records import Chain, Example, Facts, Step
from music_flamingo.records.chain import HeardClaim
from music_flamingo.scoring.families import COMPOSITES, evidence_of, parts_asked
from music_flamingo.scoring.timed import heard_claims
from music_flamingo.teachers import Teacher, TeacherFailedError, request_seed, stamp
from music_flamingo.teachers.payloads import ChainStyle
from music_flamingo.teachers.thinking import Doubt, draft, mend

Affirm = Callable[[str, Sequence[str]], Mapping[str, float]]
"""(track id, sentences) -> the model's probability of yes to each."""


@dataclass(frozen=True)
class Manner:
    """How chains are written and judged."""

    style: ChainStyle
    limits: StepLimits
    seed: int
    checks: tuple[float, ...] = ()
    """How often a chain about a composite question has 1, 2, 3 ... checks, in proportion; empty: always all."""
    name_seconds: bool = False
    """Steps say at which seconds their claim is heard, as far as that was measured."""


@dataclass(frozen=True)
class Topic:
    """A question to write a chain for, and what is known of its track."""

    example: Example
    facts: Facts
    audible: list[Example]
    """The track's closed questions that passed validation."""
    heard: Mapping[str, OptionProbabilities]
    """What the model made of them, by family."""
    difficulty: Difficulty
    names: tuple[str, ...] = ()
    """Title, artist and file: never to be said."""


def write_chain(manner: Manner, teacher: Teacher, topic: Topic, affirm: Affirm | None) -> Chain:
    """One chain; `status` says whether it stands. Without `affirm` steps in free words stay unchecked."""
    example = topic.example
    heard = heard_claims(topic.facts) if manner.name_seconds else []
    try:
        steps, reason = _checked_steps(manner, teacher, topic, affirm, heard)
        reason = reason or reason_against_steps(steps, topic.facts) or reason_against_seconds(steps, topic.facts)
    except TeacherFailedError as error:
        steps, reason = [], error.reason
    chain = Chain(
        id=f"{example.id}/chain",
        example_id=example.id,
        references=example.references,
        track_id=example.track_id,
        work_id=example.work_id,
        split=example.split,
        family=example.family,
        question=example.question,
        options=example.options,
        answer=example.answer,
        steps=steps,
        thinking=" ".join(step.text for step in steps),
        difficulty=topic.difficulty,
        teacher=stamp(teacher, "chain_seconds" if heard else "chain"),
        heard=heard,
    )
    return chain.quarantined(reason) if reason else chain


def _checked_steps(
    manner: Manner, teacher: Teacher, topic: Topic, affirm: Affirm | None, heard: Sequence[HeardClaim]
) -> tuple[list[Step], str | None]:
    """(steps, reason to discard them or None) after at most one rewrite."""
    example, limits = topic.example, manner.limits
    evidence = evidence_for(example, manner)
    steps = draft(teacher, example, topic.facts, topic.audible, evidence, manner.style, manner.seed, heard)
    if reason := reason_against_text(steps, limits, topic.names) or _reason_against_number(steps, example, manner):
        return steps, reason
    steps = _check(steps, topic, limits, affirm, frozenset())
    reason = reason_to_discard(steps, example.family, limits) or _reason_against_checks(steps, example)
    if reason or all(step.verdict != "wrong" for step in steps):
        return steps, reason
    mended = [_mended(manner, teacher, step, topic) if step.verdict == "wrong" else (step, True) for step in steps]
    steps = [step for step, _ in mended]
    if reason := reason_against_text(steps, limits, topic.names):
        return steps, reason
    steps = _check(steps, topic, limits, affirm, frozenset(step.text for step, claims in mended if not claims))
    return steps, "wrong_after_rewrite" if any(step.verdict == "wrong" for step in steps) else None


def evidence_for(example: Example, manner: Manner) -> tuple[str, ...]:
    """What a chain goes through first: of a composite question the first of its parts, as many as are drawn for it.

    Where fewer parts are asked about than checks are drawn, all are gone through: a question of two parts is left open
    less often than one of three. Chains that differ in thoroughness are what GRPO can choose from.
    """
    evidence = evidence_of(example.family, example.question)
    if parts_asked(example.family, example.question) is None or not manner.checks:
        return evidence
    rng = random.Random(request_seed(manner.seed, "checks", [example.id]))
    return evidence[: 1 + rng.choices(range(len(manner.checks)), manner.checks)[0]]


def _reason_against_number(steps: Sequence[Step], example: Example, manner: Manner) -> str | None:
    """`one_step`: a chain for a reader that says one thing reasons from nothing; None for a composite question."""
    is_bare = manner.style == "full" and len(steps) < 2 and parts_asked(example.family, example.question) is None
    return "one_step" if is_bare else None


def _reason_against_checks(steps: Sequence[Step], example: Example) -> str | None:
    """`check_not_heard`, `does_not_follow`: a check cannot be mended without its answer; None for other questions."""
    parts = parts_asked(example.family, example.question)
    if parts is None:
        return None
    if any(step.verdict == "wrong" for step in steps):
        return "check_not_heard"
    follows = COMPOSITES[example.family].follows(parts, {step.family: step.claim for step in steps if step.family})
    return "does_not_follow" if follows not in (None, example.answer) else None


def _check(
    steps: list[Step], topic: Topic, limits: StepLimits, affirm: Affirm | None, withdrawn: frozenset[str]
) -> list[Step]:
    """The steps judged; those that claim nothing any more are not asked for."""
    texts = [text for text in in_free_words(steps, topic.heard) if text not in withdrawn] if affirm else []
    affirmed = affirm(topic.example.track_id, texts) if affirm and texts else {}
    return judge(steps, topic.example.family, topic.heard, limits, affirmed)


def _mended(manner: Manner, teacher: Teacher, step: Step, topic: Topic) -> tuple[Step, bool]:
    if step.checked_by == "claim":
        heard = topic.heard[step.family]
        sure = min(confidences(step.family, topic.facts).values(), default=0.0)
        doubt = Doubt(sure, heard.best, heard.probabilities[heard.best], manner.limits.restate_above)
    else:
        doubt = Doubt(0.0, "no", 1.0 - step.confidence, manner.limits.restate_above)
    track_id = topic.example.track_id
    return mend(teacher, step, doubt, track_id, manner.style, topic.facts, manner.seed)
