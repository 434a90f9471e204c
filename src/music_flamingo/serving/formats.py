"""`response_format`: constrain answers to JSON of a given schema.

llguidance, which vLLM uses too, turns the schema into the tokens that may come next. The words are still the model's:
a schema gives them form, not truth.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator

from music_flamingo.core.hashing import sha256_json
from music_flamingo.model.decoding import Constraint
from music_flamingo.records.example import CATEGORIES
from music_flamingo.serving.errors import ApiError
from music_flamingo.serving.isolation import Isolated
from music_flamingo.serving.schema_check import (
    LIMITS,
    SCHEMA_BYTES,
    SCHEMA_S,
    SCHEMA_WORKERS,
    SCHEMAS_WAITING,
    grammar_of,
    schema_fault,
)
from music_flamingo.serving.shared_work import SharedWork

CAPTION_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {name: {"type": "string", "maxLength": 200} for name in CATEGORIES},
    "required": list(CATEGORIES),
    "additionalProperties": False,
}
"""A structured caption: the eleven categories of the paper."""

MAX_SCHEMA_CHARS = 100_000
MAX_ERROR_CHARS = 200
TOO_COSTLY = f"its patterns take more than {SCHEMA_S:g} s or too much memory"
KNOWN_SCHEMAS = 256
"""Whose faults are remembered."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class NamedSchema(_Part):
    """A JSON schema with its name."""

    name: str = Field(max_length=64)
    json_schema: dict[str, Any] = Field(alias="schema")
    description: str | None = None
    strict: bool | None = None
    """Always held to, whatever is said here."""

    @field_validator("json_schema")
    @classmethod
    def _short(cls, schema: dict[str, Any]) -> dict[str, Any]:
        try:
            length = len(json.dumps(schema, allow_nan=False))
        except ValueError as error:
            raise ValueError(f"a schema holds numbers that JSON has: {error}") from error
        if length > MAX_SCHEMA_CHARS:
            raise ValueError(f"a schema has at most {MAX_SCHEMA_CHARS} characters; this one has {length}")
        return schema


class TextFormat(_Part):
    """Plain text, the default."""

    type: Literal["text"]


class JsonFormat(_Part):
    """Any JSON object."""

    type: Literal["json_object"]


class SchemaFormat(_Part):
    """JSON of a given schema."""

    type: Literal["json_schema"]
    json_schema: NamedSchema


ResponseFormat = Annotated[TextFormat | JsonFormat | SchemaFormat, Field(discriminator="type")]


def bad_schema(reason: str) -> ApiError:
    """What a schema that cannot be used is answered with."""
    return ApiError(400, f"the schema cannot be used: {reason[:MAX_ERROR_CHARS]}", "bad_schema", "response_format")


class Grammars:
    """Constraints by schema, for one tokenizer."""

    def __init__(self, tokenizer, vocabulary: int) -> None:
        from llguidance.hf import from_tokenizer

        self._tokenizer = from_tokenizer(tokenizer, n_vocab=vocabulary)
        self._vocabulary = vocabulary
        self._check = Isolated(schema_fault, SCHEMA_WORKERS, SCHEMA_S, SCHEMA_BYTES, SCHEMAS_WAITING)
        self._faults: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()
        self._under_way: SharedWork[str] = SharedWork()

    def start(self) -> None:
        """Have a process ready before the first schema comes."""
        self._check.start()

    def close(self) -> None:
        self._check.close()

    async def check(self, form: TextFormat | JsonFormat | SchemaFormat | None) -> None:
        """Try a schema that was not seen before. Raises ApiError for one that cannot be used."""
        if (schema := _schema_of(form)) is not None and (key := sha256_json(schema)) not in self._faults:
            try:
                self._remember(key, await self._under_way.do(key, lambda: self._check.run(schema)))
            except ApiError as error:
                if error.status == 429:
                    raise
                self._remember(key, TOO_COSTLY)

    def constraint(self, form: TextFormat | JsonFormat | SchemaFormat | None) -> Constraint | None:
        """For one answer. Raises ApiError for a schema that cannot be used."""
        from llguidance import LLMatcher, LLParserLimits

        if (schema := _schema_of(form)) is None:
            return None
        self._require_buildable(schema)
        matcher = LLMatcher(self._tokenizer, grammar_of(schema), log_level=0, limits=LLParserLimits(**LIMITS))
        if matcher.is_error():
            raise bad_schema(matcher.get_error())
        return _Held(matcher, self._vocabulary)

    def _require_buildable(self, schema: dict[str, Any]) -> None:
        key = sha256_json(schema)
        fault = self._faults.get(key)
        if fault is None:
            try:
                fault = str(self._check(schema))
            except ApiError as error:
                if error.status == 429:
                    raise
                fault = TOO_COSTLY
        self._remember(key, fault)
        if fault:
            raise bad_schema(fault)

    def _remember(self, key: str, fault: str) -> None:
        with self._lock:
            self._faults[key] = fault
            self._faults.move_to_end(key)
            if len(self._faults) > KNOWN_SCHEMAS:
                self._faults.popitem(last=False)


def _schema_of(form: TextFormat | JsonFormat | SchemaFormat | None) -> dict[str, Any] | None:
    if form is None or isinstance(form, TextFormat):
        return None
    return form.json_schema.json_schema if isinstance(form, SchemaFormat) else {"type": "object"}


class _Held:
    """One answer's grammar: fed each generated token, it gives those that may follow."""

    def __init__(self, matcher, vocabulary: int) -> None:
        self._matcher = matcher
        self._vocabulary = vocabulary
        self._num_told = 0

    def __call__(self, logits_V: torch.Tensor, said: Sequence[int]) -> torch.Tensor:
        for token in said[self._num_told :]:
            self._matcher.consume_token(token)
        self._num_told = len(said)
        mask = self._matcher.compute_bitmask()
        if self._matcher.is_error():
            raise bad_schema(self._matcher.get_error())
        bits = np.unpackbits(np.frombuffer(mask, np.uint8), bitorder="little")
        allowed_V = torch.from_numpy(bits[: self._vocabulary].astype(bool)).to(logits_V.device)
        return logits_V.masked_fill(~allowed_V, -torch.inf)
