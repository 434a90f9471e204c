"""The JSON schema of a reply, in the part of JSON Schema that constrained decoding knows.

OpenAI's strict mode wants every property required and no others, and refuses `allOf`, `oneOf`, `not`, defaults and
anything next to a `$ref`; vLLM's grammar backends lack more. So a schema keeps the keywords below; whatever else a
reply must be (lengths of texts, an answer among the options) is stated in the prompt and checked by the reply's model.
"""

import copy
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from music_flamingo.core.record import RecordPart

KEPT = frozenset({"type", "items", "enum", "const", "anyOf", "description"} | {"minimum", "maximum"})


def strict_schema(reply: type[RecordPart], choices: Mapping[str, Sequence[str]] | None = None) -> dict[str, Any]:
    """The schema of a reply for `response_format` with `strict`. Raises TypeError for a reply it cannot express.

    `choices`: what the texts of some fields may be, wherever in the reply a field of that name stands.
    """
    if not choices:
        return _strict_schema(reply)
    schema = copy.deepcopy(_strict_schema(reply))
    for part in (schema, *schema.get("$defs", {}).values()):
        for name, values in choices.items():
            if name in part.get("properties", {}):
                part["properties"][name] = {"type": "string", "enum": list(dict.fromkeys(values))}
    return schema


@cache
def _strict_schema(reply: type[RecordPart]) -> dict[str, Any]:
    whole = reply.model_json_schema()
    schema = _strict(whole, reply.__name__)
    if "$defs" in whole:
        schema["$defs"] = {name: _strict(part, name) for name, part in whole["$defs"].items()}
    return schema


def _strict(part: dict[str, Any], name: str) -> dict[str, Any]:
    if "$ref" in part:
        return {"$ref": part["$ref"]}
    if beyond := {"allOf", "oneOf", "not", "prefixItems"} & part.keys():
        raise TypeError(f"{name}: constrained decoding does not know {sorted(beyond)}")
    kept = {k: _inside(v, name) for k, v in part.items() if k in KEPT}
    if part.get("type") == "object":
        if "properties" not in part:
            raise TypeError(f"{name}: an object needs named fields, not a mapping of any keys")
        kept["properties"] = {k: _strict(v, f"{name}.{k}") for k, v in part["properties"].items()}
        kept["required"] = list(part["properties"])
        kept["additionalProperties"] = False
    return kept


def _inside(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return _strict(value, name)
    return [_inside(v, name) for v in value] if isinstance(value, list) else value
