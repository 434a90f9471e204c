"""Structured-thinking reward of captions: the caption against structured truth (genre, bpm, key, meter ...).

The paper matches strings category by category and divides by the number of categories. Its wording counts matching
words, so that the sum has no upper bound; two forms are given:

- `matched_categories` (default): categories with at least one value found, divided by the categories; 0 to 1.
- `matched_words` (the paper's literal form): matching words of all values, divided by the categories; unbounded.
"""

import re
from collections.abc import Sequence
from typing import Literal

from music_flamingo.records.example import Category
from music_flamingo.scoring.extract import ANSWER, extract_answer
from music_flamingo.scoring.normalise import normalise_answer

StructuredForm = Literal["matched_categories", "matched_words"]

_WORD = re.compile(r"[\w#/]+")


def structured_reward(
    output: str, categories: Sequence[Category], form: StructuredForm = "matched_categories"
) -> float | None:
    """The reward of a caption inside answer tags. None when there is no category with a value."""
    stated = [c for c in categories if any(words_of(value) for value in c.values)]
    if not stated:
        return None
    caption = extract_answer(output) if ANSWER in output else None
    if caption is None:
        return 0.0
    words = words_of(caption)
    score = _matched_words if form == "matched_words" else _matches
    return sum(score(words, category) for category in stated) / len(stated)


def words_of(text: str) -> list[str]:
    return _WORD.findall(normalise_answer(text))


def _matches(words: list[str], category: Category) -> float:
    """1 when any value stands in the caption, word for word: `C minor` is not found in `C# minor`."""
    return float(any(_contains(words, words_of(value)) for value in category.values))


def _contains(words: list[str], phrase: list[str]) -> bool:
    return bool(phrase) and any(words[i : i + len(phrase)] == phrase for i in range(len(words) - len(phrase) + 1))


def _matched_words(words: list[str], category: Category) -> float:
    wanted = {word for value in category.values for word in words_of(value)}
    return float(sum(word in wanted for word in words))
