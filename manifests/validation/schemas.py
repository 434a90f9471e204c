"""A resource against the closed schema of its kind: a field that the schema does not name is a violation, as
`kubectl apply --validate=strict` has it.

The schemas lie compressed in manifests/schemas; manifests/validation/pruning.py makes them. Rules in CEL
(`x-kubernetes-validations`) are not checked: an API server does that.
"""

import difflib
import gzip
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

SCHEMAS = Path(__file__).resolve().parents[1] / "schemas"
CORE = SCHEMAS / "core.json.gz"

Resource = dict[str, Any]


def violations(resource: Mapping[str, Any]) -> list[str]:
    """What does not fit, one line each: `spec.predictor.minReplica: unknown field; is minReplicas meant?`"""
    api_version, kind = resource.get("apiVersion"), resource.get("kind")
    if not api_version or not kind:
        return ["apiVersion and kind are needed"]
    validator = _validator(str(api_version), str(kind))
    if validator is None:
        return [f"no schema of {api_version} {kind}: see manifests/validation/pruning.py"]
    return sorted({line for error in validator.iter_errors(resource) for line in _lines(error)})


def known() -> list[tuple[str, str]]:
    """(apiVersion, kind) of every schema that is here."""
    return sorted(_table())


def schema_of(kind: str) -> dict[str, Any]:
    """The schema of a kind, of whichever version is here. Raises KeyError for one that is not."""
    return {name: schema for (_, name), schema in _table().items()}[kind]


def _lines(error: jsonschema.ValidationError) -> Iterator[str]:
    """One line a wrong place; of alternatives the one that came closest."""
    if error.context:
        best = jsonschema.exceptions.best_match([error])
        if best is not None and best is not error:
            yield from _lines(best)
            return
    where = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error.absolute_path).lstrip(".")
    if error.validator != "additionalProperties" or not isinstance(error.instance, dict):
        yield f"{where or '.'}: {error.message[:200]}"
        return
    named = error.schema.get("properties", {})
    for field in sorted(set(error.instance) - set(named)):
        near = difflib.get_close_matches(field, named, n=1)
        meant = f"; is {near[0]} meant?" if near else ""
        yield f"{where}.{field}".lstrip(".") + f": unknown field{meant}"


@cache
def _validator(api_version: str, kind: str) -> jsonschema.Draft202012Validator | None:
    schema = _table().get((api_version, kind))
    return jsonschema.Draft202012Validator(schema) if schema else None


@cache
def _table() -> dict[tuple[str, str], dict[str, Any]]:
    core = json.loads(gzip.decompress(CORE.read_bytes()))
    definitions = core["$defs"]
    table = {}
    for entry in core["kinds"]:
        # inside another resource (a claim's template) they may be left out
        needed = ["apiVersion", "kind", "metadata"]
        schema = {"$ref": f"#/$defs/{entry['definition']}", "required": needed, "$defs": definitions}
        table[entry["apiVersion"], entry["kind"]] = schema
    published = [json.loads(gzip.decompress(p.read_bytes())) for p in sorted(SCHEMAS.glob("*.json.gz")) if p != CORE]
    by_hand = [json.loads(p.read_text()) for p in sorted(SCHEMAS.glob("*.json"))]
    for custom in published + by_hand:
        for version, schema in custom["versions"].items():
            table[f"{custom['group']}/{version}", custom["kind"]] = {**schema, "$defs": definitions}
    return table
