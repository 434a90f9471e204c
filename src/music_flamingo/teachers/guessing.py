"""A question put to a teacher without its audio: what is answered rightly all the same needs no ears."""

import random

from music_flamingo.records import Example
from music_flamingo.teachers import Teacher, ask, request_seed
from music_flamingo.teachers.payloads import GuessPayload, GuessReply

PROMPT = "answer_without_audio"


def guess_without_audio(teacher: Teacher, example: Example, tries: int, seed: int) -> int:
    """How many of so many tries are right. The options come in another order each time, drawn by seed.

    Raises TeacherFailedError when a call gives no usable reply.
    """
    return sum(_one(teacher, example, k, seed) == example.answer for k in range(tries))


def _one(teacher: Teacher, example: Example, k: int, seed: int) -> str:
    order = random.Random(request_seed(seed, PROMPT, [example.id, str(k)]))
    options = order.sample(example.options, len(example.options))
    payload = GuessPayload(question=example.question, options=options)
    return ask(teacher, PROMPT, payload, GuessReply, seed, example.id, str(k)).answer
