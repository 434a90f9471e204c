"""An example put to a teacher that hears: how correct is it, from 1 to 5?"""

from music_flamingo.records import Example, Facts
from music_flamingo.teachers import Teacher, ask
from music_flamingo.teachers.payloads import JudgePayload, JudgeReply, closed_questions

PROMPT = "judge_example"


def judge_example(teacher: Teacher, example: Example, facts: Facts, audio: bytes, seed: int) -> int:
    """The teacher's rate of an example beside `audio`, a FLAC file. Raises TeacherFailedError without a usable reply."""
    payload = JudgePayload(
        track_id=example.track_id,
        kind="caption" if example.type == "caption" else "question",
        family=example.family,
        question=example.question,
        options=example.options,
        answer=example.answer,
        measured=closed_questions(facts),
    )
    return ask(teacher, PROMPT, payload, JudgeReply, seed, example.id, audio=audio).correctness
