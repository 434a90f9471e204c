"""Accuracy reward of questions: the normalised answer inside the answer tags against the reference."""

from collections.abc import Sequence

from music_flamingo.scoring.extract import ANSWER, extract_answer
from music_flamingo.scoring.normalise import match_option, normalise_answer, same_answer


def accuracy_reward(output: str, reference: str, options: Sequence[str] = ()) -> float | None:
    """1 when the answer tags hold the reference, else 0; words outside the tags earn nothing.

    With options, an option's letter counts as the option. None when the reference is empty or not among the options.
    """
    if not normalise_answer(reference):
        return None
    if options and match_option(reference, options) is None:
        return None
    answer = extract_answer(output) if ANSWER in output else None
    if answer is None:
        return 0.0
    if options:
        return float(match_option(answer, options) == match_option(reference, options))
    return float(same_answer(answer, reference))
