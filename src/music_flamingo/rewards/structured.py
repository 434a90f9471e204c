"""Structured-thinking reward of captions: the caption against structured truth in 11 categories (genre, bpm, key ...).

The paper matches strings category by category and divides by the number of categories. Its wording counts matching
words, so that the sum has no upper bound; two forms are given:

- `matched_categories` (default): categories that count, divided by the categories of the truth; 0 to 1;
- `matched_words` (the paper's literal form): matching words of all values, divided by the categories; unbounded.

A category counts when one of its values stands in the caption and nothing there takes it back:
- a tempo in figures: within 4 % of a BPM that is stated, and at most one other BPM is (half time, a change of tempo);
- a key: by its sound, and at most one other key is named (a modulation, the relative key);
  both are read as validation reads them, in words and other languages too, and what a caption denies is not named;
- instruments and genres: by synonyms too (synonyms.yaml), and no longer a list than a caption has use for;
- values that shut each other out (slow, medium, fast; ...): no other one is there;
- anything else: word for word.
So a caption that names every key, every BPM or every instrument earns nothing for them.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Literal, TypeVar

import yaml

from music_flamingo.records.example import Category
from music_flamingo.scoring.choices import MAX_ANSWER_CHARS
from music_flamingo.scoring.claims import keys_in, tempi_in
from music_flamingo.scoring.extract import ANSWER, extract_answer
from music_flamingo.scoring.normalise import normalise_answer, parse_key
from music_flamingo.scoring.tempo import same_tempo

StructuredForm = Literal["matched_categories", "matched_words"]

MAX_OTHERS = 1
"""Other tempi or keys that a caption may name next to the right one."""
MAX_NAMED = {"instruments": 12, "genre": 4}
"""More different ones named than this are a list, not a description."""

_WORD = re.compile(r"[\w#/&]+")

Words = list[str]
T = TypeVar("T")


def structured_reward(
    output: str, categories: Sequence[Category], form: StructuredForm = "matched_categories"
) -> float | None:
    """The reward of a caption inside answer tags. None when there is no category with a value."""
    stated = [c for c in categories if any(words_of(value) for value in c.values)]
    if not stated:
        return None
    caption = extract_answer(output) if ANSWER in output else None
    if caption is None or len(caption) > MAX_ANSWER_CHARS:
        return 0.0
    if form == "matched_words":
        words = words_of(caption)
        return sum(_matched_words(words, category) for category in stated) / len(stated)
    return sum(counts(caption, category) for category in stated) / len(stated)


def counts(caption: str, category: Category) -> bool:
    """Whether a caption gets this category right."""
    values = [value for value in category.values if words_of(value)]
    tempi = [bpm for value in values for bpm in tempi_in(value)]
    if tempi:
        return _decided(tempi_in(caption), tempi, same_tempo)
    keys = [key for value in values if (key := parse_key(value))]
    if keys:
        return _decided(keys_in(caption), keys, lambda said, truth: said == truth)
    words = _canonical(words_of(caption), category.name)
    is_named = any(_contains(words, _canonical(words_of(value), category.name)) for value in values)
    return is_named and not _is_list(words, category.name) and not _has_rival(words, values)


def words_of(text: str) -> Words:
    """Words of a text after normalisation, as they are compared."""
    return _WORD.findall(normalise_answer(text))


def _decided(said: Sequence[T], truths: Sequence[T], same: Callable[[T, T], bool]) -> bool:
    """One of the truths is said, and little else."""
    right = [any(same(value, truth) for truth in truths) for value in said]
    others = {value for value, is_right in zip(said, right, strict=True) if not is_right}
    return any(right) and len(others) <= MAX_OTHERS


def _contains(words: Words, phrase: Words) -> bool:
    return bool(phrase) and any(words[i : i + len(phrase)] == phrase for i in range(len(words) - len(phrase) + 1))


def _has_rival(words: Words, values: Sequence[str]) -> bool:
    mine = [words_of(value) for value in values]
    for rows in _rivals():
        own = [row for row in rows if any(phrase in mine for phrase in row)]
        others = [phrase for row in rows if row not in own for phrase in row]
        if own and any(_contains(words, phrase) for phrase in others):
            return True
    return False


def _is_list(words: Words, name: str) -> bool:
    if name not in MAX_NAMED:
        return False
    return sum(_contains(words, list(first)) for first in set(_synonyms(name).values())) > MAX_NAMED[name]


def _canonical(words: Words, name: str) -> Words:
    """Synonyms replaced by the word that stands for them, the longest first."""
    same = _synonyms(name)
    longest = max(map(len, same), default=0)
    out: Words = []
    at = 0
    while at < len(words):
        for length in range(min(longest, len(words) - at), 0, -1):
            if (first := same.get(tuple(words[at : at + length]))) is not None:
                out += first
                at += length
                break
        else:
            out.append(words[at])
            at += 1
    return out


@cache
def _lexicon() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((files("music_flamingo.rewards") / "synonyms.yaml").read_text())
    return loaded


@cache
def _synonyms(name: str) -> dict[tuple[str, ...], tuple[str, ...]]:
    rows = [[tuple(words_of(term)) for term in row] for row in _lexicon().get(name, [])]
    # an acoustic guitar is a guitar too, but rhythm and blues is no blues: it becomes one word
    joined = name == "genre"
    return {term: ("_".join(row[0]),) if joined else row[0] for row in rows for term in row}


@cache
def _rivals() -> list[list[list[Words]]]:
    return [[[words_of(phrase) for phrase in row] for row in rows] for rows in _lexicon()["rivals"]]


def _matched_words(words: Words, category: Category) -> float:
    wanted = {word for value in category.values for word in words_of(value)}
    return float(sum(word in wanted for word in words))
