"""The KServe model: its v1 `predict`, for callers that speak KServe rather than OpenAI.

{"instances": [{"question": "Are drums heard?", "audio": {"b64": "..."}}]}
-> {"predictions": [{"text", "thinking", "answer", "listened_s", "duration_s", "window_rule"}]}
"""

import asyncio
from functools import partial
from typing import Any

from kserve import InferRequest, Model
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from music_flamingo.model.listener import Heard
from music_flamingo.scoring.extract import split_thinking
from music_flamingo.serving.chat import extension
from music_flamingo.serving.engine import Engine
from music_flamingo.serving.errors import ApiError
from music_flamingo.serving.uploads import Upload, decode_upload

MAX_INSTANCES = 16


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class EncodedAudio(_Part):
    b64: str


class Instance(_Part):
    question: str
    audio: EncodedAudio


class Instances(_Part):
    instances: list[Instance] = Field(min_length=1, max_length=MAX_INSTANCES)


class Predictor(Model):  # type: ignore[misc]
    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.info.name)
        self.answering = engine
        self.ready = True

    async def predict(
        self,
        payload: dict[str, Any] | InferRequest,
        headers: dict[str, str] | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> dict[str, list[dict[str, Any]]]:
        """KServe's v1 prediction. Raises ApiError for anything but instances as described above."""
        del headers, response_headers
        asked = parse_instances(payload)
        return {"predictions": list(await asyncio.gather(*(self._predict(one) for one in asked.instances)))}

    async def _predict(self, instance: Instance) -> dict[str, Any]:
        rate = self.answering.listener.sample_rate_hz
        with self.answering.place():
            samples = await asyncio.to_thread(decode_upload, Upload(instance.audio.b64), rate)
            heard = await self.answering.answer(partial(self.answering.prepare, samples, instance.question))
        return _prediction(heard, len(samples) / rate)


def parse_instances(payload: object) -> Instances:
    try:
        return Instances.model_validate(payload)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(place) for place in first["loc"])[:200]
        raise ApiError(400, f"{where or 'body'}: {first['msg'][:300]}", "invalid_request", where or None) from error


def _prediction(heard: Heard, duration_s: float) -> dict[str, Any]:
    thinking, _ = split_thinking(heard.text)
    return {"text": heard.text, "thinking": thinking, **extension(heard, duration_s)}
