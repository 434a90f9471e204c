"""Teachers write captions, questions and chains of thought. A teacher is chosen by configuration and asked by Request.

Every call has the shape of a chat completion with a JSON schema: a prompt (id and SHA-256), a payload of facts as
JSON, a reply that is validated. The scripted teacher is such a provider too: deterministic writers that read the
same payload. What it writes is stamped `scripted` everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from music_flamingo.core.hashing import sha256_bytes
from music_flamingo.core.record import Part
from music_flamingo.prompts import load, render
from music_flamingo.records import TeacherStamp
from music_flamingo.teachers.payloads import TrackPayload

Reply = TypeVar("Reply", bound=Part)


class ScriptedConfig(BaseModel):
    """Deterministic writers from facts and theory; no server, no weights."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    kind: Literal["scripted"]


TeacherConfig = ScriptedConfig
"""Every teacher has a `kind`; with a second one this becomes a union discriminated by it."""


@dataclass(frozen=True)
class Request(Generic[Reply]):
    """One call: which prompt, on which facts, and the shape of the reply."""

    prompt_id: str
    payload: TrackPayload
    reply: type[Reply]
    seed: int

    def messages(self) -> list[dict[str, str]]:
        """The chat messages; all that came from outside is inside the payload's JSON."""
        return [{"role": "user", "content": render(self.prompt_id, payload=self.payload.model_dump(mode="json"))}]

    def body(self, model: str) -> dict[str, Any]:
        """The request in the shape of OpenAI's chat completions."""
        schema = {"name": self.reply.__name__, "strict": True, "schema": self.reply.model_json_schema()}
        return {
            "model": model,
            "messages": self.messages(),
            "response_format": {"type": "json_schema", "json_schema": schema},
            "seed": self.seed,
        }


class Teacher(Protocol):
    """Whoever answers requests. A reply always fits the request's schema."""

    kind: str
    model: str
    revision: str

    def ask(self, request: Request[Reply]) -> Reply: ...


def open_teacher(config: TeacherConfig) -> Teacher:
    """The teacher that a configuration names."""
    from music_flamingo.teachers.scripted import ScriptedTeacher

    assert config.kind == "scripted"
    return ScriptedTeacher()


def request_seed(seed: int, prompt_id: str, parts: Sequence[str]) -> int:
    """A seed of its own for each call, whatever the order of calls."""
    return int(sha256_bytes("\x1f".join([str(seed), prompt_id, *parts]).encode())[:12], 16)


def ask(teacher: Teacher, prompt_id: str, payload: TrackPayload, reply: type[Reply], seed: int, *parts: str) -> Reply:
    """One call with its own seed, drawn from the stage's seed, the prompt, the track and `parts`."""
    return teacher.ask(Request(prompt_id, payload, reply, request_seed(seed, prompt_id, [payload.track_id, *parts])))


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
