"""Questions in the words that readers know: `Are there two, three or four sections?` asks how many there are."""

import re

_REWORDED: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"^(?:are|is) (?:there|it|they) (?:\d+, )*\d+,? or \d+ (?P<things>[a-z ]+?)(?P<rest> in [^?]+)?\?", re.I), r"How many \g<things> are there\g<rest>?"),
    (re.compile(r"^(?:does|do|has|have) (?P<who>[^?]+?) (?:has|have|contain|include|consist of|use)?\s?(?:\d+, )*\d+,? or \d+ (?P<things>[a-z ]+?)\?", re.I), r"How many \g<things> does \g<who> have?"),
    (re.compile(r"^which is it:? (?:\d+, )*\d+,? or \d+ (?P<things>[^?]+)\?", re.I), r"How many \g<things>?"),
    (re.compile(r"^(?P<how>how many) of the (?P<things>\w+) are (?P<which>[A-E]|A) (?:sections|parts|1s|ones)?\W*$", re.I), r"\g<how> \g<which> \g<things>?"),
    (re.compile(r"^which 1 (?P<rest>(?:is|was|lasts|comes|are) )", re.I), r"Which \g<rest>"),
)  # fmt: skip


def reworded(question: str) -> str:
    """Give a plain question in other words, or as it stands."""
    for pattern, words in _REWORDED:
        if pattern.match(question):
            return pattern.sub(words, question)
    return question
