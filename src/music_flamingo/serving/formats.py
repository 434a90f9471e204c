"""`response_format`: constrain answers to JSON of a given schema.

llguidance, which vLLM uses too, turns the schema into the tokens that may come next. The words are still the model's:
a schema gives them form, not truth.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from music_flamingo.model.decoding import Constraint
from music_flamingo.records.example import CATEGORIES
from music_flamingo.serving.errors import ApiError

CAPTION_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {name: {"type": "string", "maxLength": 200} for name in CATEGORIES},
    "required": list(CATEGORIES),
    "additionalProperties": False,
}
"""A structured caption: the eleven categories of the paper."""

MAX_ERROR_CHARS = 200


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class NamedSchema(_Part):
    """A JSON schema with its name."""

    name: str = Field(max_length=64)
    json_schema: dict[str, Any] = Field(alias="schema")
    description: str | None = None
    strict: bool | None = None
    """Always held to, whatever is said here."""


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


class Grammars:
    """Constraints by schema, for one tokenizer."""

    def __init__(self, tokenizer, vocabulary: int) -> None:
        from llguidance.hf import from_tokenizer

        self._tokenizer = from_tokenizer(tokenizer, n_vocab=vocabulary)
        self._vocabulary = vocabulary

    def constraint(self, form: TextFormat | JsonFormat | SchemaFormat | None) -> Constraint | None:
        """For one answer. Raises ApiError for a schema that cannot be used."""
        from llguidance import LLMatcher

        if form is None or isinstance(form, TextFormat):
            return None
        schema = form.json_schema.json_schema if isinstance(form, SchemaFormat) else {"type": "object"}
        # a small model left free to add white space adds nothing else
        grammar = LLMatcher.grammar_from_json_schema(schema, defaults={"whitespace_flexible": False})
        matcher = LLMatcher(self._tokenizer, grammar)
        if matcher.is_error():
            told = matcher.get_error()[:MAX_ERROR_CHARS]
            raise ApiError(400, f"the schema cannot be used: {told}", "bad_schema", "response_format")
        return _Held(matcher, self._vocabulary)


class _Held:
    """One answer's grammar: told each token that was said, it knows which may follow."""

    def __init__(self, matcher, vocabulary: int) -> None:
        self._matcher = matcher
        self._vocabulary = vocabulary
        self._num_told = 0

    def __call__(self, logits_V: torch.Tensor, said: Sequence[int]) -> torch.Tensor:
        for token in said[self._num_told :]:
            self._matcher.consume_token(token)
        self._num_told = len(said)
        bits = np.unpackbits(np.frombuffer(self._matcher.compute_bitmask(), np.uint8), bitorder="little")
        allowed_V = torch.from_numpy(bits[: self._vocabulary].astype(bool)).to(logits_V.device)
        return logits_V.masked_fill(~allowed_V, -torch.inf)
