"""Teachers write captions, questions and chains of thought. A teacher is chosen by configuration and asked by Request.

Every call has the shape of a chat completion with a JSON schema: a prompt (id and SHA-256), a payload of facts as
JSON, a reply that is validated. The scripted teacher is such a provider too: deterministic writers that read the
same payload. What it writes is stamped `scripted` everywhere.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from music_flamingo.core.hashing import sha256_bytes
from music_flamingo.core.record import Part
from music_flamingo.prompts import load, render
from music_flamingo.records import TeacherStamp
from music_flamingo.teachers.payloads import TrackPayload

Reply = TypeVar("Reply", bound=Part)
Item = TypeVar("Item")
Made = TypeVar("Made")


class TeacherFailedError(RuntimeError):
    """A call that ended without a usable reply. `reason` is what its record is quarantined for: `teacher_timeout`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


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
    audio: bytes | None = None
    """What the teacher is to hear, as a FLAC or WAV file; None for a call about text alone."""

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
    concurrency: int
    """Calls it may be asked at once; 1 for one that runs in this process."""

    def ask(self, request: Request[Reply]) -> Reply:
        """Raises TeacherFailedError when no try gave a usable reply."""
        ...


def open_teacher(config: TeacherConfig) -> Teacher:
    """The teacher that a configuration names."""
    from music_flamingo.teachers.scripted import ScriptedTeacher

    assert config.kind == "scripted"
    return ScriptedTeacher()


def request_seed(seed: int, prompt_id: str, parts: Sequence[str]) -> int:
    """A seed of its own for each call, whatever the order of calls."""
    return int(sha256_bytes("\x1f".join([str(seed), prompt_id, *parts]).encode())[:12], 16)


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
    return teacher.ask(Request(prompt_id, payload, reply, own_seed, audio))


def concurrently(
    teacher: Teacher,
    items: Sequence[Item],
    work: Callable[[Item], Made],
    failed: Callable[[Item, TeacherFailedError], Made],
) -> list[Made]:
    """`work` of each item, in order, with as many at once as the teacher takes; `failed` where its calls fail."""

    def one(item: Item) -> Made:
        try:
            return work(item)
        except TeacherFailedError as error:
            return failed(item, error)

    if teacher.concurrency == 1:
        return [one(item) for item in items]
    with ThreadPoolExecutor(teacher.concurrency) as pool:
        return list(pool.map(one, items))


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
