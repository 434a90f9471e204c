"""Teachers write captions, questions and chains of thought: chosen by configuration, asked by a TeacherRequest.

Every call has the shape of a chat completion with a JSON schema: a prompt (id and SHA-256), a payload of facts as
JSON, a reply that is validated. The scripted teacher is such a provider too: deterministic writers that read the
same payload. What it writes is stamped `scripted` everywhere. Others are reached over HTTP (`openai_compatible`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from music_flamingo.prompts import load
from music_flamingo.records import TeacherStamp
from music_flamingo.teachers.calling import TeacherFailedError, is_settled, over_shards
from music_flamingo.teachers.config import AudioFormat, OpenAICompatibleConfig, ScriptedConfig, TeacherConfig
from music_flamingo.teachers.payloads import TrackPayload
from music_flamingo.teachers.requests import Reply, TeacherRequest, request_seed

__all__ = [
    "OpenAICompatibleConfig",
    "Reply",
    "ScriptedConfig",
    "Teacher",
    "TeacherConfig",
    "TeacherFailedError",
    "TeacherRequest",
    "ask",
    "is_settled",
    "open_teacher",
    "over_shards",
    "request_seed",
    "stamp",
    "teaching",
]


class Teacher(Protocol):
    """Whoever answers requests. A reply always fits the request's schema."""

    kind: str
    model: str
    revision: str
    concurrency: int
    """Calls it may be asked at once; 1 for one that runs in this process."""
    audio: AudioFormat | None
    """The form in which it hears; None for one that is given no sound."""

    def ask(self, request: TeacherRequest[Reply]) -> Reply:
        """Raises TeacherFailedError when no try gave a usable reply."""
        ...

    def end(self) -> None:
        """Called when all is asked: raises TeacherUnusableError where nothing succeeded."""
        ...

    def interrupt(self) -> None:
        """Ask nothing any more; `close` follows."""

    def close(self) -> None:
        """Write the usage and release connections; call it once, after the last request."""


def open_teacher(config: TeacherConfig, stage: str = "by hand", data: Path | None = None) -> Teacher:
    """The teacher that a configuration names. What it is asked is counted in `data`/_usage, under `stage`."""
    if isinstance(config, OpenAICompatibleConfig):
        from music_flamingo.teachers.openai_compatible import OpenAICompatibleTeacher

        return OpenAICompatibleTeacher(config, stage, data)
    from music_flamingo.teachers.scripted import ScriptedTeacher

    return ScriptedTeacher()


@contextmanager
def teaching(config: TeacherConfig, stage: str, port: Path) -> Iterator[Teacher]:
    """A stage's teacher, closed in the end; `port` is one of the stage's outputs, next to which usage is counted.

    Raises TeacherUnusableError in the end when calls were made and none succeeded.
    """
    teacher = open_teacher(config, stage, port.parent)
    try:
        yield teacher
        teacher.end()
    except KeyboardInterrupt:
        teacher.interrupt()
        raise
    finally:
        teacher.close()


def ask(
    teacher: Teacher,
    prompt_id: str,
    payload: TrackPayload,
    reply: type[Reply],
    seed: int,
    *parts: str,
    audio: bytes | None = None,
) -> Reply:
    """One call with its own seed, drawn from the stage's seed, the prompt, the track and `parts`."""
    own_seed = request_seed(seed, prompt_id, [payload.track_id, *parts])
    return teacher.ask(TeacherRequest(prompt_id, payload, reply, own_seed, audio))


def stamp(teacher: Teacher, prompt_id: str) -> TeacherStamp:
    """Who wrote a text, from which prompt."""
    prompt = load(prompt_id)
    return TeacherStamp(
        kind=teacher.kind,
        model=teacher.model,
        revision=teacher.revision,
        prompt_id=prompt.id,
        prompt_sha256=prompt.sha256,
    )
