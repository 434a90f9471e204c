"""Have a teacher that hears the recording rate an example's correctness from 1 to 5."""

from pydantic import BaseModel, ConfigDict, Field, model_validator

from music_flamingo.audio.clips import cut, window
from music_flamingo.core.hashing import sha256_bytes
from music_flamingo.core.ranges import Seed
from music_flamingo.records import Example, Facts, Track
from music_flamingo.teachers import Teacher, TeacherConfig, ask
from music_flamingo.teachers.payloads import JudgePayload, JudgeReply, closed_questions

PROMPT = "judge_example"


class JudgeConfig(BaseModel):
    """Drop what a teacher that hears the audio finds wrong."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    teacher: TeacherConfig
    min_score: float = Field(ge=1, le=5)
    """Of 1 to 5; what is rated lower is `judged_wrong`."""
    fraction: float = Field(gt=0, le=1)
    """Of the examples that is judged, drawn by hash; the others are kept unjudged."""
    max_audio_s: float = Field(gt=0)
    """What is heard: the references and some seconds around them, else the beginning."""
    seed: Seed

    @model_validator(mode="after")
    def _hears(self) -> "JudgeConfig":
        if self.teacher.kind == "openai_compatible" and self.teacher.audio is None:
            raise ValueError("a judge hears: name a model that takes audio and set its `audio` to wav or flac")
        return self


def is_drawn(config: JudgeConfig, example: Example) -> bool:
    """Whether this example is among the judged: by hash of seed and id, so always the same ones."""
    return int(sha256_bytes(f"{config.seed} {example.id}".encode())[:8], 16) < config.fraction * 16**8


def judge_example(teacher: Teacher, config: JudgeConfig, example: Example, facts: Facts, track: Track) -> int:
    """The teacher's score, 1 to 5. Raises TeacherFailedError without a usable reply: there is no score by default."""
    payload = JudgePayload(
        track_id=sha256_bytes(track.id.encode())[:16],  # a model may know the piece by its name
        kind="caption" if example.type == "caption" else "question",
        family=example.family,
        question=example.question,
        options=example.options,
        answer=example.answer,
        measured=closed_questions(facts),
    )
    audio = None
    if teacher.audio is not None and track.audio is not None and track.duration_s is not None:
        cited = [(r.start_s, r.end_s) for r in example.references]
        audio = cut(track.audio.bytes, *window(cited, track.duration_s, config.max_audio_s), teacher.audio)
    return ask(teacher, PROMPT, payload, JudgeReply, config.seed, example.id, audio=audio).correctness
