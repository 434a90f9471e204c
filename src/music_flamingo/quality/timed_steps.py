"""Check the seconds that a step names against what was measured at those seconds."""

from collections.abc import Sequence

from music_flamingo.records import Facts, Step, during
from music_flamingo.scoring.claims import judge, read_claims
from music_flamingo.scoring.families import without_verdict
from music_flamingo.scoring.timed import claims_by_words, heard_claims, holds_there, span_of, without_span

TOLERANCE_S = 1.0
"""Spans are written in whole seconds: the end of a recording is rounded up."""


def reason_against_seconds(steps: Sequence[Step], facts: Facts) -> str | None:
    """`seconds_outside:...`, `not_at_these_seconds:...`: the first step whose seconds do not bear it out; else None.

    A step without seconds, and one of which nothing is measured at its seconds, stands.
    """
    heard = heard_claims(facts)
    for step in steps:
        span = span_of(step.text)
        if span is None:
            continue
        start_s, end_s = span
        if not start_s < end_s or (facts.duration_s is not None and end_s > facts.duration_s + TOLERANCE_S):
            return f"seconds_outside:{step.text[:60]!r}"
        words = without_span(step.text)
        family, claim = claims_by_words().get(words, (step.family, step.claim))
        if family and holds_there(family, claim, span, heard) is False:
            return f"not_at_these_seconds:{step.text[:60]!r}"
        there = during(facts, start_s, end_s)
        if any(judge(c, there).verdict == "contradicted" for c in read_claims(without_verdict(words))):
            return f"not_at_these_seconds:{step.text[:60]!r}"
    return None
