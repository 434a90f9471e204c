"""Accuracy reward of questions: the answer inside the answer tags against the reference, by the rule of its kind."""

from collections.abc import Sequence

from music_flamingo.scoring.answers import AnswerKind, score_answer
from music_flamingo.scoring.extract import ANSWER, extract_answer


def accuracy_reward(output: str, kind: AnswerKind, reference: str, options: Sequence[str] = ()) -> float | None:
    """0 to 1 for what the answer tags hold (scoring/answers has the rules); words outside the tags earn nothing.

    None when the reference cannot be compared with: the reward is then left out.
    """
    answer = extract_answer(output) if ANSWER in output else None
    return score_answer(kind, answer or "", reference, options)
