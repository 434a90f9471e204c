"""Checks of examples: each keeps an example (None) or gives the reason for which it is rejected.

The checks know the measured facts and read texts anew; they share no code with the teachers that wrote them. The
first reason counts. Reasons are counted, and rejects are kept under them.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from music_flamingo.quality.agreement import answer_agrees, rests_on
from music_flamingo.quality.claims import check_sense, reason_against_claims
from music_flamingo.quality.metadata import mentions_metadata
from music_flamingo.quality.texts import TextsOfTrack
from music_flamingo.records import Example, Facts
from music_flamingo.records.caption import PUBLISHED_KIND
from music_flamingo.scoring.normalise import same_answer
from music_flamingo.scoring.options import names_its_options

CONTROL_TOKEN = re.compile(
    r"</?(think|answer|sound|audio|s|tool_call)>|<\|[^|>]{0,40}\|>|\[/?INST\]|<<SYS>>", re.IGNORECASE
)
"""What could pass for markup of a conversation: it never belongs into a text to train on."""


class Limits(BaseModel):
    """What the checks compare with."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    max_question_words: int = Field(ge=1)
    max_answer_words: int = Field(ge=1)
    """Of an answer to a question; captions have their own limit."""
    max_caption_words: int = Field(ge=1)
    """Paper: rich captions have 452 words on average."""
    max_rationale_words: int = Field(ge=1)
    max_characters: int = Field(ge=1)
    """Of any text: a word may be of any length."""
    min_distractors: int = Field(ge=1)
    max_distractors: int = Field(ge=1)
    """Paper: 3 to 8. Questions with options of their own (yes, no) are not held to the least."""
    near_duplicate: float = Field(gt=0, le=1)
    """Two examples of a track with equal answers and figures that share this part of their other words say the same."""
    unmeasured_claims: Literal["reject", "keep_for_judge"]
    """A claim that no tool measures (a genre, a singer's voice): rejected, or kept for an audio judge that hears it.
    Figures, keys and chords are rejected without a fact either way."""
    published: Literal["check", "pass"]
    """Texts that others published: held against the facts like all, or looked at for their form alone."""


@dataclass
class Song:
    """What is known of the track an example speaks of, and the texts kept of it so far."""

    facts: Facts
    duration_s: float
    limits: Limits
    names: tuple[str, ...] = ()
    """The track's title, artist and file name: never to be said."""
    said: TextsOfTrack = field(init=False)

    def __post_init__(self) -> None:
        self.said = TextsOfTrack(self.limits.near_duplicate)


Check = Callable[[Example, Song], str | None]


def texts_of(example: Example) -> list[str]:
    """All texts of an example: question, answer, rationale, options, labels and structured values."""
    labels = [r.label for r in example.references if r.label]
    values = [value for category in example.structured for value in category.values]
    return [example.question, example.answer, example.rationale, *example.options, *labels, *values]


def check_control_tokens(example: Example, song: Song) -> str | None:
    """Reject a text that holds a control token of the tokenizer."""
    marked = (text for text in texts_of(example) if "<" in text or "[" in text)
    return "control_tokens" if any(CONTROL_TOKEN.search(text) for text in marked) else None


def check_length(example: Example, song: Song) -> str | None:
    """Reject an example with an empty text or more words than the limits allow."""
    limits = song.limits
    if not example.question.strip() or not example.answer.strip():
        return "empty_text"
    most = limits.max_caption_words if example.type == "caption" else limits.max_answer_words
    too_long = (
        len(example.question.split()) > limits.max_question_words
        or len(example.answer.split()) > most
        or len(example.rationale.split()) > limits.max_rationale_words
        or any(len(text) > limits.max_characters for text in texts_of(example))
    )
    return "overlong_text" if too_long else None


def check_options(example: Example, song: Song) -> str | None:
    """The right answer is there, once, also under another name (C# minor and Db minor)."""
    options = example.options
    if not options:
        return "options_missing" if example.type == "multiple_choice" else None
    if example.answer not in options:
        return "answer_not_among_options"
    if any(same_answer(one, other) for i, one in enumerate(options) for other in options[:i]):
        return "options_mean_the_same"
    if len(options) - 1 > song.limits.max_distractors:
        return "too_many_options"
    few = len(options) - 1 < song.limits.min_distractors and example.type == "multiple_choice"
    return "too_few_options" if few and not names_its_options(example.question, options) else None


def check_references(example: Example, song: Song) -> str | None:
    """References lie inside the recording (to a frame of a codec), and a chord cited is a chord heard there."""
    for reference in example.references:
        if not 0 <= reference.start_s <= reference.end_s <= song.duration_s + 0.1:
            return "reference_outside"
        if reference.kind == "chords" and not _sounds(reference.label, reference.start_s, reference.end_s, song.facts):
            return "reference_wrong_chord"
    return None


def _sounds(label: str | None, start_s: float, end_s: float, facts: Facts) -> bool:
    segments = facts.chords.segments if facts.chords else []
    return any(s.label == label and s.start_s < end_s and s.end_s > start_s for s in segments)


def confidences(family: str, facts: Facts) -> dict[str, float]:
    """Fact -> how sure its tool is, for the facts that a family's answer rests on."""
    measured = {name: getattr(facts, name) for name in rests_on(family)}
    return {name: fact.confidence for name, fact in measured.items() if fact is not None}


def check_answer(example: Example, song: Song) -> str | None:
    """Reject an answer that contradicts the measured facts."""
    return None if answer_agrees(example, song.facts) else "contradicts_facts"


def check_claims(example: Example, song: Song) -> str | None:
    """`contradicts_tempo:...`, `covered_by_no_rule:...`: a text says what the facts do not bear out."""
    by_ear = song.limits.unmeasured_claims == "keep_for_judge"
    return reason_against_claims(example, song.facts, by_ear, agreed=True)


def check_senseless(example: Example, song: Song) -> str | None:
    """`senseless_...`: an answer that answers nothing."""
    return check_sense(example)


def check_metadata(example: Example, song: Song) -> str | None:
    """`mentions_metadata`: a question or a caption says the track's title, artist or file, or speaks of its sources."""
    texts = (example.question, example.answer, example.rationale)
    return "mentions_metadata" if any(mentions_metadata(text, song.names) for text in texts) else None


def check_duplicate(example: Example, song: Song) -> str | None:
    """`near_duplicate_of:<id>`: the first of two that say the same of a track stays."""
    earlier = song.said.find(example)
    return f"near_duplicate_of:{earlier}" if earlier is not None else None


CHECKS: tuple[Check, ...] = (
    check_control_tokens,
    check_length,
    check_options,
    check_references,
    check_senseless,
    check_answer,
    check_claims,
    check_metadata,
    check_duplicate,
)


FORM_CHECKS: tuple[Check, ...] = (check_control_tokens, check_length, check_options, check_references)


def reason_against(example: Example, song: Song, checks: Sequence[Check] = CHECKS) -> str | None:
    """The first reason to reject, or None; an example that is kept counts as seen."""
    if song.limits.published == "pass" and example.teacher.kind == PUBLISHED_KIND:
        checks = FORM_CHECKS
    for check in checks:
        if reason := check(example, song):
            return reason
    song.said.add(example)
    return None
