"""The scripted teacher: deterministic writers from measured facts and music theory, one for each prompt.

It reads the same payloads and gives the same replies as a language model would, and is named `scripted` everywhere.
"""

import random
from collections.abc import Callable, Mapping
from typing import Any

from music_flamingo import __version__
from music_flamingo.core.record import RecordPart
from music_flamingo.teachers import Reply, TeacherRequest
from music_flamingo.teachers.config import AudioFormat
from music_flamingo.teachers.scripted.attribute import write_attribute
from music_flamingo.teachers.scripted.chains import rewrite_step, split_steps, write_chain, write_timed_chain
from music_flamingo.teachers.scripted.comparative import write_comparative
from music_flamingo.teachers.scripted.difficulty import rate_difficulty
from music_flamingo.teachers.scripted.distractors import write_distractors
from music_flamingo.teachers.scripted.harmony import write_harmony
from music_flamingo.teachers.scripted.judging import guess_answer, judge_example
from music_flamingo.teachers.scripted.lyrics_vocal import write_lyrics_vocal
from music_flamingo.teachers.scripted.rich import write_rich_caption
from music_flamingo.teachers.scripted.short import write_initial_caption, write_short_caption, write_structured_truth
from music_flamingo.teachers.scripted.temporal import write_temporal

WRITERS: Mapping[str, Callable[[Any, random.Random], RecordPart]] = {
    "initial_caption": write_initial_caption,
    "rich_caption": write_rich_caption,
    "short_caption": write_short_caption,
    "structured_truth": write_structured_truth,
    "qa_temporal": write_temporal,
    "qa_attribute": write_attribute,
    "qa_harmony": write_harmony,
    "qa_lyrics_vocal": write_lyrics_vocal,
    "qa_comparative": write_comparative,
    "distractors": write_distractors,
    "difficulty": rate_difficulty,
    "chain": write_chain,
    "chain_seconds": write_timed_chain,
    "step_split": split_steps,
    "rewrite": rewrite_step,
    "judge_example": judge_example,
    "answer_without_audio": guess_answer,
}
"""Prompt id -> writer."""


class ScriptedTeacher:
    """A Teacher without a model: equal requests give equal replies."""

    kind = "scripted"
    model = "scripted"
    revision = __version__
    concurrency = 1
    audio: AudioFormat | None = None

    def ask(self, request: TeacherRequest[Reply]) -> Reply:
        """Write the reply by the prompt's writer, with a random generator of the request's seed."""
        reply = WRITERS[request.prompt_id](request.payload, random.Random(request.seed))
        assert isinstance(reply, request.reply), f"{request.prompt_id} wrote a {type(reply).__name__}"
        return reply

    def end(self) -> None:
        """Nothing can have failed."""

    def interrupt(self) -> None:
        """Nothing is under way."""

    def close(self) -> None:
        """Nothing is open."""
