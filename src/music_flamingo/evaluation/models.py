"""Models under evaluation: a release or model folder in this process, or an OpenAI-compatible endpoint.

Both give words to a batch of (prompt, sound). A model's digest says which model answered: of a folder the bytes of its
weights, of an endpoint its address, name and the revision the user states (what it really serves cannot be seen).
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from music_flamingo.audio.decode import BadAudioError
from music_flamingo.core.chat import ChatCompletion, audio_part
from music_flamingo.core.errors import MissingInputError, UserError
from music_flamingo.core.hashing import sha256_bytes, sha256_file, sha256_json
from music_flamingo.core.http import Endpoint, Failed, JsonClient, RequestBody
from music_flamingo.evaluation.endpoint_card import EndpointCard
from music_flamingo.evaluation.manner import AskingManner
from music_flamingo.evaluation.recordings import PlayedAudio
from music_flamingo.model.answering import stated_rules
from music_flamingo.prompts import render_question
from music_flamingo.serving.bundle import ADAPTERS, CHECKSUMS_FILE, MODEL_FOLDER, RELEASE_FILE, open_release

DEFAULT_MAX_NEW_TOKENS = 1024
"""Of an endpoint: room for a chain of thought and its answer."""
TIMEOUT_S = 180.0
"""Of one try, where the user names none."""
REFUSALS = frozenset({"http_400", "http_413", "http_415", "http_422"})
"""What a server says to a clip that it does not take (too long, another form): asking again would change nothing."""


@dataclass(frozen=True)
class ModelInput:
    """A prompt and the audio to play with it."""

    prompt: str
    sound: PlayedAudio


@dataclass(frozen=True)
class ModelOutput:
    """The generated text, or the problem that prevented it."""

    text: str
    problem: str = ""
    thoughts: str = ""
    """What the server split off from the words: kept, and never part of the answer."""
    finish_reason: str = ""
    """`stop`, `length` (cut at the limit of new tokens), or what else a server says."""
    refused: bool = False
    """The endpoint does not take this question; `problem` says why."""


class Model(Protocol):
    """A model under evaluation: it answers a batch of prompts with audio."""

    name: str
    digest: str
    think: bool
    max_new_tokens: int
    manner: AskingManner
    """The system text and sampling that it is asked with."""

    def answer(self, batch: Sequence[ModelInput]) -> list[ModelOutput | Failed]:
        """Words for each; a Failed one is asked again by the next run."""


class FolderModel:
    """A release (`mf release`), or a stage's model folder, greedy."""

    manner = AskingManner()

    def __init__(self, folder: Path, think: bool | None, max_new_tokens: int | None) -> None:
        if (folder / RELEASE_FILE).is_file():
            info = open_release(folder)
            self.name, self.digest = info.name, sha256_file(folder / CHECKSUMS_FILE)
            self.think, self.max_new_tokens = info.think, info.max_new_tokens
        elif (folder / MODEL_FOLDER).is_dir():
            parts = (folder / MODEL_FOLDER, folder / ADAPTERS)
            files = sorted(path for part in parts for path in part.rglob("*") if path.is_file())
            self.name = folder.resolve().name
            self.digest = sha256_json({p.relative_to(folder).as_posix(): sha256_file(p) for p in files})
            self.think, room = stated_rules(folder / MODEL_FOLDER)
            self.max_new_tokens = room or DEFAULT_MAX_NEW_TOKENS
        else:
            raise MissingInputError(
                f"{folder} is no model: give a release, a folder with `{MODEL_FOLDER}/`, or an address (http://...)."
            )
        self.think = self.think if think is None else think
        self.max_new_tokens = max_new_tokens or self.max_new_tokens
        self._folder = folder
        self._listener: Any = None

    def answer(self, batch: Sequence[ModelInput]) -> list[ModelOutput | Failed]:
        """Answer a batch by the local model, loaded at the first call."""
        from music_flamingo.model.listener import Ask, Listener

        if self._listener is None:
            self._listener = Listener.load(self._folder)
        said: list[ModelOutput | Failed] = [ModelOutput("")] * len(batch)
        asks = []
        for place, asked in enumerate(batch):
            try:
                samples = asked.sound.samples()
                self._listener.hearing.window_of(len(samples), "middle")
                asks.append((place, Ask(samples, asked.prompt, (), self.think)))
            except (BadAudioError, UserError) as error:
                said[place] = ModelOutput("", str(error))
        if asks:
            heard = self._listener.answer(
                [ask for _, ask in asks], max_new_tokens=self.max_new_tokens, batch_size=len(asks)
            )
            for (place, _), h in zip(asks, heard, strict=True):
                said[place] = ModelOutput(h.text)
        return said


class EndpointModel:
    """A model behind OpenAI's chat completions that takes audio as `input_audio`, temperature 0."""

    def __init__(
        self,
        url: str,
        model: str,
        *,
        revision: str = "",
        think: bool | None = None,
        max_new_tokens: int | None = None,
        api_key_env: str | None = None,
        silence_for_none: bool = False,
        seed: int = 0,
        timeout_s: float = TIMEOUT_S,
        manner: AskingManner | None = None,
        card: EndpointCard | None = None,
    ) -> None:
        """`silence_for_none`: for servers that refuse a question without a recording, as `mf serve` does.

        `think`: None leaves it to the server, whose card says what it does; True puts the sentence after the question.
        """
        endpoint, card = endpoint_of(url, api_key_env, timeout_s), card or EndpointCard()
        self.name, self.manner = model, manner or AskingManner()
        self.think = bool(card.thinks) if think is None else think
        self._asks_to_think = think is True
        self._plainly = think is False and card.takes_template_options
        identity = {"url": endpoint.base_url, "model": model, "revision": revision, "silence": silence_for_none}
        self.digest = sha256_json(identity)
        self._silence_for_none = silence_for_none
        self.max_new_tokens = max_new_tokens or DEFAULT_MAX_NEW_TOKENS
        self._client = JsonClient(endpoint, seed)

    def answer(self, batch: Sequence[ModelInput]) -> list[ModelOutput | Failed]:
        """Answer a batch by concurrent requests; Failed for each that failed."""
        with ThreadPoolExecutor(max(1, len(batch))) as pool:
            return list(pool.map(self._ask, batch))

    def _ask(self, asked: ModelInput) -> ModelOutput | Failed:
        try:
            sent = asked.sound.encoded(self._silence_for_none)
        except BadAudioError as error:
            return ModelOutput("", str(error))
        prompt = render_question(asked.prompt, (), self._asks_to_think)
        content: list[dict[str, object]] = [{"type": "text", "text": prompt}]
        content += [audio_part(*part) for part in sent]
        system: list[dict[str, object]] = [{"role": "system", "content": self.manner.system}]
        messages = (system if self.manner.system else []) + [{"role": "user", "content": content}]
        body = chat_body(self.name, messages, self.max_new_tokens) | self.manner.sampling
        if self._plainly:
            body["chat_template_kwargs"] = {"enable_thinking": False}
        call = sha256_bytes(prompt.encode())
        outcome = self._client.post("/chat/completions", lambda _: RequestBody(json=body), chat_output, call=call)
        if isinstance(outcome, Failed) and outcome.reason in REFUSALS:
            return ModelOutput("", f"refused by the endpoint: {outcome.message}", refused=True)
        return outcome if isinstance(outcome, Failed) else outcome.value


def endpoint_of(url: str, api_key_env: str | None, timeout_s: float = TIMEOUT_S) -> Endpoint:
    """Patience for a server under load. Raises UserError for an address that is none."""
    try:
        return Endpoint(
            base_url=url,
            api_key_env=api_key_env,
            timeout_s=timeout_s,
            max_tries=5,
            first_wait_s=1.0,
            max_wait_s=60.0,
        )
    except ValueError as error:
        raise UserError(f"{url} is no address of an endpoint such as http://127.0.0.1:8000/v1: {error}") from error


def chat_body(model: str, messages: list[dict[str, object]], max_tokens: int) -> dict[str, object]:
    """Body of a chat completion at temperature 0."""
    return {"model": model, "messages": messages, "max_tokens": max_tokens, "temperature": 0}


def chat_words(reply: Any) -> str:
    """The words of a chat completion, without thoughts split off by the server. Raises ValueError for another shape."""
    return chat_output(reply).text


def chat_output(reply: Any) -> ModelOutput:
    """The words of a chat completion, its thoughts apart, and why it ended. Raises ValueError for another shape."""
    choice = ChatCompletion.model_validate(reply).choices[0]
    words = choice.message.content or ""
    return ModelOutput(words, thoughts=choice.message.thoughts, finish_reason=choice.finish_reason or "")
