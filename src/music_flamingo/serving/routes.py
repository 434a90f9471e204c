"""The OpenAI routes on KServe's application, and errors in OpenAI's shape for everything below `/openai`."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse
from kserve.errors import InvalidInput, ModelNotFound
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from music_flamingo.serving.access import Access, Guard
from music_flamingo.serving.chat import (
    ChatQuestion,
    ChatRequest,
    Head,
    chunks,
    completion,
    parse_chat,
    question_of,
    question_text,
    require_model,
)
from music_flamingo.serving.engine import Before, Engine
from music_flamingo.serving.errors import ApiError
from music_flamingo.serving.fetching import Fetch
from music_flamingo.serving.limits import BodyLimit
from music_flamingo.serving.listening_routes import AudioBody, listening_router
from music_flamingo.serving.measuring import Measurer
from music_flamingo.serving.notes import notes_on
from music_flamingo.serving.openapi import CompletionSchema, ModelList, TensorResponse, answers, describe, reads
from music_flamingo.serving.page_guard import PageGuard
from music_flamingo.serving.predictor import Instances, parse_instances, predictions
from music_flamingo.serving.scheduler import AdmittedRequest as Prepared
from music_flamingo.serving.stream import first_then_rest, last, measured, shown
from music_flamingo.serving.tensors import BINARY_HEADER, TensorRequest, parse_tensors, tensor_response
from music_flamingo.serving.uploads import AudioAddress, Upload, random_seed

PREFIX = "/openai/v1"
PAGE = "/ui"
PAGE_FILES = Path(__file__).parent / "page"


def install_routes(
    app: FastAPI,
    engine: Engine,
    access: Access,
    fetch: Fetch | None,
    measurer: Measurer | None,
    local_only: bool = False,
) -> None:
    """Before KServe adds its own: the first route that matches answers."""
    app.include_router(_router(engine, fetch))
    app.include_router(_kserve_router(engine))
    app.include_router(listening_router(engine, measurer))
    app.mount(PAGE, StaticFiles(directory=PAGE_FILES, html=True))
    for path in ("/v1/models/{name}:explain", "/v2/{path:path}"):
        app.add_api_route(path, _no_such_work, methods=["POST"], include_in_schema=False)
    app.add_middleware(BodyLimit)
    app.add_middleware(Guard, access=access)
    app.add_middleware(PageGuard, local_only=local_only)


def install_errors(app: FastAPI, served: str) -> None:
    """After KServe added its own routes and handlers: ours take the place of those that show a program's insides."""
    describe(app, served, (ChatRequest, TensorRequest, AudioBody), Instances)
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _our_fault)
    for kind, status in ((InvalidInput, 400), (ModelNotFound, 404), (NotImplementedError, 404)):
        app.add_exception_handler(kind, partial(_kserve_error, status))


def _router(engine: Engine, fetch: Fetch | None) -> APIRouter:
    router = APIRouter(prefix=PREFIX, tags=["OpenAI"])

    @router.get("/models", responses=answers(ModelList))
    async def models() -> dict[str, Any]:
        info = engine.info
        extension = {
            "status": info.status,
            "max_audio_s": info.max_audio_s,
            "think": info.think,
            "questions": [question.model_dump() for question in info.questions],
        }
        model = {"id": info.name, "object": "model", "created": 0, "owned_by": "music-flamingo"}
        return {"object": "list", "data": [{**model, "music_flamingo": extension}]}

    @router.post(
        "/chat/completions",
        response_model=None,
        responses=_streamed(answers(CompletionSchema)),
        openapi_extra=reads(("application/json", ChatRequest)),
    )
    async def chat(request: Request) -> Response:
        return await _chat(engine, fetch, request)

    return router


async def _chat(engine: Engine, fetch: Fetch | None, sent: Request) -> Response:
    body = await sent.body()
    started_s = time.monotonic()
    with ExitStack() as held:
        held.enter_context(engine.places.take())
        # 25 MiB of JSON and audio take a while to parse: not on the event loop, which answers the health probes
        asked, question = await asyncio.to_thread(_read, body, engine.info.name, fetch is not None)
        request = await _request_of(engine, fetch, asked, question)
        head = Head(f"chatcmpl-{uuid.uuid4().hex}", int(time.time()), engine.info.name)
        told = measured(engine.stream(request, in_pieces=asked.stream), request.recording, started_s)
        notes = notes_on(question_text(asked), engine.info.status, engine.info.questions)
        if not asked.stream:
            heard = await last(told)
            is_tagged = request.constraint is None
            return JSONResponse(completion(head, heard, request.recording, notes, is_tagged))
        usage = asked.stream_options is not None and asked.stream_options.include_usage
        # what goes wrong before the first word still gets its own status
        begun = await first_then_rest(told)
        events = chunks(head, begun, request.recording, usage, notes)
        return _HeldStream(events, held.pop_all())


def _read(body: bytes, served: str, may_fetch: bool) -> tuple[ChatRequest, ChatQuestion]:
    """All that is done with a body's bytes, in one thread's turn. Raises ApiError."""
    asked = parse_chat(body)
    require_model(asked.model, served)
    question = question_of(asked, may_fetch)
    if isinstance(question.audio, Upload):
        _ = question.audio.sha256
    return asked, question


async def _request_of(engine: Engine, fetch: Fetch | None, asked: ChatRequest, question: ChatQuestion) -> Prepared:
    audio = question.audio
    await engine.grammars.check(asked.response_format)
    if isinstance(audio, AudioAddress):
        assert fetch is not None
        audio = Upload(await fetch(audio.url))
    return await asyncio.to_thread(
        engine.prepare,
        await engine.hear(audio),
        question.text,
        asked.max_completion_tokens or asked.max_tokens,
        asked.temperature or 0.0,
        random_seed() if asked.seed is None else asked.seed,
        asked.stop_words,
        asked.response_format,
        asked.think,
        Before(question.earlier, question.sound_at, question.system),
    )


class _HeldStream(StreamingResponse):
    """Keeps its place until the last word is sent or the client is gone, be that before the first."""

    def __init__(self, events: AsyncIterator[str], held: ExitStack) -> None:
        super().__init__(events, media_type="text/event-stream")
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._held:
            await super().__call__(scope, receive, send)


def _kserve_router(engine: Engine) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/models/{model_name}:predict", tags=["V1"])
    async def predict(model_name: str, request: Request) -> dict[str, Any]:
        require_model(model_name, engine.info.name)
        asked = await asyncio.to_thread(parse_instances, await request.body())
        return {"predictions": await predictions(engine, asked.instances)}

    @router.post(
        "/v2/models/{name}/infer",
        tags=["V2"],
        responses=answers(TensorResponse),
        openapi_extra=reads(("application/json", TensorRequest)),
    )
    async def infer(name: str, request: Request) -> dict[str, Any]:
        require_model(name, engine.info.name)
        binary = BINARY_HEADER in request.headers
        identity, instances = await asyncio.to_thread(parse_tensors, await request.body(), binary=binary)
        return tensor_response(engine.info.name, identity, await predictions(engine, instances))

    return router


def _streamed(responses: dict[int | str, dict[str, Any]]) -> dict[int | str, dict[str, Any]]:
    """With `stream` the answer comes as server-sent events."""
    responses[200]["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    return responses


async def _no_such_work() -> None:
    # KServe's own would parse any body on the event loop, and let any caller unload the model
    raise ApiError(404, "no such route: nothing is explained, loaded or unloaded from outside.", "not_found")


async def _api_error(_: Request, error: Exception) -> JSONResponse:
    refused = shown(error)
    return JSONResponse(refused.body(), refused.status, headers=refused.headers)


async def _kserve_error(status: int, _: Request, error: Exception) -> JSONResponse:
    """KServe's shape; its own handlers log a traceback for every mistyped name."""
    return JSONResponse({"error": str(error)}, status)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    """Unknown paths and methods."""
    assert isinstance(error, HTTPException)
    if not request.url.path.startswith(PREFIX.rsplit("/", 1)[0]):
        return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    shaped = ApiError(error.status_code, f"{request.method} {request.url.path[:200]}: {error.detail}.", code)
    return JSONResponse(shaped.body(), error.status_code, headers=error.headers)


async def _our_fault(_: Request, error: Exception) -> JSONResponse:
    shaped = shown(error)
    return JSONResponse(shaped.body(), shaped.status)
