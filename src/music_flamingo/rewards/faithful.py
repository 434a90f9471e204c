"""Faithfulness reward of composite questions: every part is checked, and the answer given follows from the checks."""

from music_flamingo.scoring.extract import split_thinking
from music_flamingo.scoring.families import read_chain


def faithful_reward(output: str, family: str, question: str) -> float | None:
    """1 or 0, whether the answer is right or not; None for a question that is not composite."""
    thinking, answer = split_thinking(output)
    reading = read_chain(family, question, thinking or "", answer)
    return None if reading is None else float(reading.is_faithful)
