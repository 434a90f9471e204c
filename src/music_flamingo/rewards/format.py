"""Format reward: 1 for strictly one think block followed by one answer block, else 0."""

import re

from music_flamingo.scoring.extract import has_full_form, split_thinking

CHAT_MARK = re.compile(r"<\|[^|<>]{1,40}\|>")
"""A mark of turns: an output that holds one has gone on speaking for somebody else."""


def format_reward(output: str, max_think_words: int | None = None) -> float:
    """Thinking of more than `max_think_words` words has no format: length must not pay."""
    if not has_full_form(output) or CHAT_MARK.search(output):
        return 0.0
    thinking, _ = split_thinking(output)
    assert thinking is not None
    return float(max_think_words is None or len(thinking.split()) <= max_think_words)
