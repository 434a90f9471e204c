"""Find the mentions of a question's options in an answer: whole words, the longest name first.

A name is a row of words; the marks between two of them may differ, and figures match number words. A pattern compiled
for each question costs more than all the rest of the reading, so names are looked up word by word. Names in Chinese or
Japanese have no edges between words: a text in those scripts is searched by a pattern.
"""

import re
from collections.abc import Mapping
from functools import cached_property

from music_flamingo.scoring.normalise import FIGURES

WITHOUT_EDGES = re.compile(r"[㐀-鿿぀-ヿ가-힯]")
_WORD = re.compile(r"[\w#/]+")
_HYPHEN = re.compile(r"(?<=\w)-(?=\w)")
_FIGURE_NAMES = {figure: name for name, figure in FIGURES.items()}


class OptionMentions:
    """The names of options, and the places that they stand for."""

    def __init__(self, by_words: Mapping[str, int]) -> None:
        self._by_words = by_words
        self._names = sorted([name for name in by_words if name], key=len, reverse=True)
        self._by_first: dict[str, list[tuple[list[str], int]]] = {}
        for name in self._names:
            words = name.split(" ")
            self._by_first.setdefault(words[0], []).append((words, by_words[name]))
        foreign = () if "".join(by_words).isascii() else self._names
        self._without_edges = [name.split()[0] for name in foreign if WITHOUT_EDGES.search(name)]

    def replaced(self, text: str, mark: str) -> str:
        """The text, in lower case, with every mention replaced by `mark` with the option's place in it."""
        if not self._names:
            return text
        low = _loose(text)
        if self._without_edges and any(word in low for word in self._without_edges):
            return self._pattern.sub(lambda m: mark.format(self._by_words[self._name_of(m.group())]), low)
        return self._by_word(low, mark)

    def may_open(self, text: str) -> bool:
        """False where no mention begins the text."""
        if self._without_edges:
            return True
        first = _WORD.match(_loose(text))
        return first is not None and FIGURES.get(first.group(), first.group()) in self._by_first

    def _by_word(self, low: str, mark: str) -> str:
        words = [FIGURES.get(word, word) for word in _WORD.findall(low)]
        if self._by_first.keys().isdisjoint(words):
            return low
        tokens = list(_WORD.finditer(low))
        parts, end, at = [], 0, 0
        while at < len(tokens):
            found = self._at(words, tokens, at, low) if words[at] in self._by_first else None
            if found is None:
                at += 1
                continue
            length, place = found
            parts += [low[end : tokens[at].start()], mark.format(place)]
            end, at = tokens[at + length - 1].end(), at + length
        return "".join([*parts, low[end:]])

    def _at(self, words: list[str], tokens: list[re.Match[str]], at: int, low: str) -> tuple[int, int] | None:
        """(number of words, place) of the longest name that begins at a word."""
        for name, place in self._by_first.get(words[at], ()):
            last = at + len(name) - 1
            if words[at : last + 1] == name and "\n" not in low[tokens[at].end() : tokens[last].start()]:
                return len(name), place
        return None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(_bounded(name) for name in self._names))

    def _name_of(self, found: str) -> str:
        return " ".join(FIGURES.get(word, word) for word in _WORD.findall(found))


def _loose(plain: str) -> str:
    """Lower case with hyphens opened, punctuation kept: it ends clauses."""
    opened = _HYPHEN.sub(" ", plain) if "-" in plain else plain
    if not plain.isascii():
        opened = opened.replace("♯", "#").replace("♭", "b")
    return opened.replace("&", " and ").casefold()


def _bounded(name: str) -> str:
    """A pattern of an option's words: marks between them may differ; Chinese needs no edge of a word."""
    inner = r"[^\w#/\n]+".join(_figure(word) for word in name.split())
    return inner if WITHOUT_EDGES.search(name) else rf"(?<![\w#/]){inner}(?![\w#/])"


def _figure(word: str) -> str:
    return rf"(?:{word}|{_FIGURE_NAMES[word]})" if word in _FIGURE_NAMES else re.escape(word)
