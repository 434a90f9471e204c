"""Order of a question's options: a natural order where there is one, shuffled otherwise."""

import re
from collections.abc import Sequence

RANKS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
_RANK = re.compile(rf"(?:the )?({'|'.join(RANKS)})(?: \w+)?")


def names_its_options(question: str, options: Sequence[str]) -> bool:
    """True for a closed question (`slow, medium or fast?`): its options belong to it, in their order."""
    return all(option.casefold() in question.casefold() for option in options)


def are_drawn(question: str, options: Sequence[str]) -> bool:
    """False for options with an order of their own: those a question names, and the first, the second, the third."""
    ranks = [match.group(1) if (match := _RANK.fullmatch(option.casefold())) else None for option in options]
    in_order = ranks == list(RANKS[: len(options)])
    return not in_order and not names_its_options(question, options)
