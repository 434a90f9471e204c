"""OpenAI's chat completions, as far as one question about one recording goes: requests parsed, answers shaped.

What this model cannot honour (a second turn, several answers, an unknown parameter) is refused, never ignored.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from music_flamingo.model.listener import WINDOW_RULE, Heard
from music_flamingo.scoring.extract import split_thinking
from music_flamingo.serving.errors import ApiError, echo
from music_flamingo.serving.uploads import SUFFIXES, Upload

MAX_NEW_TOKENS = 4096


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class InputAudio(_Part):
    data: str
    """Base64."""
    format: str

    @field_validator("format")
    @classmethod
    def _known(cls, format_name: str) -> str:
        if format_name not in SUFFIXES:
            raise ValueError(f"formats are {', '.join(SUFFIXES)}")
        return format_name


class AudioUrl(_Part):
    url: str


class TextPart(_Part):
    type: Literal["text"]
    text: str


class InputAudioPart(_Part):
    type: Literal["input_audio"]
    input_audio: InputAudio


class AudioUrlPart(_Part):
    type: Literal["audio_url"]
    audio_url: AudioUrl


ContentPart = Annotated[TextPart | InputAudioPart | AudioUrlPart, Field(discriminator="type")]


class Message(_Part):
    role: Literal["user"]
    """One question, one recording: the model was trained on single turns."""
    content: list[ContentPart]

    @field_validator("content", mode="before")
    @classmethod
    def _parts(cls, content: Any) -> Any:
        return [{"type": "text", "text": content}] if isinstance(content, str) else content


class StreamOptions(_Part):
    include_usage: bool = False


class ChatRequest(_Part):
    model: str
    messages: list[Message] = Field(min_length=1, max_length=1)
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1, le=MAX_NEW_TOKENS)
    max_completion_tokens: int | None = Field(None, ge=1, le=MAX_NEW_TOKENS)
    temperature: float | None = Field(None, ge=0, le=2)
    """Absent is 0 here: the likeliest answer."""
    seed: int | None = Field(None, ge=0, lt=2**63)
    n: Literal[1] | None = None
    user: str | None = None


@dataclass(frozen=True)
class Question:
    """What a chat request asks: words, and the audio as it was sent."""

    text: str
    audio: Upload


def parse_chat(body: bytes) -> ChatRequest:
    """Raises ApiError naming the field, for what is no JSON or no chat request."""
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(place) for place in first["loc"])
        code = "malformed_json" if first["type"] == "json_invalid" else "invalid_request"
        more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise ApiError(
            400, f"{where[:200] or 'body'}: {first['msg'][:300]}{more}", code, where[:200] or None
        ) from error


def question_of(request: ChatRequest) -> Question:
    """Raises ApiError unless there is exactly one recording and some text."""
    parts = request.messages[0].content
    audio = [_upload(part) for part in parts if not isinstance(part, TextPart)]
    if len(audio) != 1:
        found = "none" if not audio else str(len(audio))
        raise ApiError(400, f"give one recording (found {found}) as `input_audio`.", "one_recording", "messages")
    text = " ".join(part.text.strip() for part in parts if isinstance(part, TextPart)).strip()
    if not text:
        raise ApiError(400, "give a question as a part of type `text`.", "no_question", "messages")
    return Question(text, audio[0])


def _upload(part: InputAudioPart | AudioUrlPart) -> Upload:
    return Upload(part.input_audio.data) if isinstance(part, InputAudioPart) else Upload.of_url(part.audio_url.url)


def require_model(name: str, known: str) -> None:
    if name != known:
        raise ApiError(404, f"there is no model {echo(name)}; this server has {known!r}.", "model_not_found", "model")


def extension(heard: Heard, duration_s: float) -> dict[str, Any]:
    """What OpenAI's shape has no field for: the answer alone, and what was listened to."""
    return {
        "answer": split_thinking(heard.text)[1],
        "listened_s": list(heard.window_s),
        "duration_s": duration_s,
        "window_rule": WINDOW_RULE,
    }


def completion(identity: str, created_s: int, model: str, heard: Heard, duration_s: float) -> dict[str, Any]:
    """The whole answer as one JSON object."""
    message = {"role": "assistant", "content": heard.text, "reasoning_content": split_thinking(heard.text)[0]}
    return {
        "id": identity,
        "object": "chat.completion",
        "created": created_s,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": _finish(heard), "logprobs": None}],
        "usage": _usage(heard),
        "music_flamingo": extension(heard, duration_s),
    }


def chunks(
    identity: str, created_s: int, model: str, heard: Heard, duration_s: float, include_usage: bool
) -> Iterator[str]:
    """The answer as server-sent events. The words are complete before the first is sent; they go out one by one."""
    head = {"id": identity, "object": "chat.completion.chunk", "created": created_s, "model": model}
    for delta in ({"role": "assistant", "content": ""}, *({"content": word} for word in _words(heard.text))):
        yield _event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    last = {"index": 0, "delta": {}, "finish_reason": _finish(heard)}
    yield _event({**head, "choices": [last], "music_flamingo": extension(heard, duration_s)})
    if include_usage:
        yield _event({**head, "choices": [], "usage": _usage(heard)})
    yield "data: [DONE]\n\n"


def _words(text: str) -> list[str]:
    """Words with the spaces that follow them: joined, they are the text again."""
    words = text.split(" ")
    return [word + " " for word in words[:-1]] + [words[-1]]


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


def _finish(heard: Heard) -> str:
    return "stop" if heard.ended else "length"


def _usage(heard: Heard) -> dict[str, int]:
    return {
        "prompt_tokens": heard.num_prompt_tokens,
        "completion_tokens": heard.num_new_tokens,
        "total_tokens": heard.num_prompt_tokens + heard.num_new_tokens,
    }
