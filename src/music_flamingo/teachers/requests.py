"""One call to a teacher: a prompt on facts (and perhaps sound), the shape of the reply, a seed of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

from music_flamingo.core.hashing import sha256_bytes
from music_flamingo.core.record import RecordPart
from music_flamingo.prompts import render
from music_flamingo.teachers.payloads import TrackPayload

Reply = TypeVar("Reply", bound=RecordPart)


@dataclass(frozen=True)
class TeacherRequest(Generic[Reply]):
    """One call: which prompt, on which facts, and the shape of the reply."""

    prompt_id: str
    payload: TrackPayload
    reply: type[Reply]
    seed: int
    audio: bytes | None = None
    """What the teacher is to hear, as a FLAC or WAV file; None for a call about text alone."""

    @cached_property
    def text(self) -> str:
        """The message; all that came from outside is inside the payload's JSON."""
        return render(self.prompt_id, payload=self.payload.model_dump(mode="json"))


def request_seed(seed: int, prompt_id: str, parts: Sequence[str]) -> int:
    """A seed of its own for each call, whatever the order of calls."""
    return int(sha256_bytes("\x1f".join([str(seed), prompt_id, *parts]).encode())[:12], 16)
