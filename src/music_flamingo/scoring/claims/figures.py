"""Figures of a text that no claim accounts for: nobody measured what they count."""

import re
from collections.abc import Iterator, Sequence

from music_flamingo.scoring.claims.base import SpokenClaim, unmeasured
from music_flamingo.scoring.claims.gates import has_digit
from music_flamingo.scoring.claims.times import FIGURE, SOME_OF
from music_flamingo.scoring.claims.wording import is_denied

_FIGURE = re.compile(
    r"(?<![\w.:/#])(?<!\d[.,])(?<![<>=] )\d+(?:[.,]\d+)?(?![\w/:]|[.,]\d| ?(?:s|secs?|seconds?|min|minutes?|semitones?|half steps?|times|changes|lines|halves|thirds|quarters|from there|of them|of these)\b| ?[<>=])"
)
_BORDERS = re.compile(
    r"\b(?:compared (?:with|to)|than) [a-z ]{0,24}?\d+(?:\.\d+)?\b|\b\d+ (?-i:[A-E]) (?:sections|parts)\b|\bnearest \d+\b|\bthe \d (?-i:[A-G])(?:[#b]| sharp| flat)? (?:major|minor) |\b(?:above|below|over|under|between) \d+(?: and \d+)? is\b",
    re.IGNORECASE,
)
"""`above 128 is fast` defines a word, and says nothing of the music."""
_TIMES_OVER = re.compile(
    r"\b(?:heard|sung|played|repeated|repeats|recurs|returns|appears|occurs|sounds|comes)(?: (?:about|exactly|only|just|back))* (?P<n>\d+ times)\b(?! (?:as|faster|slower|louder|softer|longer|shorter|per|a minute|the|\d))",
    re.IGNORECASE,
)
_NO_FIGURE = frozenset(("0", "1"))


def _without(text: str, parts: Sequence[str]) -> str:
    """Give a text without any of some parts of it, which may overlap."""
    covered = bytearray(len(text))
    for part in parts:
        start = text.find(part)
        while start >= 0:
            covered[start : start + len(part)] = b"\1" * len(part)
            start = text.find(part, start + 1)
    return "".join(letter for letter, gone in zip(text, covered, strict=True) if not gone)


def read_figures(text: str, claims: Sequence[SpokenClaim]) -> Iterator[SpokenClaim]:
    """Read the figures of a plain text that no claim accounts for: nobody measured what they count."""
    if not has_digit(text):
        return
    text = _BORDERS.sub("", text)
    text = _without(text, [claim.said for claim in claims if has_digit(claim.said)])
    for match in _TIMES_OVER.finditer(text):
        if not any(match["n"] in claim.said for claim in claims):
            yield unmeasured(FIGURE, match[0])
    for match in _FIGURE.finditer(text):
        before = text[max(0, match.start() - 6) : match.start()]
        is_counted = match[0] not in _NO_FIGURE and not SOME_OF.search(before)
        if is_counted and not is_denied(text, *match.span()):  # `three, not four` counts no four
            yield unmeasured(FIGURE, match[0])
