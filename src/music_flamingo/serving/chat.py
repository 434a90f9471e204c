"""OpenAI's chat completions for one question about one recording: parse requests, build responses.

What this model cannot honour (two recordings, several answers, an unknown parameter) is refused, never ignored.
"""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from music_flamingo.model.listener import WINDOW_RULE, ListenerOutput
from music_flamingo.scoring.extract import form_of, split_thinking
from music_flamingo.serving.detokenizer import TextDelta, split
from music_flamingo.serving.errors import ApiError, echo
from music_flamingo.serving.formats import ResponseFormat
from music_flamingo.serving.recordings import CachedWindow
from music_flamingo.serving.stream import shown
from music_flamingo.serving.uploads import SUFFIXES, AudioAddress, Upload

MAX_NEW_TOKENS = 4096
MAX_STOP_WORDS = 4
MAX_MESSAGES = 33
MAX_STOP_CHARS = 64


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class InputAudio(_Part):
    """Base64 audio and its format."""

    data: str
    """Base64."""
    format: Annotated[str, Field(json_schema_extra={"enum": list(SUFFIXES)})]

    @field_validator("format")
    @classmethod
    def _known(cls, format_name: str) -> str:
        if format_name not in SUFFIXES:
            raise ValueError(f"formats are {', '.join(SUFFIXES)}")
        return format_name


class AudioUrl(_Part):
    """AudioAddress of audio: http(s) or data URL."""

    url: str


class TextPart(_Part):
    """Text of a message."""

    type: Literal["text"]
    text: str


class InputAudioPart(_Part):
    """Audio of a message, inline."""

    type: Literal["input_audio"]
    input_audio: InputAudio


class AudioUrlPart(_Part):
    """Audio of a message, by address."""

    type: Literal["audio_url"]
    audio_url: AudioUrl


ContentPart = Annotated[TextPart | InputAudioPart | AudioUrlPart, Field(discriminator="type")]


class RequestMessage(_Part):
    """A message: text and, of a user, audio parts."""

    role: Literal["system", "developer", "user", "assistant"]
    content: list[ContentPart]

    @field_validator("content", mode="before")
    @classmethod
    def _parts(cls, content: Any) -> Any:
        return [{"type": "text", "text": content}] if isinstance(content, str) else content


StopWord = Annotated[str, Field(min_length=1, max_length=MAX_STOP_CHARS)]


class StreamOptions(_Part):
    """Options of a stream."""

    include_usage: bool = False


class TemplateOptions(_Part):
    """What a request says to the chat template."""

    enable_thinking: bool = True
    """False: a plain answer, as a vLLM that serves the release takes it."""


Neutral = Annotated[float, Field(ge=0, le=0)]


class ChatRequest(_Part):
    """Body of a chat completion request."""

    model: str
    messages: list[RequestMessage] = Field(min_length=1, max_length=MAX_MESSAGES)
    """A system message if there is one, then user and assistant in turn; the last is the user's. One recording."""
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1, le=MAX_NEW_TOKENS)
    max_completion_tokens: int | None = Field(None, ge=1, le=MAX_NEW_TOKENS)
    temperature: float | None = Field(None, ge=0, le=2)
    """Absent is 0 here: the likeliest answer."""
    seed: int | None = Field(None, ge=0, lt=2**63)
    stop: StopWord | Annotated[list[StopWord], Field(max_length=MAX_STOP_WORDS)] | None = None
    """The answer ends before any of these."""
    response_format: ResponseFormat | None = None
    """With a schema the words are held to it, and there is no thinking."""
    n: Literal[1] | None = None
    chat_template_kwargs: TemplateOptions | None = None
    top_p: Annotated[float, Field(ge=1, le=1)] | None = None
    """This and what follows: OpenAI's clients send them at the value that changes nothing, and no other is taken."""
    frequency_penalty: Neutral | None = None
    presence_penalty: Neutral | None = None
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = None
    logprobs: Literal[False] | None = None
    tools: Annotated[list[dict[str, Any]], Field(max_length=0)] | None = None
    tool_choice: Literal["none", "auto"] | None = None
    parallel_tool_calls: bool | None = None
    store: Literal[False] | None = None
    user: str | None = None

    @field_validator("messages")
    @classmethod
    def _in_turn(cls, messages: list[RequestMessage]) -> list[RequestMessage]:
        roles = [message.role for message in messages]
        if roles[0] in ("system", "developer"):
            roles.pop(0)
        if roles != ["user", "assistant"] * (len(roles) // 2) + ["user"]:
            raise ValueError("after a system message, user and assistant take turns, and the last word is the user's")
        return messages

    @property
    def think(self) -> bool:
        """Whether thinking is wanted, where the release thinks."""
        return self.chat_template_kwargs is None or self.chat_template_kwargs.enable_thinking

    @property
    def stop_words(self) -> tuple[str, ...]:
        """Stop strings as a tuple."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())


@dataclass(frozen=True)
class ChatQuestion:
    """What a chat request asks: words, the audio as it was sent, and what was said before."""

    text: str
    audio: Upload | AudioAddress
    earlier: tuple[tuple[str, str], ...] = ()
    """Questions and answers before this one."""
    sound_at: int = 0
    """The turn whose question came with the recording."""
    system: str | None = None


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


def question_text(request: ChatRequest) -> str:
    """The words of the last question; empty where there are none."""
    return _text(request.messages[-1])


def question_of(request: ChatRequest, may_fetch: bool = False) -> ChatQuestion:
    """Raises ApiError unless there is exactly one recording and some text. `may_fetch`: it may be an address."""
    turns = [message for message in request.messages if message.role in ("user", "assistant")]
    sounds = [(k, part) for k, m in enumerate(turns) for part in m.content if not isinstance(part, TextPart)]
    if len(sounds) != 1 or turns[sounds[0][0]].role != "user":
        found = "none" if not sounds else str(len(sounds))
        raise ApiError(400, f"give one recording (found {found}) as `input_audio`.", "one_recording", "messages")
    questions, answers = [_text(m) for m in turns[::2]], [_text(m) for m in turns[1::2]]
    if not all(questions):
        raise ApiError(400, "give a question as a part of type `text`.", "no_question", "messages")
    at, audio = sounds[0]
    system = " ".join(_text(m) for m in request.messages if m.role in ("system", "developer")) or None
    earlier = tuple(zip(questions[:-1], answers, strict=True))
    return ChatQuestion(questions[-1], _upload(audio, may_fetch), earlier, at // 2, system)


def _text(message: RequestMessage) -> str:
    return " ".join(part.text.strip() for part in message.content if isinstance(part, TextPart)).strip()


def _upload(part: InputAudioPart | AudioUrlPart, may_fetch: bool) -> Upload | AudioAddress:
    if isinstance(part, InputAudioPart):
        return Upload.of_text(part.input_audio.data)
    return Upload.of_url(part.audio_url.url, may_fetch)


def require_model(name: str, known: str) -> None:
    """Raise a 404 ApiError unless the name is that of this server's model."""
    if name != known:
        raise ApiError(404, f"there is no model {echo(name)}; this server has {known!r}.", "model_not_found", "model")


def extension(heard: ListenerOutput, recording: CachedWindow, notes: Sequence[str] = ()) -> dict[str, Any]:
    """What OpenAI's shape has no field for: the words as said, the answer alone, their form, what was listened to.

    `notes`: what a reader must know to judge the answer, for example that no such question was trained.
    """
    return {
        "text": heard.text,
        "answer": split_thinking(heard.text)[1],
        "form": form_of(heard.text),
        "listened_s": list(recording.window_s),
        "duration_s": recording.duration_s,
        "window_rule": WINDOW_RULE,
        "notes": list(notes),
    }


@dataclass(frozen=True)
class Head:
    """What every part of one answer begins with."""

    id: str
    created_s: int
    model: str

    def of(self, kind: str) -> dict[str, Any]:
        """Common fields of a response object of this kind."""
        return {"id": self.id, "object": kind, "created": self.created_s, "model": self.model}


def completion(
    head: Head, heard: ListenerOutput, recording: CachedWindow, notes: Sequence[str] = (), is_tagged: bool = True
) -> dict[str, Any]:
    """The whole answer as one JSON object: the thinking stands apart from the answer.

    `is_tagged`: False for words that a schema holds.
    """
    thinking, answer = split(heard.text, is_tagged)
    message = {"role": "assistant", "content": answer, "reasoning_content": thinking}
    return {
        **head.of("chat.completion"),
        "choices": [{"index": 0, "message": message, "finish_reason": _finish(heard), "logprobs": None}],
        "usage": _usage(heard, recording),
        "music_flamingo": extension(heard, recording, notes),
    }


async def chunks(
    head: Head,
    told: AsyncIterator[TextDelta | ListenerOutput],
    recording: CachedWindow,
    include_usage: bool,
    notes: Sequence[str] = (),
) -> AsyncIterator[str]:
    """The answer as server-sent events, each as soon as its words are said."""
    start = head.of("chat.completion.chunk")
    yield _event({**start, "choices": [_choice({"role": "assistant", "content": ""})]})
    try:
        async for said in told:
            if isinstance(said, TextDelta):
                name = "content" if said.kind == "content" else "reasoning_content"
                yield _event({**start, "choices": [_choice({name: said.text})]})
                continue
            more = {"music_flamingo": extension(said, recording, notes)}
            yield _event({**start, "choices": [_choice({}, _finish(said))], **more})
            if include_usage:
                yield _event({**start, "choices": [], "usage": _usage(said, recording)})
    except Exception as error:  # the status is sent already: what ends the answer is its last event, as with OpenAI
        yield _event(shown(error).body())
        return
    yield "data: [DONE]\n\n"


def _choice(delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish_reason}


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


def _finish(heard: ListenerOutput) -> str:
    return "stop" if heard.ended else "length"


def _usage(heard: ListenerOutput, recording: CachedWindow) -> dict[str, Any]:
    start_s, end_s = recording.window_s
    return {
        "prompt_tokens": heard.num_prompt_tokens,
        "completion_tokens": heard.num_new_tokens,
        "total_tokens": heard.num_prompt_tokens + heard.num_new_tokens,
        "prompt_tokens_details": {"audio_tokens": recording.num_tokens},
        "audio_seconds": end_s - start_s,
    }
