"""KServe's v1 `predict`, for clients that use its protocol instead of OpenAI's.

KServe's own route would parse a body of 25 MiB on the event loop: this one does not.

{"instances": [{"question": "Are drums heard?", "audio": {"b64": "..."}}]}
-> {"predictions": [{"text", "thinking", "answer", "listened_s", "duration_s", "window_rule"}]}
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from kserve import Model
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from music_flamingo.model.listener import ListenerOutput
from music_flamingo.serving.chat import extension
from music_flamingo.serving.detokenizer import split
from music_flamingo.serving.engine import Engine
from music_flamingo.serving.errors import ApiError
from music_flamingo.serving.recordings import CachedWindow
from music_flamingo.serving.stream import last, measured
from music_flamingo.serving.uploads import Upload

MAX_INSTANCES = 16


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class EncodedAudio(_Part):
    """Audio, base64-encoded."""

    b64: str


class Instance(_Part):
    """One question about one recording."""

    question: str
    audio: EncodedAudio


class Instances(_Part):
    """Body of a v1 request."""

    instances: list[Instance] = Field(min_length=1, max_length=MAX_INSTANCES)


class Predictor(Model):  # type: ignore[misc]
    """The release in KServe's registry: its readiness and its name. The project's own route answers for it."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.info.name)
        self.ready = True


async def predictions(engine: Engine, instances: Sequence[Instance]) -> list[dict[str, Any]]:
    """An answer to each, asked together."""
    return list(await asyncio.gather(*(_predict(engine, instance) for instance in instances)))


async def _predict(engine: Engine, instance: Instance) -> dict[str, Any]:
    started_s = time.monotonic()
    with engine.places.take():
        recording = await engine.hear(await asyncio.to_thread(Upload.of_text, instance.audio.b64))
        request = await asyncio.to_thread(engine.prepare, recording, instance.question)
        heard = await last(measured(engine.stream(request, in_pieces=False), recording, started_s))
    return _prediction(heard, recording)


def parse_instances(body: bytes) -> Instances:
    """Parse a v1 request's body; ApiError 400 names the first wrong field."""
    try:
        return Instances.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(place) for place in first["loc"])[:200]
        raise ApiError(400, f"{where or 'body'}: {first['msg'][:300]}", "invalid_request", where or None) from error


def _prediction(heard: ListenerOutput, recording: CachedWindow) -> dict[str, Any]:
    return {"thinking": split(heard.text)[0], **extension(heard, recording)}
