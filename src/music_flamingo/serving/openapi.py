"""OpenAPI schema for routes that parse their own bodies, with every status and without closed routes."""

from collections.abc import Sequence
from typing import Any, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from music_flamingo.serving.bundle import TrainedQuestion

CLOSED = (
    "/v1/models/{model_name}:explain",
    "/v2/repository/models/{model_name}/load",
    "/v2/repository/models/{model_name}/unload",
    "/v2/models/{model_name}/infer",
    "/v2/models/{model_name}/versions/{model_version}/ready",
)
"""KServe's routes that answer nothing here, and its tensors, whose place the project's own take."""
PREDICT = "/v1/models/{model_name}:predict"
REF = "#/components/schemas/{model}"
AUDIO_TYPES = ("audio/wav", "audio/mpeg", "audio/flac", "audio/ogg", "audio/mp4", "application/octet-stream")
REFUSALS = {
    400: "something in the request is wrong: `param` names it",
    401: "no API key that this server knows (`mf serve --api-keys`)",
    404: "no such model",
    408: "the body did not arrive in time",
    413: "the body or the recording is too large",
    422: "the recording is whole, but not one that this model can take: too long, too short, too costly",
    429: "too many requests: `Retry-After` says when to come again",
    500: "the server's fault: its log says why",
}
KSERVE_REFUSALS = {401: REFUSALS[401], 500: REFUSALS[500], 503: "not ready"}
TEXT = {"type": "string"}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ErrorDetail(_Part):
    """Fields of an error."""

    message: str
    type: str
    param: str | None
    code: str


class Error(_Part):
    """OpenAI's shape: `code` is the same for the same mistake, `message` names the value and the remedy."""

    error: ErrorDetail


class MessageSchema(_Part):
    """The assistant's message."""

    role: str
    content: str
    """The answer alone."""
    reasoning_content: str | None
    """What was thought before it."""


class ChoiceSchema(_Part):
    """One choice of a completion."""

    index: int
    message: MessageSchema
    finish_reason: str
    logprobs: None


class PromptDetails(_Part):
    """Details of the prompt's tokens."""

    audio_tokens: int


class UsageSchema(_Part):
    """Token counts and seconds of audio."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    audio_seconds: float


class Listened(_Part):
    """The answer and the audio window (s) it rests on."""

    text: str
    """All that the model said, tags and all."""
    answer: str | None
    form: Literal["think_answer", "plain", "broken"]
    """`broken`: tags that are not one thinking and one answer; they are left out of `content`."""
    listened_s: list[float] = Field(min_length=2, max_length=2)
    duration_s: float
    window_rule: str
    notes: list[str]
    """What a reader must know to judge the answer."""


class CompletionSchema(_Part):
    """A chat completion."""

    id: str
    object: str
    created: int
    model: str
    choices: list[ChoiceSchema]
    usage: UsageSchema
    music_flamingo: Listened


class ModelExtension(_Part):
    """Status, limits and trained questions of the model."""

    status: str
    max_audio_s: float
    think: bool
    questions: list[TrainedQuestion]


class ServedModel(_Part):
    """The served model."""

    id: str
    object: str
    created: int
    owned_by: str
    music_flamingo: ModelExtension


class ModelList(_Part):
    """List of served models."""

    object: str
    data: list[ServedModel]


class PredictionSchema(Listened):
    """One prediction of the v1 protocol."""

    thinking: str | None


class Predictions(_Part):
    """Response of the v1 protocol."""

    predictions: list[PredictionSchema]


class OutputTensor(_Part):
    """One output of the v2 protocol."""

    name: str
    datatype: str
    shape: list[int]
    data: list[str | float]


class TensorResponse(_Part):
    """Response of the v2 protocol."""

    model_name: str
    outputs: list[OutputTensor]
    id: str | None = None


class KServeError(_Part):
    """Of the routes that are KServe's own."""

    error: str


SHAPES: tuple[type[BaseModel], ...] = (Error, KServeError, CompletionSchema, ModelList, Predictions, TensorResponse)


def reads(*media: tuple[str, type[BaseModel] | None]) -> dict[str, Any]:
    """`openapi_extra` of a route that reads its body itself. No model: bytes."""
    content = {kind: {"schema": {"type": "string", "format": "binary"} if m is None else _ref(m)} for kind, m in media}
    return {"requestBody": {"required": True, "content": content}}


def answers(model: type[BaseModel] | None, *, also: dict[int, str] | None = None) -> dict[int | str, dict[str, Any]]:
    """`responses` of a route: its own shape (any object where None), and every refusal."""
    shape = {"type": "object"} if model is None else _ref(model)
    refused: dict[int | str, dict[str, Any]] = {
        status: _response(said, _ref(Error)) for status, said in {**REFUSALS, **(also or {})}.items()
    }
    return {200: _response("the answer", shape), **refused}


def describe(app: FastAPI, served: str, bodies: Sequence[type[BaseModel]], instances: type[BaseModel]) -> None:
    """Set what `/openapi.json` gives.

    `served`: the only model's name; `bodies`: models that `reads` names; `instances`: what KServe's v1 is sent.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _described(app, served, bodies, instances)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _described(
    app: FastAPI, served: str, bodies: Sequence[type[BaseModel]], instances: type[BaseModel]
) -> dict[str, Any]:
    described = get_openapi(title="Music Flamingo", version=app.version, routes=app.routes)
    wanted = [(model, "validation") for model in (*SHAPES, *bodies, instances)]
    _, definitions = models_json_schema(wanted, ref_template=REF)  # type: ignore[arg-type]
    described["components"]["schemas"] |= definitions["$defs"]
    described["components"]["schemas"]["ChatRequest"]["properties"]["model"]["enum"] = [served]
    described["paths"] = {path: found for path, found in described["paths"].items() if path not in CLOSED}
    predict = described["paths"][PREDICT]["post"]
    predict |= reads(("application/json", instances))
    predict["responses"] = {str(status): said for status, said in answers(Predictions).items()}
    described["paths"]["/metrics"]["get"]["responses"]["200"]["content"] = {"text/plain": {"schema": TEXT}}
    for found in described["paths"].values():
        for operation in found.values():
            operation["parameters"] = [_known(named, served) for named in _without_versions(operation)]
            if "500" not in operation["responses"]:
                operation["responses"].pop("422", None)  # a path may hold any text
                operation["responses"] |= {str(code): _response(said, {}) for code, said in KSERVE_REFUSALS.items()}
            operation["responses"]["404"] = _response(REFUSALS[404], EITHER)
    return described


def _without_versions(operation: dict[str, Any]) -> list[dict[str, Any]]:
    """KServe takes a version and then knows none."""
    return [named for named in operation.get("parameters", []) if named["name"] != "model_version"]


def _known(parameter: dict[str, Any], served: str) -> dict[str, Any]:
    """Every parameter is the model's name."""
    return {**parameter, "schema": {"type": "string", "enum": [served]}}


def _ref(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": REF.format(model=model.__name__)}


EITHER = {"anyOf": [_ref(KServeError), _ref(Error)]}


def _response(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
