"""Steps of a chain that name the seconds they rest on: `[0:02-0:07] Drums play.`, as AF-Think-Time's do.

A span stands before its sentence, in whole seconds from the start of the recording, or in figures with a point.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from music_flamingo.records import Facts, during
from music_flamingo.records.chain import HeardClaim
from music_flamingo.scoring.families import FAMILIES, check_sentences, on_sound

_TIME = r"(?:\d{1,3}:[0-5]\d(?:\.\d+)?|\d+(?:\.\d+)? ?s(?:ec(?:onds?)?)?\b)"
_SPAN = re.compile(rf"[\[(]({_TIME}) ?(?:-|–|—|to) ?({_TIME})[\])]:?\s*")
_NEXT = re.compile(r"(?=[\[(]\d)")


def spoken_span(start_s: float, end_s: float) -> str:
    """`[0:02-0:07]`: the whole seconds around a part of a recording."""
    return f"[{_clock(math.floor(start_s))}-{_clock(math.ceil(end_s))}]"


def span_of(sentence: str) -> tuple[float, float] | None:
    """(start, end) in seconds that a sentence names at its beginning; None where it names none."""
    match = _SPAN.match(sentence)
    return (_seconds(match[1]), _seconds(match[2])) if match else None


def without_span(sentence: str) -> str:
    """The sentence without the seconds at its beginning."""
    return _SPAN.sub("", sentence, count=1) if _SPAN.match(sentence) else sentence


def timed_sentences(thinking: str) -> list[tuple[tuple[float, float], str]]:
    """(span, sentence) of every sentence of a thought that names its seconds."""
    parts = (part.strip() for part in _NEXT.split(thinking))
    found = ((span_of(part), without_span(part)) for part in parts)
    return [(span, re.split(r"(?<=[.!?])\s", words, maxsplit=1)[0].strip()) for span, words in found if span]


def heard_claims(facts: Facts) -> list[HeardClaim]:
    """What is heard of the audible families at which seconds, neighbours that agree joined; by family and time."""
    sound = facts.sound
    found: list[HeardClaim] = []
    for family in on_sound():
        for part in sound.parts if sound else ():
            value = family.from_facts(during(facts, part.start_s, part.end_s))
            if value is None:
                continue
            last = found[-1] if found else None
            if last and (last.family, last.claim) == (family.name, value) and last.end_s >= part.start_s:
                found[-1] = last.model_copy(update={"end_s": part.end_s})
            else:
                found.append(HeardClaim(family=family.name, claim=value, start_s=part.start_s, end_s=part.end_s))
    return found


def longest_of(heard: Iterable[HeardClaim]) -> Mapping[tuple[str, str], HeardClaim]:
    """(family, claim) -> the longest time at which it is heard."""
    best: dict[tuple[str, str], HeardClaim] = {}
    for one in heard:
        known = best.get((one.family, one.claim))
        if known is None or one.end_s - one.start_s > known.end_s - known.start_s:
            best[(one.family, one.claim)] = one
    return best


def holds_there(family: str, claim: str, span: tuple[float, float], heard: Sequence[HeardClaim]) -> bool | None:
    """Whether a claim is heard in most of the measured time within a span; None where nothing is measured there."""
    within = [(one, min(one.end_s, span[1]) - max(one.start_s, span[0])) for one in heard if one.family == family]
    measured = sum(overlap for _, overlap in within if overlap > 0)
    if measured <= 0:
        return None
    return sum(overlap for one, overlap in within if overlap > 0 and one.claim == claim) > measured / 2


@cache
def claims_by_words() -> Mapping[str, tuple[str, str]]:
    """Sentence of a claim, or of a check -> (family, claimed value)."""
    claims = {
        text: (family.name, value)
        for family in FAMILIES.values()
        for value, claim in family.claims.items()
        for text in (claim.short, claim.full)
    }
    return claims | check_sentences()


def _clock(seconds: int) -> str:
    return f"{seconds // 60}:{seconds % 60:02d}"


def _seconds(text: str) -> float:
    if ":" in text:
        minutes, seconds = text.split(":")
        return 60.0 * int(minutes) + float(seconds)
    number = re.match(r"\d+(?:\.\d+)?", text)
    assert number is not None
    return float(number[0])
