"""Check every text of an example and every step of a chain against the facts, claim by claim.

A family's name is the teacher's word and decides nothing here: wording says what a question is about, and an answer
stands only where a fact supports it. Reasons name claim and fact: `contradicts_tempo:"140 bpm" is said, 103.9 BPM
measured`; what nobody measured is `covered_by_no_rule`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from music_flamingo.records import Example, Facts, Step
from music_flamingo.records.example import CATEGORIES
from music_flamingo.scoring.claims import (
    ClaimJudgement,
    SpokenClaim,
    grants_nothing,
    judge,
    plain,
    read_answer,
    read_claims,
    read_premises,
)
from music_flamingo.scoring.claims.base import unmeasured
from music_flamingo.scoring.claims.gates import has_digit, holds
from music_flamingo.scoring.claims.relations import RELATION
from music_flamingo.scoring.claims.times import FIGURE
from music_flamingo.scoring.families import FAMILIES, parts_asked, without_verdict
from music_flamingo.scoring.timed import without_span

NEVER_BY_EAR = frozenset({"tempo", "meter", "key", "chords", "count", "time", FIGURE, RELATION})
"""Kinds that no judge may confirm: figures, keys, chords and what relates them need a fact."""
WORDINGS: dict[str, str] = {
    "bpm": r"tempo|beats",
    "tempo_term": r"tempo",
    "bar_count": r"bars|downbeats|measures",
    "bar_start": r"\b(bar|measure|downbeat)\b",
    "second_section_start": r"section",
    "first_chord_change": r"harmony|chord",
    "tone_production": r"instrument|lead|tone|notes|sound",
    "vocal_sustain": r"voice",
    "dynamics_trend": r"loud|dynamic|level|volume",
    "dynamic_range": r"dynamic|range|loud",
    "key": r"\bkey\b",
    "relative_key": r"relative",
    "key_relation": r"\bkey\b.*related",
    "first_chord": r"chord",
    "last_chord": r"chord",
    "chord_at_time": r"chord",
    "num_chords": r"chords|triads",
    "roman_numeral": r"numeral",
    "cadence": r"cadence",
    "modal_mixture": r"borrowed",
    "harmonic_rhythm": r"harmony change",
    "lyrics_first_words": r"words|text|begin",
    "lyrics_line_count": r"lines",
    "lyrics_line_start": r"line",
    "lyrics_last_word": r"word",
    "louder_half": r"loud",
    "busier_half": r"harmony change",
    "leading_half": r"half.*louder",
    "same_outer_chords": r"chord",
    "section_count": r"sections",
    "instrument": r"instrument",
    "singing": r"sing",
    "genre": r"style|genre",
    "form": r"form|letters",
    "opening_returns": r"section|opening|come back|return",
    "longest_section": r"longest",
}
"""Family -> what its questions are worded with: under other words a family's rule says nothing about an answer."""
_NEEDS_A_CLAIM = frozenset({"genre", "bpm", "key", "meter", "instruments", "lyric_themes", "vocal_character"})


def first_reason(judgements: Iterable[ClaimJudgement], by_ear: bool) -> str | None:
    """Give the reason of the first claim that may not stand; contradictions before what nobody measured."""
    missing: str | None = None
    for judged in judgements:
        kind = judged.claim.kind
        if judged.verdict == "contradicted":
            return f"contradicts_{kind}:{judged.reason}"
        if judged.claim.is_guess:
            continue
        if judged.verdict == "unmeasured" and missing is None and not (by_ear and kind not in NEVER_BY_EAR):
            missing = f"covered_by_no_rule:{kind}: {judged.reason}"
    return missing


def reason_against_claims(example: Example, facts: Facts, by_ear: bool, agreed: bool) -> str | None:
    """Hold every text of an example against the facts; None where all of it may stand.

    `by_ear`: an audio judge will hear what nobody measured. `agreed`: a rule of the example's family bore its answer
    out.
    """
    settled = _is_settled(example, agreed)
    # a rule of the family bore the figures of its answer out, and what relates them
    judged = [
        (place, judge(claim, facts))
        for place, claim in claims_of(example, settled)
        if not (settled and (claim.kind == RELATION or (place == "answer" and claim.kind == FIGURE)))
    ]
    if reason := first_reason((judgement for _, judgement in judged), by_ear):
        return reason
    stands = ("supported", "unmeasured") if by_ear else ("supported",)
    if example.type == "caption":
        named = any(j.verdict in stands and not j.claim.is_place for _, j in judged)
        return None if named else "covered_by_no_rule:answer: the caption names nothing that was measured"
    of_rationale = [judgement for place, judgement in judged if place == "rationale"]
    if reason := _reason_against_rationale(example, of_rationale, stands, settled):
        return reason
    if settled or _is_supported((judgement for place, judgement in judged if place == "answer"), stands):
        return None
    return f"covered_by_no_rule:answer: {example.answer[:60]!r} names nothing that was measured"


def claims_of(example: Example, settled: bool = False) -> Iterator[tuple[str, SpokenClaim]]:
    """(where it stands, claim) for question, answer, rationale and structured truth of an example.

    `settled`: a rule of the family bore the answer out, so it need not be read together with its question.
    """
    if not grants_nothing(example.answer):
        yield from (("question", claim) for claim in read_premises(example.question))
    yield from (("answer", claim) for claim in answer_claims(example, settled))
    yield from (("rationale", claim) for claim in read_claims(example.rationale))
    yield from (("structured", claim) for claim in _structured(example))


def answer_claims(example: Example, settled: bool = False) -> tuple[SpokenClaim, ...]:
    """Read the answer: of a caption as a text, of a closed question of the project not at all (its family judges)."""
    if example.type == "caption":
        return read_claims(example.answer)
    family = FAMILIES.get(example.family)
    if family is not None and example.question == family.question:
        return ()
    if parts_asked(example.family, example.question) is not None:
        return ()
    return read_answer(example.question, example.answer, alone=settled)


def _is_settled(example: Example, agreed: bool) -> bool:
    family = FAMILIES.get(example.family)
    if family is not None:
        return example.question == family.question
    if parts_asked(example.family, example.question) is not None:
        return agreed
    wording = WORDINGS.get(example.family)
    return agreed and wording is not None and re.search(wording, example.question, re.IGNORECASE) is not None


def _is_supported(judged: Iterable[ClaimJudgement], stands: Sequence[str]) -> bool:
    of_music = (j for j in judged if not j.claim.is_place)
    return any(j.verdict in (("supported",) if j.claim.is_guess else stands) for j in of_music)


def _reason_against_rationale(
    example: Example, judged: Iterable[ClaimJudgement], stands: Sequence[str], settled: bool
) -> str | None:
    """Reject many words that lead from nothing measured to an answer; a family with a rule may explain that rule."""
    has_rule = settled and example.family not in FAMILIES
    if has_rule or len(example.rationale.split()) < LONG_RATIONALE_WORDS:
        return None
    if any(judgement.verdict in stands for judgement in judged):
        return None
    return f"covered_by_no_rule:rationale: {example.rationale[:60]!r} names nothing that was measured"


def _structured(example: Example) -> Iterator[SpokenClaim]:
    for category in example.structured:
        if category.name not in CATEGORIES:
            yield unmeasured("structured", category.name)
            continue
        for value in category.values:
            found = read_answer(f"What is the {category.name}?", value)
            yield from found
            if not found and category.name in _NEEDS_A_CLAIM:
                yield unmeasured(category.name, value)


def reason_against_steps(steps: Sequence[Step], facts: Facts) -> str | None:
    """Hold the sentences of a chain against the facts, but for those that the listening model put right itself.

    A chain of which nothing was heard and nothing is measured leads to no answer: `covered_by_no_rule:steps`.
    """
    held = [step.text for step in steps if step.rewritten_from is None or step.verdict != "right"]
    texts = [without_verdict(without_span(text)) for text in held]
    judged = [judge(c, facts) for text in texts for c in read_claims(text)]
    if reason := first_reason(judged, by_ear=False):
        return reason
    if any(step.verdict == "right" for step in steps) or any(j.verdict == "supported" for j in judged):
        return None
    return "covered_by_no_rule:steps: they name nothing that was heard or measured"


_REFUSAL = re.compile(
    r"\bas an? (?:ai|artificial|language|large)\b|\bi(?:'m| am) (?:sorry|unable|not able|just|going to)\b|\bi (?:can(?:not|'t)|do not|don't)"
    r" (?:listen|hear|access|determine|know|have)\b|\bcannot (?:listen|hear|process) (?:to )?(?:the |this )?(?:audio|music)|\bhere(?:'s| is) the\b",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"\[(?!\d)[^\]]{2,40}\]|<[a-z][^>]{1,40}>|\{\w+\}|\bTODO\b|\bN/A\b|\b(?:lorem ipsum|your answer here)\b|_{3,}|^\W*\.\.\.\W*$"
)
_PROMPT = re.compile(
    r"short and exact|one of the options where there are options|lead from what is heard to the answer|what is asked for, in a word"
    r"|questions? about (?:the|a) track in json|respond with json|the measured facts",
    re.IGNORECASE,
)


_ANY_WORD = re.compile(r"\w")
_REFUSAL_WORDS = ("as a", "i'm", "i am", "i can", "i do", "cannot", "here is", "here's")
_PLACEHOLDER_WORDS = ("[", "<", "{", "todo", "n/a", "lorem ipsum", "your answer here", "___", "...")
_PROMPT_WORDS = (
    "short and exact",
    "one of the",
    "what is heard",
    "what is asked",
    "in json",
    "with json",
    "measured facts",
)


@lru_cache(maxsize=65536)
def reason_against_words(text: str) -> str | None:
    """`senseless_...`: a refusal, a placeholder, words of the prompt, or no words at all; None for other texts."""
    if holds(text, _REFUSAL_WORDS) and _REFUSAL.search(text):
        return "senseless_refusal"
    if holds(text, _PLACEHOLDER_WORDS) and _PLACEHOLDER.search(text):
        return "senseless_placeholder"
    if holds(text, _PROMPT_WORDS) and _PROMPT.search(text):
        return "senseless_prompt_words"
    return None if not text or _ANY_WORD.search(text) else "senseless_no_words"


_SENTENCE_END = re.compile(r"[.!?;]\s+")
SHORTEST_REPEATED_WORDS = 4


def _repeats(text: str, least: int) -> bool:
    """Tell whether a sentence of some words stands in a text `least` times: a model that turns in circles."""
    if len(text) < MOST_LETTERS_UNREPEATED:
        return False
    sentences = Counter(s.strip(" .").casefold() for s in _SENTENCE_END.split(text))
    return any(n >= least and len(s.split()) >= SHORTEST_REPEATED_WORDS for s, n in sentences.items())


MOST_LETTERS_UNREPEATED = 60
"""Shorter texts have no room for a sentence said twice."""


def check_sense(example: Example) -> str | None:
    """`senseless_...`: an answer that answers nothing, whatever the facts are."""
    answer, question = example.answer.strip(), example.question.strip()
    for text in (question, answer, example.rationale):
        if reason := reason_against_words(text):
            return reason
    if not re.search(r"\w", answer) or answer.casefold().strip("?. ") == question.casefold().strip("?. "):
        return "senseless_echo"
    if len(example.options) == 1:
        return "senseless_one_option"
    if example.type in ("count", "time") and not has_digit(plain(answer)):
        return "senseless_wrong_type"
    if example.type == "caption" and len(answer.split()) >= LONG_CAPTION_WORDS * (1 + len(read_claims(answer))):
        return "senseless_near_empty_caption"
    return "senseless_repetition" if _repeats(example.rationale, 2) or _repeats(answer, 3) else None


LONG_RATIONALE_WORDS = 8
"""A rationale of so many words names something that was measured."""
LONG_CAPTION_WORDS = 45
"""A caption with fewer than one claim in so many words describes nothing."""
