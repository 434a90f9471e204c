"""What an answer claims of the lines sung: how they go, how often, and what they leave open."""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

from music_flamingo.records import Facts
from music_flamingo.scoring.claims.base import NOT_MEASURED, Held, SpokenClaim
from music_flamingo.scoring.claims.parts import HOW_OFTEN_PATTERN, times_of
from music_flamingo.scoring.claims.sung import lines_of, said_claim
from music_flamingo.scoring.claims.wording import ORDINALS

_LINE = re.compile(
    rf"\b(?P<nth>{'|'.join(ORDINALS)}|last|final|closing|concluding|opening) (?:line|verse|phrase)\b", re.IGNORECASE
)
_IN_A_LINE = re.compile(
    r"\b(?:in|to|of|from|by) (?:the |her |his )?(?:\w+ )?(?:line|lyrics?|words|song|verse|chorus|text)\b", re.IGNORECASE
)
_REPEATED = re.compile(
    r"\b(?:repeat\w*|recur\w*|refrain|more than once|comes back|again and again|twice|2 times)\b", re.IGNORECASE
)
_FIRST_OR_LAST = re.compile(
    r"\b(?:(?P<first>first|opens?|opening|begins?|starts?)|(?P<last>last|final|ends?|closing|closes|concluding))\b",
    re.IGNORECASE,
)


def answer_words(question: str, text: str) -> Iterator[SpokenClaim]:
    """Read the answer to a question for words that are sung: the first, the last, the repeated, or any."""
    said = text.strip(" .,;:!?'\"")
    if not said:
        return
    nth = _LINE.search(question)
    if _IN_A_LINE.search(question) and nth is not None and not re.match(r"(?:what|which) (?:is|are)", question, re.I):
        return  # asks what a line says, not how it goes: `answer_lines` reads that
    if _SAYS.search(question):
        return
    if (beside := _BESIDE.search(question)) is not None:
        yield SpokenClaim("lyrics", said, _stands_beside(said, beside[2], after=beside[1].lower() != "before"))
    elif _IN_ALL.search(question):
        yield SpokenClaim("lyrics", said, _is_in_all(said))
    elif _REPEATED.search(question):
        yield SpokenClaim("lyrics", said, _is_repeated(said))
    elif nth is not None and nth["nth"].lower() in ORDINALS and nth["nth"].lower() != "first":
        yield SpokenClaim("lyrics", said, _is_line(said, ORDINALS[nth["nth"].lower()] - 1))
    else:
        found = {bool(m["first"]) for m in _FIRST_OR_LAST.finditer(question)}
        yield said_claim(said, found.pop() if len(found) == 1 else None)


_SAYS = re.compile(r"\b(?:mentions?|speaks? of|refers? to|tells? of|names?)\b", re.IGNORECASE)
_BESIDE = re.compile(r'\b(before|after|follows)\b[^?"]*"([^"]+)"', re.IGNORECASE)
_IN_ALL = re.compile(r"\b(?:in common|(?:every|each|all(?: of)?(?: the)?) lines?)\b", re.IGNORECASE)


def _stands_beside(said: str, line: str, after: bool) -> Callable[[Facts], Held]:
    """Whether a line is sung directly after, or before, another."""
    wanted, other = (" ".join(re.findall(r"\w+", words.lower())) for words in (said, line))

    def test(facts: Facts) -> Held:
        lines = lines_of(facts)
        pairs = pairwise(lines) if after else zip(lines[1:], lines, strict=False)
        return (
            (any(other in a and wanted in b for a, b in pairs), "other words measured there") if lines else NOT_MEASURED
        )

    return test


def _is_in_all(said: str) -> Callable[[Facts], Held]:
    wanted = said.lower()

    def test(facts: Facts) -> Held:
        lines = lines_of(facts)
        return (all(wanted in line.split() for line in lines), "other words measured") if lines else NOT_MEASURED

    return test


def _is_repeated(said: str) -> Callable[[Facts], Held]:
    wanted = " ".join(re.findall(r"\w+", said.lower()))

    def test(facts: Facts) -> Held:
        lines = lines_of(facts)
        return (sum(wanted in line for line in lines) > 1, "other words measured") if lines else NOT_MEASURED

    return test


def _is_line(said: str, place: int) -> Callable[[Facts], Held]:
    wanted = " ".join(re.findall(r"\w+", said.lower()))

    def test(facts: Facts) -> Held:
        lines = lines_of(facts)
        if not lines:
            return NOT_MEASURED
        return place < len(lines) and wanted in lines[place], "other words measured there"

    return test


_OFTEN_SUNG = re.compile(
    rf'"(?P<line>[^"]{{5,}})"(?:[^."]{{0,30}}?\b(?:is (?:heard|sung|repeated)|occurs|appears|comes|returns|recurs|twice|once))? ?{HOW_OFTEN_PATTERN}',
    re.IGNORECASE,
)


_EVERY_ONCE = re.compile(r"\b(?:each|every) line is (?:sung|heard) (?:only |just )?once\b", re.IGNORECASE)


def _each_once(facts: Facts) -> Held:
    lines = lines_of(facts)
    return (len(set(lines)) == len(lines), "lines measured") if lines else NOT_MEASURED


def read_how_often(quoted: str) -> Iterator[SpokenClaim]:
    """Read how often a quoted line, or every line, is sung."""
    for match in _EVERY_ONCE.finditer(quoted):
        yield SpokenClaim("count", match[0], _each_once)
    for match in _OFTEN_SUNG.finditer(quoted) if '"' in quoted else ():
        yield SpokenClaim("count", match[0], sung_times(match["line"], times_of(match)))


_OF_WORDS = re.compile(
    r"\b(?:lyrics?|lines?|sings?|singers?|narrators?|vocalists?|she|he|sung|words|mention\w*|text|verse|chorus)\b",
    re.IGNORECASE,
)
_CONTENT = re.compile(r"[a-z]{3,}")
_EMPTY = frozenset(
    [
        "the",
        "and",
        "for",
        "are",
        "was",
        "were",
        "who",
        "what",
        "which",
        "where",
        "when",
        "whom",
        "whose",
        "how",
        "did",
        "does",
        "has",
        "had",
        "have",
        "she",
        "her",
        "his",
        "him",
        "they",
        "them",
        "their",
        "its",
        "that",
        "this",
        "with",
        "from",
        "into",
        "according",
        "mentioned",
        "mention",
        "lyric",
        "lyrics",
        "line",
        "lines",
        "song",
        "first",
        "second",
        "third",
        "last",
        "sung",
        "sing",
        "sings",
        "singer",
        "words",
        "about",
        "does",
        "you",
        "your",
        "our",
        "all",
        "one",
        "two",
        "say",
        "said",
        "says",
        "there",
        "here",
    ]
)
STEM = 4
"""Letters by which two forms of a word are taken for one."""


def answer_lines(question: str, text: str) -> Iterator[SpokenClaim]:
    """Read an answer that fills in what a sung line leaves open: `What never came? - Morning`."""
    asked = {word[:STEM] for word in _CONTENT.findall(question.lower()) if word not in _EMPTY}
    answered = {word[:STEM] for word in _CONTENT.findall(text.lower()) if word not in _EMPTY}
    nth, is_of_words = _LINE.search(question), _OF_WORDS.search(question) is not None
    if not answered or len(text.split()) > MOST_WORDS_FILLED_IN:
        return

    def test(facts: Facts) -> Held:
        lines = lines_of(facts)
        if nth is not None:
            place = {"last": -1, "final": -1, "opening": 0}.get(
                nth["nth"].lower(), ORDINALS.get(nth["nth"].lower(), 0) - 1
            )
            lines = lines[place:][:1]
        known = {word[:STEM] for line in lines_of(facts) for word in _CONTENT.findall(line)}
        stems = [{word[:STEM] for word in _CONTENT.findall(line)} for line in lines]
        fits = any(answered <= line and (asked & line or (is_of_words and not asked & known)) for line in stems)
        return (True, "such words measured") if fits else NOT_MEASURED

    yield SpokenClaim("lyrics", text, test, is_guess=True)


MOST_WORDS_FILLED_IN = 8
"""Of an answer that fills in what a line leaves open."""


def sung_times(line: str, number: int) -> Callable[[Facts], Held]:
    """Whether a line is sung so many times."""
    wanted = " ".join(re.findall(r"\w+", line.lower()))

    def test(facts: Facts) -> Held:
        sung = " ".join(lines_of(facts))
        if not sung:
            return NOT_MEASURED
        counted = f" {sung} ".count(f" {wanted} ") or f" {sung} ".count(wanted)
        return counted == number, f"sung {counted} times, as measured"

    return test
