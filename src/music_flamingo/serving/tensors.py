"""KServe's v2 (open inference) protocol: questions and recordings as BYTES tensors of one length, in JSON.

inputs: `question` BYTES [N], `audio` BYTES [N] (base64) -> outputs: `text`, `thinking`, `answer` BYTES [N],
`listened_s` FP64 [N, 2], `duration_s` FP64 [N]. The binary extension is refused: a recording is base64 in JSON.
"""

from math import prod
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from music_flamingo.serving.errors import ApiError
from music_flamingo.serving.predictor import MAX_INSTANCES, EncodedAudio, Instance

BINARY_HEADER = "inference-header-content-length"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Tensor(_Part):
    """An input tensor of BYTES."""

    name: Literal["question", "audio"]
    shape: list[Annotated[int, Field(ge=1, le=MAX_INSTANCES)]] = Field(min_length=1, max_length=2)
    datatype: Literal["BYTES"]
    data: list[str] = Field(min_length=1, max_length=MAX_INSTANCES)
    parameters: dict[str, Any] | None = None


class WantedOutput(_Part):
    """An output that the client asks for."""

    name: str
    parameters: dict[str, Any] | None = None


class TensorRequest(_Part):
    """Body of a v2 request."""

    id: str | None = None
    model_name: str | None = None
    model_version: str | None = None
    """KServe's client sends both; the path says which model is meant."""
    inputs: list[Tensor] = Field(min_length=2, max_length=2)
    outputs: list[WantedOutput] | None = None
    """All outputs are given, whatever is wanted."""
    parameters: dict[str, Any] | None = None


def parse_tensors(body: bytes, *, binary: bool) -> tuple[str | None, list[Instance]]:
    """(the request's id, its questions). Raises ApiError naming the field."""
    if binary:
        message = "binary tensors are not taken: send JSON (binary_data=False), recordings as base64."
        raise ApiError(400, message, "binary_tensors")
    try:
        asked = TensorRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(place) for place in first["loc"])[:200]
        raise ApiError(400, f"{where or 'body'}: {first['msg'][:300]}", "invalid_request", where or None) from error
    by_name = {tensor.name: tensor.data for tensor in asked.inputs}
    if len(by_name) != 2 or len(by_name["question"]) != len(by_name["audio"]):
        raise ApiError(400, "give `question` and `audio` with as many entries each.", "invalid_request", "inputs")
    for tensor in asked.inputs:
        if prod(tensor.shape) != len(tensor.data):
            message = f"`{tensor.name}` has the shape {tensor.shape} and {len(tensor.data)} entries."
            raise ApiError(400, message, "invalid_request", "inputs")
    rows = zip(by_name["question"], by_name["audio"], strict=True)
    return asked.id, [Instance(question=question, audio=EncodedAudio(b64=audio)) for question, audio in rows]


def tensor_response(model: str, identity: str | None, predictions: list[dict[str, Any]]) -> dict[str, Any]:
    """`predictions` as v1 gives them."""
    number = len(predictions)
    texts = [_output(name, "BYTES", [number], [p[name] or "" for p in predictions]) for name in _TEXTS]
    listened = _output("listened_s", "FP64", [number, 2], [t for p in predictions for t in p["listened_s"]])
    durations = _output("duration_s", "FP64", [number], [p["duration_s"] for p in predictions])
    told = {"model_name": model, "outputs": [*texts, listened, durations]}
    return {**told, "id": identity} if identity is not None else told


_TEXTS = ("text", "thinking", "answer")


def _output(name: str, datatype: str, shape: list[int], data: list[Any]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}
