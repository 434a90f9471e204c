"""Extract thinking and answer from a model's output (paper, section on post-training).

The one full form is `<think>..</think><answer>..</answer>`: both blocks once, in this order, neither empty, nothing
around them but white space. A plain sentence without any tag is an answer too (a model that was not asked to think).
"""

import re
from typing import Literal

THINK, END_THINK, ANSWER, END_ANSWER = TAGS = ("<think>", "</think>", "<answer>", "</answer>")

_TAG = re.compile(r"(</?(?:think|answer)>)")


def _pieces(text: str) -> tuple[list[str], list[str]]:
    """(the tags in order, the texts around them); one pass, whatever the text."""
    parts = _TAG.split(text)
    return parts[1::2], [words.strip() for words in parts[0::2]]


def has_full_form(text: str) -> bool:
    """True for strictly one think block followed by one answer block, both with words in them."""
    tags, words = _pieces(text)
    if tuple(tags) != TAGS:
        return False
    before, thinking, between, answer, after = words
    return bool(thinking and answer) and not (before or between or after)


def form_of(text: str) -> Literal["think_answer", "plain", "broken"]:
    """Name the form of an output: both blocks, no tag at all, or tags that are not the full form."""
    if has_full_form(text):
        return "think_answer"
    return "broken" if _TAG.search(text) else "plain"


def split_thinking(text: str) -> tuple[str | None, str | None]:
    """(thinking, answer) of a text in the full form; thinking is None in any other form.

    Without the full form the answer is that of the one answer block that ends the text, or a text without tags as a
    whole; None where neither is there (an unclosed or repeated answer tag, thoughts without an answer, nothing).
    """
    tags, words = _pieces(text)
    if has_full_form(text):
        return words[1], words[3]
    if not tags:
        return None, words[0] or None
    ends_with_answer = tags[-2:] == [ANSWER, END_ANSWER] and tags.count(ANSWER) == tags.count(END_ANSWER) == 1
    return None, (words[-2] or None) if ends_with_answer and not words[-1] else None


def extract_answer(text: str) -> str | None:
    """The answer in a model's words, or None when there is none to be found."""
    return split_thinking(text)[1]
