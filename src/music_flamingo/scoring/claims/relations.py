"""Words that relate one thing to another, which no claim accounts for: what a text says with them nobody has read.

`There are more verses than choruses` names verses and choruses, both heard; what it says of them stands in `more` and
`than`. As figures and chord symbols that no claim names, such words must lie in a claim, or the text is not kept.
"""

import re
from collections.abc import Iterator, Sequence

from music_flamingo.scoring.claims.base import SpokenClaim, unmeasured
from music_flamingo.scoring.claims.gates import words_of

RELATION = "relation"
"""The kind of a relation that no other claim accounts for."""
_WORD = re.compile(r"\w+")
_WORDS = frozenset(
    _WORD.findall("""
        more fewer less most least longer shorter longest shortest earlier later twice thrice half double before
        after until till first last second third fourth fifth final only every all never always throughout entire
        entirely whole exclusively solely mostly mainly same equal equally both each than immediately directly end
        beginning halfway latter former between either remaining majority
    """)
)
_ORDERED = frozenset(("chords", "form", "count", "time", "lyrics"))
"""Kinds of claims about things that stand in time, one before another."""
_OF_COURSE = frozenset(("dynamics", "loudness"))
"""Kinds whose claims say how something goes on: `until the end` belongs to them."""
_SENTENCE = re.compile(r"[.!?;]\s+")
_HARMLESS = (
    r"(?:at|in|above|first of|after|for|best of|most of|all in) all",
    r"all (?:in|at|without|while|alone|along|of (?:this|it|which))",
    r"rather than|other than|more or less|more than|less than|at first|at last|at least|at most|in the end",
    r"for the most part|as a whole|on the whole|the rest of|once more|the first time|most likely|first and foremost",
    r"more (?:specifically|precisely|generally)|both (?=[a-z]+ and)|before any",
    r"each (?:bar|measure|beat|other|time|note|of them)|every (?:bar|measure|beat)",
    r"each(?=[.,;]|$| (?:sustained|held|ringing)\b(?! for)| (?:verse|chorus|section|part) is (?:longer|shorter))",
    r"half (?:a |an )?(?:minute|hour|step)|\d+ seconds?|seconds? long|a second|a third minutes?",
    r"after (?:a|another|about|around|just|roughly|\d)[^,]{0,24}",
    r"last \d (?:harmonies|chords) (?:make|form)|(?:moves|moving|alternat\w+|switch\w+|goes|going) between",
    r"(?:major|minor|perfect|an?) (?:second|third|fourth|fifth)(?! (?:section|part|verse|chorus|chord|line))",
    r"(?:first|final|last|opening|closing) (?=(?-i:[A-G])(?:[#b]| flat| sharp)?(?: major| minor|m)?\b)",
)
"""Turns of speech in which such a word relates nothing."""
_S = r"\d+(?:\.\d+)? s"
_NTH = r"(?:first|second|third|fourth|fifth|last) section"
_OF_STEPS = (
    r"the (?:first|last) (?:bar|downbeat|line) (?:begins|ends|is) (?:at )?|, the last (?=at \d)|lie between, and the last \w+ begins",
    r"the last \w+ harmonies (?=are )|changes (?:before|after) (?=\d)|the line lies between (?=\d)",
    rf"the {_NTH}(?=, from {_S}(?: to {_S}, (?:lasts|is the next)| on, sounds ))|the next longest:?(?= \d)|sounds (?:un)?like the first",
    rf"the first section (?=ends at {_S})|where the second takes over",
)
"""Of steps that lead to an answer, which is held against the facts for what it relates."""
_IS_HARMLESS = re.compile(
    rf"\b(?:{'|'.join(_HARMLESS)})\b|{'|'.join(_OF_STEPS)}|(?:^|[.;:] )(?:First|Second|Third|Finally|Last),",
    re.IGNORECASE,
)


def read_relations(text: str, claims: Sequence[SpokenClaim]) -> Iterator[SpokenClaim]:
    """Read the words of a plain text that relate things in time and lie in no claim: nobody has read what they say."""
    if words_of(text).isdisjoint(_WORDS) or not any(claim.kind in _ORDERED for claim in claims):
        return
    read = {
        word
        for claim in claims
        if not claim.is_place or claim.beside
        for word in _WORD.findall(f"{claim.said} {claim.beside}".lower())
    }
    for sentence in _SENTENCE.split(_IS_HARMLESS.sub("", text)):
        lower = sentence.lower()
        left = [word for word in _WORD.findall(lower) if word in _WORDS and word not in read]
        if not left:
            continue
        kinds = {claim.kind for claim in claims if len(claim.said) > 1 and claim.said in sentence}
        if kinds & _ORDERED and not kinds & _OF_COURSE:
            yield unmeasured(RELATION, left[0])
            return
