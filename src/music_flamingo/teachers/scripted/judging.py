"""A judge without audio, which compares with measured facts and rates 3 where it cannot; a reader that guesses."""

import random

from music_flamingo.teachers.payloads import GuessPayload, GuessReply, JudgePayload, JudgeReply

RIGHT, UNKNOWN, WRONG = 5, 3, 1


def judge_example(payload: JudgePayload, rng: random.Random) -> JudgeReply:
    """5 or 1 for a closed question, by its measured answer; 3 for everything else."""
    known = {c.family: c.answer for c in payload.measured}
    if payload.kind == "caption" or payload.family not in known:
        return JudgeReply(correctness=UNKNOWN, reason="A scripted judge hears nothing and has no fact to compare.")
    measured = known[payload.family]
    if payload.answer == measured:
        return JudgeReply(correctness=RIGHT, reason=f"The measured answer is {measured} too.")
    return JudgeReply(correctness=WRONG, reason=f"The measured answer is {measured}.")


def guess_answer(payload: GuessPayload, rng: random.Random) -> GuessReply:
    """Guess an option at random."""
    return GuessReply(answer=rng.choice(payload.options))
