"""`POST /v1/music/facts` and `POST /v1/music/describe`: a recording in, measured facts or a structured caption out.

The body is the recording itself (content type audio/*), or JSON: {"audio": {"b64": "..."}}.
"""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, ValidationError

from music_flamingo.scoring.extract import split_thinking
from music_flamingo.serving.engine import Engine
from music_flamingo.serving.errors import ApiError
from music_flamingo.serving.measuring import Measurer, description, facts_json
from music_flamingo.serving.openapi import AUDIO_TYPES, answers, reads
from music_flamingo.serving.predictor import EncodedAudio
from music_flamingo.serving.stream import last
from music_flamingo.serving.uploads import Upload


class AudioBody(BaseModel):
    """A recording, base64-encoded."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    audio: EncodedAudio


def listening_router(engine: Engine, measurer: Measurer | None) -> APIRouter:
    """Routes for facts and descriptions; 501 without measuring tools."""
    router = APIRouter(prefix="/v1/music", tags=["Listening"])

    described: dict[str, Any] = {
        "responses": answers(None, also={501: "this server has no measuring tools"}),
        "openapi_extra": reads(("application/json", AudioBody), *((kind, None) for kind in AUDIO_TYPES)),
    }

    @router.post("/facts", **described)
    async def facts(request: Request) -> dict[str, Any]:
        upload = await _upload_of(request)
        return facts_json(await _tools(measurer).facts(upload))

    @router.post("/describe", **described)
    async def describe(request: Request) -> dict[str, Any]:
        upload = await _upload_of(request)
        with engine.places.take():
            found, (opinions, listened_s) = await asyncio.gather(
                _tools(measurer).facts(upload), _opinions(engine, upload)
            )
        return {**description(found, opinions), "listened_s": listened_s, "model": engine.info.name}

    return router


def _tools(measurer: Measurer | None) -> Measurer:
    if measurer is None:
        raise ApiError(501, "this server has no measuring tools: start it with --params params.yaml.", "no_tools")
    return measurer


async def _upload_of(request: Request) -> Upload:
    body = await request.body()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith(("audio/", "video/")) or kind == "application/octet-stream":
        return Upload(body)
    try:
        return await asyncio.to_thread(lambda: Upload.of_text(AudioBody.model_validate_json(body).audio.b64))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(place) for place in first["loc"])[:200]
        message = f"{where or 'body'}: {first['msg'][:300]}. Send the recording as audio/*, or as JSON."
        raise ApiError(400, message, "invalid_request", where or None) from error


async def _opinions(engine: Engine, upload: Upload) -> tuple[list[tuple[str, str | None]], list[float]]:
    """The model's answers to the questions that it was trained on, asked together; and the segment it heard."""
    recording = await engine.hear(upload)
    known = [(q.family, q.question) for q in engine.info.questions if q.question is not None]
    requests = [await asyncio.to_thread(engine.prepare, recording, question) for _, question in known]
    heard = await asyncio.gather(*(last(engine.stream(request, in_pieces=False)) for request in requests))
    answers = [(family, split_thinking(h.text)[1]) for (family, _), h in zip(known, heard, strict=True)]
    return answers, list(recording.window_s)
