"""Chains of thought: what is heard, fact by fact, up to the answer; split into steps; mended where a step was wrong."""

import random
import re
from collections.abc import Mapping

from music_flamingo.scoring.families import FAMILIES, SHORT_CAPTION, check_sentence, parts_asked
from music_flamingo.scoring.timed import claims_by_words, longest_of, spoken_span, without_span
from music_flamingo.teachers.payloads import (
    ChainPayload,
    PlainStep,
    RewritePayload,
    RewriteReply,
    SplitPayload,
    StepsReply,
    TextReply,
    TimedChainPayload,
)
from music_flamingo.teachers.scripted.reasoned import reasons_of

_SENTENCE = re.compile(r"\S(?:[^.!?]|[.!?]+(?![.!?\s]|$))*[.!?]*")
"""Ends at a mark before a space: the point of `0.4 s` ends none."""

NOT_HEARD = "The rest of it cannot be told for sure."
"""What stands for a sentence in free words that was not heard: nothing is claimed."""


def write_chain(payload: ChainPayload, rng: random.Random) -> TextReply:
    """The evidence, as far as there are facts for it, then the step that holds the answer.

    Of a composite question each part in the evidence is checked: what is heard, right or wrong.
    """
    answers = {c.family: c.answer for c in payload.closed}
    if (parts := parts_asked(payload.family, payload.question)) is not None:
        checked = [part for part in parts if part.family in payload.evidence and part.family in answers]
        checks = [check_sentence(part, answers[part.family], payload.style) for part in checked]
        return TextReply(text=" ".join(checks) or "Listen to the whole piece.")
    sentences = _evidence(payload, answers)
    if payload.family in FAMILIES:
        sentences.append(FAMILIES[payload.family].claims[payload.answer].in_style(payload.style))
    elif payload.rationale and (payload.style == "short" or not reasons_of(payload)):
        sentences.append(payload.rationale)
    return TextReply(text=" ".join(sentences) or "Listen to the whole piece.")


def _evidence(payload: ChainPayload, answers: Mapping[str, str]) -> list[str]:
    """What comes before the answer: for a reader what it follows from, for a small model what else is heard.

    A reader learns nothing about drums from the texture; a small model listens better after it (docs/decisions/253).
    """
    if payload.style == "full" and payload.family != SHORT_CAPTION:
        return reasons_of(payload)
    said = [family for family in payload.evidence if family in answers and family != payload.family]
    return [FAMILIES[family].claims[answers[family]].in_style(payload.style) for family in said]


def write_timed_chain(payload: TimedChainPayload, rng: random.Random) -> TextReply:
    """The same chain; a sentence that claims what is heard at some seconds begins with the longest of them."""
    longest = longest_of(payload.seconds)
    timed = []
    for sentence in sentences_of(write_chain(payload, rng).text):
        heard = longest.get(claims_by_words().get(sentence, ("", "")))
        timed.append(f"{spoken_span(heard.start_s, heard.end_s)} {sentence}" if heard else sentence)
    return TextReply(text=" ".join(timed))


def sentences_of(text: str) -> list[str]:
    """The sentences of a chain, in order."""
    return [stripped for sentence in _SENTENCE.findall(text) if (stripped := sentence.strip())]


def split_steps(payload: SplitPayload, rng: random.Random) -> StepsReply:
    """One step a sentence; a sentence from the table of claims carries its claim."""
    sentences = sentences_of(payload.thinking)
    steps = [(text, *claims_by_words().get(without_span(text), ("", ""))) for text in sentences]
    return StepsReply(steps=[PlainStep(text=text, family=family, claim=claim) for text, family, claim in steps])


def rewrite_step(payload: RewritePayload, rng: random.Random) -> RewriteReply:
    """Restate a step as it was heard when the tool is the less sure of the two; else withdraw its claim."""
    family = payload.step.family
    if family not in FAMILIES:
        return RewriteReply(text=NOT_HEARD, family="", claim="", withdrawn=True)
    if payload.heard_probability >= payload.restate_above and payload.fact_confidence < payload.heard_probability:
        restated = FAMILIES[family].claims[payload.heard]
        text = restated.in_style(payload.style)
        return RewriteReply(text=text, family=family, claim=payload.heard, withdrawn=False)
    return RewriteReply(text=FAMILIES[family].unclear.in_style(payload.style), family="", claim="", withdrawn=True)
