"""Cheap tests before dear ones: whether a text can hold what a pattern looks for, and where a list of words begins.

A pattern of two hundred words tried at every place of a text costs more than all else that a check does. `holds` looks
for keywords first; `WordScanner` tries only the alternatives that begin with the letters of the word at hand, and
finds what one pattern of all of them would find.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from operator import itemgetter

WORD = re.compile(r"\w+")
_DIGIT = re.compile(r"\d")
_IN_WORD = re.compile(r"\w").match
MOST_WORDS = 65_536
"""Of different texts, whose alternatives are remembered."""
LETTERS = 3
"""Of a word's beginning, by which alternatives are chosen."""


@lru_cache(maxsize=256)
def lowered(text: str) -> str:
    """Give the text in small letters; readers ask one after another."""
    return text.lower()


def holds(text: str, keywords: Iterable[str]) -> bool:
    """Tell whether one of the keywords, in small letters, stands anywhere in a text."""
    return any(map(lowered(text).__contains__, keywords))


@lru_cache(maxsize=256)
def has_digit(text: str) -> bool:
    """Tell whether a figure stands in a text."""
    return _DIGIT.search(text) is not None


@lru_cache(maxsize=256)
def words_of(text: str) -> frozenset[str]:
    """Give the words of a text in small letters."""
    return frozenset(WORD.findall(lowered(text)))


def alternatives_of(pattern: str) -> list[str]:
    """Split a pattern at the bars that stand in no group and no class."""
    parts, depth, start = [], 0, 0
    in_class = escaped = False
    for place, letter in enumerate(pattern):
        if escaped:
            escaped = False
        elif letter == "\\":
            escaped = True
        elif in_class:
            in_class = letter != "]"
        elif letter == "[":
            in_class = True
        elif letter in "()":
            depth += 1 if letter == "(" else -1
        elif letter == "|" and depth == 0:
            parts.append(pattern[start:place])
            start = place + 1
    return [*parts, pattern[start:]]


_GROUP = re.compile(r"\((?:\?:)?")


def beginnings(pattern: str) -> set[str]:
    """Give the letters that an alternative may begin with, at most LETTERS of them; `""` where it may be anything."""
    if opening := _GROUP.match(pattern):
        end = _closing(pattern)
        if pattern[end + 1 : end + 2] in ("?", "*", "{") or pattern[opening.end() :].startswith("?"):
            return {""}
        rest = beginnings(pattern[end + 1 :])
        inner = {b for part in alternatives_of(pattern[opening.end() : end]) for b in beginnings(part)}
        # what ends before LETTERS may be the whole of a short alternative: the rest decides what follows
        return {b if len(b) == LETTERS or b == "" else (b + r)[:LETTERS] for b in inner for r in rest}
    literal = re.match(r"[a-z0-9 ]*", pattern)
    assert literal is not None, "an empty run matches everywhere"
    run, after = literal[0], pattern[literal.end() : literal.end() + 1]
    run = run[:-1] if after in ("?", "*", "{") and after else run
    word = run.partition(" ")[0]
    return {word[:LETTERS] if len(word) >= LETTERS or (not after and " " not in run) else word}


def _closing(pattern: str) -> int:
    depth, in_class = 0, False
    for place, letter in enumerate(pattern):
        if pattern[place - 1 : place] == "\\":
            continue
        if in_class:
            in_class = letter != "]"
        elif letter == "[":
            in_class = True
        elif letter == "(":
            depth += 1
        elif letter == ")":
            depth -= 1
            if depth == 0:
                return place
    raise ValueError(f"a group of {pattern!r} is never closed")


class WordScanner:
    """Find what `\\b(?:one|another|...)(?!\\w)` finds, first alternatives first, without trying each at every place."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._branches = [
            (number, part, beginnings(part))
            for number, pattern in enumerate(patterns)
            for part in alternatives_of(pattern)
        ]
        self._beginning_with: dict[str, list[int]] = {}
        for k, (_, _, starts) in enumerate(self._branches):
            for start in starts:
                self._beginning_with.setdefault(start, []).append(k)
        self._joined_once = lru_cache(maxsize=None)(self._joined)
        self._of_word: dict[str, re.Pattern[str] | None] = {}

    def scan(self, text: str) -> Iterator[tuple[int, re.Match[str]]]:
        """Give (place of the pattern among all, match), from left to right, none inside of another."""
        end = 0
        for start, pattern in sorted(self._places(text), key=itemgetter(0)):
            if start >= end and (match := pattern.match(text, start)):
                group = match.lastgroup
                assert group is not None, "each branch is named"
                end = match.end()
                yield int(group[1:]), match

    def _places(self, text: str) -> Iterator[tuple[int, re.Pattern[str]]]:
        """Give (start, pattern of the alternatives that may begin there) for every word with any."""
        lower = lowered(text)
        known, of_word = words_of(text), self._of_word
        if not known <= of_word.keys():
            if len(of_word) > MOST_WORDS:
                of_word.clear()
            of_word.update((word, self._compiled(word)) for word in known if word not in of_word)
        promising = [word for word in known if of_word[word] is not None]
        if not promising:
            return
        if len(lower) != len(text):  # a capital of another script may have two small letters
            found = ((word.start(), of_word.get(word[0].lower())) for word in WORD.finditer(text))
            yield from ((start, pattern) for start, pattern in found if pattern is not None)
            return
        for word in promising:
            pattern, length = of_word[word], len(word)
            assert pattern is not None, "chosen above"
            start = lower.find(word)
            while start >= 0:
                if not (start and _IN_WORD(lower[start - 1])) and not _IN_WORD(
                    lower[start + length : start + length + 1]
                ):
                    yield start, pattern
                start = lower.find(word, start + length)

    def _compiled(self, word: str) -> re.Pattern[str] | None:
        starts = (word[:length] for length in range(LETTERS + 1))
        wanted = sorted({k for start in starts for k in self._beginning_with.get(start, ())})
        return self._joined_once(tuple(wanted)) if wanted else None

    def _joined(self, wanted: tuple[int, ...]) -> re.Pattern[str]:
        parts = []
        numbers = dict.fromkeys(self._branches[k][0] for k in wanted)
        for number in numbers:
            inner = "|".join(self._branches[k][1] for k in wanted if self._branches[k][0] == number)
            parts.append(rf"(?P<k{number}>\b(?:{inner})(?!\w))")
        return re.compile("|".join(parts), re.IGNORECASE)
