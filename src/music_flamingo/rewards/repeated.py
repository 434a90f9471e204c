"""Penalty for repetition: the share of word n-grams that stood in the answer before, as a negative reward."""

import re

WORDS_PER_GRAM = 4
_WORD = re.compile(r"[\w#'-]+")


def repeated_reward(output: str) -> float:
    """0 where no four words in a row come twice, down to nearly -1 for a loop."""
    words = _WORD.findall(output.casefold())
    grams = [tuple(words[i : i + WORDS_PER_GRAM]) for i in range(len(words) - WORDS_PER_GRAM + 1)]
    return len(set(grams)) / len(grams) - 1.0 if grams else 0.0
