"""One call of a chat model over its tries: what is sent, what came back, what it cost.

A reply that was bad is asked for under another seed. One that was cut by its length keeps its finished items, and the
rest is asked for; without any it is asked once with more room. At temperature 0 nothing is repeated that would come out
the same.
"""

import json
from typing import Any, Generic

from music_flamingo.core.chat import ChatChoice, ChatCompletion, audio_part
from music_flamingo.core.hashing import sha256_bytes, sha256_json
from music_flamingo.core.http import RequestBody, UselessToRepeatError
from music_flamingo.prompts import load
from music_flamingo.teachers.cache import CallTokens, Finished
from music_flamingo.teachers.config import AudioFormat, OpenAICompatibleConfig
from music_flamingo.teachers.failures import FailureWatch
from music_flamingo.teachers.payloads import QuestionsReply
from music_flamingo.teachers.replies import finished_items, found_json
from music_flamingo.teachers.requests import Reply, TeacherRequest
from music_flamingo.teachers.tokens import estimated_tokens, prompt_tokens

THOUGHT_ENDS = "</think>"
BROKEN = "\N{REPLACEMENT CHARACTER}"
"""Where a server sent half a character: such a reply is asked for again."""
MORE_ROOM = 2
"""Times `max_tokens`, for a reply that was cut before its first item was finished."""
MOST_PARTS = 4
"""Of a reply that is cut again and again; what is finished then is all."""
THE_REST = (
    "Your reply was cut off. These items are finished and kept. Write the remaining ones alone, in the same form, and "
    "none of these again; an empty list where there are none."
)


class Call(Generic[Reply]):
    """One call over its tries."""

    def __init__(self, config: OpenAICompatibleConfig, request: TeacherRequest[Reply], watch: FailureWatch) -> None:
        self._config, self._request, self._watch = config, request, watch
        self._body = body(config, request)
        self._num_bad = 0
        self._room = 1
        self._num_parts = 0
        self._items: list[dict[str, Any]] = []
        """Finished questions of the parts that were cut."""
        self.trouble = "wrong_shape"
        """What was wrong with the last reply that came."""
        self.spent = CallTokens()
        self._useful = CallTokens()
        """Of the parts whose items were kept."""
        self.is_estimated = False
        """The server did not count the tokens of some reply."""

    def content(self, attempt: int) -> RequestBody:
        """A reply that was bad is asked for under another seed; after a busy server the call is the same.

        Raises TeacherUnusableError where other calls have failed too often meanwhile: no further try is made.
        """
        del attempt
        self._watch.check()
        sent = {**self._body, "max_tokens": self._config.max_tokens * self._room}
        if self._items:
            kept = {"role": "assistant", "content": _as_reply(self._items)}
            sent["messages"] = [*self._body["messages"], kept, {"role": "user", "content": THE_REST}]
        return RequestBody(json={**sent, "seed": self._request.seed + self._num_bad})

    def read(self, answer: Any) -> tuple[Reply, Finished]:
        """The reply in a chat completion. Raises ValueError, KeyError, IndexError or TypeError for a bad one."""
        self._num_bad += 1
        self.trouble = "wrong_shape"
        completion = ChatCompletion.model_validate(answer)
        tokens = self._tokens_of(completion)
        self.spent += tokens
        num_kept = len(self._items)
        try:
            text, reasoning = self._words(completion.choices[0])
        except ValueError:
            self._useful += tokens if len(self._items) > num_kept else CallTokens()
            raise
        if self._items:
            text = self._joined(text)
        return self._request.read(text), Finished(text, reasoning, self._useful + tokens)

    def kept(self) -> tuple[Reply, Finished] | None:
        """Give the finished items of a reply whose rest never came; None where there are none."""
        if not self._items:
            return None
        text = _as_reply(self._items)
        try:
            return self._request.read(text), Finished(text, "", self._useful)
        except ValueError:
            return None

    def _tokens_of(self, completion: ChatCompletion) -> CallTokens:
        if completion.is_counted:
            return CallTokens(completion.usage.prompt_tokens, completion.usage.completion_tokens)
        self.is_estimated = True
        message = completion.choices[0].message
        sent = [self._request.text, *([_as_reply(self._items)] if self._items else [])]
        written = estimated_tokens(message.thoughts + (message.content or ""))
        return CallTokens(round(prompt_tokens(sent, self._request.audio)), written)

    def _cut(self, text: str) -> str:
        """What a cut reply is good for; raises ValueError where there is more to ask for."""
        self._num_parts += 1
        found = finished_items(text, "questions") if issubclass(self._request.reply, QuestionsReply) else None
        new = _unlike(json.loads(found)["questions"], self._items) if found is not None else []
        self._items += new
        if new and self._num_parts < MOST_PARTS:
            raise ValueError("the reply was cut: its rest is asked for")
        if self._items:
            return _as_reply([])
        if self._config.temperature == 0 and self._room > 1:
            raise UselessToRepeatError("the reply is longer than max_tokens, and than twice as many")
        self._room = MORE_ROOM
        raise ValueError("the reply is longer than max_tokens")

    def _joined(self, text: str) -> str:
        rest = json.loads(text).get("questions", [])
        return _as_reply([*self._items, *_unlike(rest, self._items)])

    def _words(self, choice: ChatChoice) -> tuple[str, str]:
        """(reply, reasoning) of a choice; raises ValueError where the model did not come to an end."""
        message = choice.message
        if choice.finish_reason == "length":
            self.trouble = "truncated"
            return self._cut(message.content or ""), ""
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


def _as_reply(items: list[dict[str, Any]]) -> str:
    return json.dumps({"questions": items}, ensure_ascii=False)


def _unlike(items: list[Any], others: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items that are not among others: a model may begin the rest with what it wrote already."""
    return [item for item in items if isinstance(item, dict) and item not in others]


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
    schema = request.schema
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
            "schema": request.schema,
            "sampling": [config.temperature, config.max_tokens, config.reasoning_effort, config.structured],
            "seed": request.seed,
            "audio": None if request.audio is None else sha256_bytes(request.audio),
        }
    )
