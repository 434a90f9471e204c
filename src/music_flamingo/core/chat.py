"""Wire format (pydantic) of OpenAI chat completions."""

import base64

from pydantic import BaseModel, Field, field_validator

from music_flamingo.core.lines import well_formed

MOST_TOKENS = 10**9
"""A count beyond this is no count."""


class ChatMessage(BaseModel):
    """As servers send it; what is not named here is not looked at."""

    content: str | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    """The name of `reasoning` in vLLM before 0.11, and elsewhere still."""

    @field_validator("content", "reasoning", "reasoning_content", mode="before")
    @classmethod
    def _can_be_written(cls, text: object) -> object:
        return well_formed(text)

    @property
    def thoughts(self) -> str:
        """What the server split off from the words."""
        return self.reasoning or self.reasoning_content or ""


class ChatChoice(BaseModel):
    """One choice of a response."""

    message: ChatMessage
    finish_reason: str | None = None


class Counted(BaseModel):
    """Token counts of a response."""

    prompt_tokens: int = Field(default=0, ge=0, le=MOST_TOKENS)
    completion_tokens: int = Field(default=0, ge=0, le=MOST_TOKENS)


class ChatCompletion(BaseModel):
    """A chat completion, as far as it is used. Servers are not trusted to send one."""

    choices: list[ChatChoice] = Field(min_length=1)
    usage: Counted = Counted()

    @field_validator("usage", mode="before")
    @classmethod
    def _may_be_null(cls, usage: object) -> object:
        return Counted() if usage is None else usage

    @property
    def is_counted(self) -> bool:
        """False where the server does not say how many tokens it read and wrote."""
        return self.usage.prompt_tokens > 0


def audio_part(audio: bytes, form: str) -> dict[str, object]:
    """`form` is wav, flac, mp3 ..."""
    return {"type": "input_audio", "input_audio": {"data": base64.b64encode(audio).decode("ascii"), "format": form}}
