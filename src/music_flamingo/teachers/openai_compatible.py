"""Teacher over OpenAI's chat completions: a text model (gpt-oss on vLLM) or an audio model (Music Flamingo).

A call is answered by the cache or asked of the server, at most `max_tries` times in all: busy and broken servers are
waited for, a reply of the wrong shape is asked for again under the next seed. A call that fails for good is a
TeacherFailedError with its reason; too many of them end the stage with a TeacherUnusableError.
"""

from pathlib import Path
from typing import Any, Generic

from pydantic import ValidationError

from music_flamingo.core.chat import ChatChoice, ChatCompletion, audio_part
from music_flamingo.core.hashing import sha256_bytes, sha256_json
from music_flamingo.core.http import Failed, JsonClient, RequestBody
from music_flamingo.prompts import load
from music_flamingo.records.caption import TEACHER_FAILED
from music_flamingo.teachers.cache import CallCache, CallTokens, Finished
from music_flamingo.teachers.calling import TeacherFailedError
from music_flamingo.teachers.config import AudioFormat, OpenAICompatibleConfig
from music_flamingo.teachers.failures import FailureWatch, TeacherUnusableError
from music_flamingo.teachers.payloads import QuestionsReply
from music_flamingo.teachers.replies import finished_items, found_json
from music_flamingo.teachers.requests import Reply, TeacherRequest
from music_flamingo.teachers.schema import strict_schema
from music_flamingo.teachers.usage import Meter, new_path

NEVER = ("http_401", "http_403", "http_404")
"""The whole endpoint refuses: a wrong key, a wrong address, a model that it does not serve."""
THOUGHT_ENDS = "</think>"
BROKEN = "\N{REPLACEMENT CHARACTER}"
"""Where a server sent half a character: such a reply is asked for again."""


class OpenAICompatibleTeacher:
    """Asks one model of one server; threads share it. Close it, or open it by `teaching`."""

    kind = "openai_compatible"

    def __init__(self, config: OpenAICompatibleConfig, stage: str, data: Path | None) -> None:
        """`data`: the folder of the ports, beside which usage is written; None writes none."""
        self.model, self.revision = config.model, config.revision
        self.concurrency, self.audio = config.concurrency, config.audio
        self._config = config
        self._client = JsonClient(config.endpoint, seed=0)
        self._cache = CallCache(Path(config.cache)) if config.cache is not None else None
        self._watch = FailureWatch(config.stop, f"{config.model} at {config.endpoint.base_url}")
        self.meter = Meter(stage, config.model, config.prices, new_path(data, stage) if data else None)

    def ask(self, request: TeacherRequest[Reply]) -> Reply:
        """Answer from the cache or by the server; raises the failure of the call after its retries."""
        key = call_key(self._config, request)
        kept = self._kept(key, request)
        return self._asked(key, request) if kept is None else kept

    def end(self) -> None:
        """Raises TeacherUnusableError where nothing that was asked succeeded."""
        self._watch.end()

    def close(self) -> None:
        """Write the usage, and close the client and the cache."""
        self.meter.close()
        self._client.close()
        if self._cache is not None:
            self._cache.close()

    def _kept(self, key: str, request: TeacherRequest[Reply]) -> Reply | None:
        found = usable(self._cache, key, request) if self._cache is not None else None
        if found is None:
            return None
        self.meter.from_cache(request.prompt_id, found[1].tokens)
        return found[0]

    def _asked(self, key: str, request: TeacherRequest[Reply]) -> Reply:
        call = _Call(self._config, request, self._watch)
        outcome = self._client.post("/chat/completions", call.content, call.read, call=key)
        if isinstance(outcome, Failed):
            raise self._failed(request, outcome, call)
        reply, finished = outcome.value
        if self._cache is not None:
            self._cache.put(key, self.model, request.prompt_id, finished)
        self.meter.answered(request.prompt_id, outcome.num_tries, call.spent)
        self._watch.succeeded()
        return reply

    def _failed(self, request: TeacherRequest[Reply], failed: Failed, call: "_Call[Reply]") -> TeacherFailedError:
        reason = TEACHER_FAILED + (call.trouble if failed.reason == "wrong_shape" else failed.reason)
        self.meter.failed(reason, failed.num_tries, call.spent)
        if failed.reason in NEVER:
            raise TeacherUnusableError(
                f"{self.model} cannot be asked: {failed.message}. Mend endpoint, model or the key of the teacher."
            )
        self._watch.failed(reason)
        return TeacherFailedError(reason, f"{request.prompt_id}: {failed.message} ({failed.num_tries} tries)")


def usable(cache: CallCache, key: str, request: TeacherRequest[Reply]) -> tuple[Reply, Finished] | None:
    """The kept answer to a call; None where there is none, or none that still fits."""
    found = cache.get(key)
    if found is None:
        return None
    try:
        return request.reply.model_validate_json(found.content), found
    except ValidationError:  # what code checks beyond the schema has changed since
        return None


class _Call(Generic[Reply]):
    """One call over its tries: what is sent, what came back, what it cost."""

    def __init__(self, config: OpenAICompatibleConfig, request: TeacherRequest[Reply], watch: FailureWatch) -> None:
        self._request, self._body, self._watch = request, body(config, request), watch
        self._config_tokens = config.max_tokens
        self._num_bad = 0
        self._more_room = 1
        self.trouble = "wrong_shape"
        """What was wrong with the last reply that came."""
        self.spent = CallTokens()

    def content(self, attempt: int) -> RequestBody:
        """A reply that was bad is asked for under another seed; after a busy server the call is the same.

        Raises TeacherUnusableError where other calls have failed too often meanwhile: no further try is made.
        """
        del attempt
        self._watch.check()
        room = {"max_tokens": self._config_tokens * self._more_room}
        return RequestBody(json={**self._body, **room, "seed": self._request.seed + self._num_bad})

    def read(self, answer: Any) -> tuple[Reply, Finished]:
        """The reply in a chat completion. Raises ValueError, KeyError, IndexError or TypeError for a bad one."""
        self._num_bad += 1
        self.trouble = "wrong_shape"
        completion = ChatCompletion.model_validate(answer)
        tokens = CallTokens(completion.usage.prompt_tokens, completion.usage.completion_tokens)
        self.spent = CallTokens(self.spent.prompt + tokens.prompt, self.spent.completion + tokens.completion)
        text, reasoning = self._words(completion.choices[0])
        return self._request.reply.model_validate_json(text), Finished(text, reasoning, tokens)

    def _finished_items(self, text: str) -> str:
        """The finished questions of a reply that was cut; raises ValueError where there are none."""
        items = finished_items(text, "questions") if self._request.reply is QuestionsReply else None
        if items is None:
            self._more_room = 2
            raise ValueError("the reply is longer than max_tokens")
        return items

    def _words(self, choice: ChatChoice) -> tuple[str, str]:
        """(reply, reasoning) of a choice; raises ValueError where the model did not come to an end."""
        message = choice.message
        if choice.finish_reason == "length":
            self.trouble = "truncated"
            return self._finished_items(message.content or ""), ""
        if not message.content and message.thoughts and "{" in message.thoughts:
            return found_json(message.thoughts), ""  # some servers file the whole reply under reasoning
        if message.refusal or not message.content:
            self.trouble = "refused" if message.refusal else "empty"
            raise ValueError(f"the model gave no reply: {(message.refusal or '')[:200]}")
        if BROKEN in message.content:
            raise ValueError("the reply holds a broken character")
        thought, closed, text = message.content.rpartition(THOUGHT_ENDS)
        reasoning = message.thoughts or (thought.removeprefix("<think>").strip() if closed else "")
        return found_json(text), reasoning


def body(config: OpenAICompatibleConfig, request: TeacherRequest[Any]) -> dict[str, Any]:
    """A call in the shape of OpenAI's chat completions, but for its seed."""
    text = request.text
    content = text if request.audio is None else [_heard(request.audio, config.audio), {"type": "text", "text": text}]
    sent: dict[str, Any] = {
        "model": config.model,
        "messages": [{"role": "user", "content": content}],
        "temperature": config.temperature,
        "max_tokens": config.max_tokens,
    }
    if config.reasoning_effort is not None:
        sent["reasoning_effort"] = config.reasoning_effort
    schema = strict_schema(request.reply)
    if config.structured == "response_format":
        held = {"name": request.reply.__name__, "strict": True, "schema": schema}
        sent["response_format"] = {"type": "json_schema", "json_schema": held}
    elif config.structured == "structured_outputs":
        sent["structured_outputs"] = {"json": schema}
    return sent


def _heard(audio: bytes, form: AudioFormat | None) -> dict[str, object]:
    assert form is not None, "sound is given to teachers that hear"
    return audio_part(audio, form)


def call_key(config: OpenAICompatibleConfig, request: TeacherRequest[Any]) -> str:
    """What a reply depends on: model, prompt with its facts, schema, sampling, sound. Not where the server is."""
    return sha256_json(
        {
            "model": config.model,
            "revision": config.revision,
            "prompt": [request.prompt_id, load(request.prompt_id).sha256],
            "text": request.text,
            "schema": strict_schema(request.reply),
            "sampling": [config.temperature, config.max_tokens, config.reasoning_effort, config.structured],
            "seed": request.seed,
            "audio": None if request.audio is None else sha256_bytes(request.audio),
        }
    )
