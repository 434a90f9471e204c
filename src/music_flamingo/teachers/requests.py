"""One call to a teacher: a prompt on facts (and perhaps sound), the shape of the reply, a seed of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from music_flamingo.core.hashing import sha256_bytes
from music_flamingo.core.record import RecordPart
from music_flamingo.prompts import render
from music_flamingo.scoring.families import question_families
from music_flamingo.scoring.normalise import match_option
from music_flamingo.teachers.payloads import GuessPayload, GuessReply, QuestionsReply, TrackPayload
from music_flamingo.teachers.schema import strict_schema

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

    @property
    def choices(self) -> Mapping[str, Sequence[str]]:
        """Field of the reply -> what it may be, where the call leaves only so much: options, names of families."""
        if isinstance(self.payload, GuessPayload):
            return {"answer": self.payload.options}
        return {"family": question_families()} if issubclass(self.reply, QuestionsReply) else {}

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The strict JSON schema of the reply, with these choices in it."""
        return strict_schema(self.reply, self.choices)

    def read(self, text: str) -> Reply:
        """Read a reply; raises ValueError where it has another shape, or answers with none of the options."""
        reply = self.reply.model_validate_json(text)
        if isinstance(self.payload, GuessPayload) and isinstance(reply, GuessReply):
            chosen = match_option(reply.answer, self.payload.options)
            if chosen is None:
                raise ValueError(f"the answer {reply.answer[:80]!r} is none of the options")
            return reply.model_copy(update={"answer": chosen})
        return reply

    @cached_property
    def text(self) -> str:
        """The message; all that came from outside is inside the payload's JSON."""
        return render(self.prompt_id, payload=anonymous(self.payload))


def anonymous(payload: TrackPayload) -> dict[str, Any]:
    """Give a payload as it is sent: a pseudonym in place of the track's id, which is its file's name, and no title.

    A teacher that reads `played by the Ryans` writes about them. The pseudonym keeps two songs apart.
    """
    sent = payload.model_dump(mode="json")
    if payload.track_id:
        sent["track_id"] = sha256_bytes(f"track {payload.track_id}".encode())[:16]
    if "title" in sent:
        sent["title"] = None
    return sent


def request_seed(seed: int, prompt_id: str, parts: Sequence[str]) -> int:
    """A seed of its own for each call, whatever the order of calls."""
    return int(sha256_bytes("\x1f".join([str(seed), prompt_id, *parts]).encode())[:12], 16)
