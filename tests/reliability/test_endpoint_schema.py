"""Whatever is sent, within the described shapes or outside them: no server error, and answers as described.

schemathesis draws requests from the served `/openapi.json`; half of the recordings among them are real ones.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from support.listening import heard_well, make_release, tone
from support.served import serving, wav

pytestmark = [pytest.mark.reliability, pytest.mark.security]

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
REAL = wav(tone())
BODIES = (
    "POST /openai/v1/chat/completions",
    "POST /v1/models/{model_name}:predict",
    "POST /v2/models/{name}/infer",
    "POST /v1/music/facts",
    "POST /v1/music/describe",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[str]:
    release: Path = make_release(tmp_path_factory.mktemp("data"), *heard_well(), max_new_tokens=8)
    with serving(release) as address:
        yield address


@pytest.fixture(scope="module")
def described(server):
    return schemathesis.openapi.from_url(f"{server}/openapi.json")


def with_recordings(value: Any) -> Any:
    """The same with a real recording wherever base64 belongs."""
    if isinstance(value, dict):
        return {
            k: REAL if k in ("data", "b64") and isinstance(v, str) else with_recordings(v) for k, v in value.items()
        }
    if isinstance(value, list):
        return [with_recordings(entry) for entry in value]
    return value


def fuzz(operation, mode: schemathesis.GenerationMode, examples: int) -> None:
    @given(case=operation.as_strategy(generation_mode=mode), real=st.booleans())
    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    def holds(case, real: bool) -> None:
        if real:
            case.body = with_recordings(case.body)
        case.validate_response(case.call(timeout=60), checks=CHECKS)

    holds()


@pytest.mark.parametrize("label", BODIES)
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_no_body_makes_the_server_fail_or_answer_otherwise_than_described(described, label, mode):
    fuzz(described.find_operation_by_label(label), mode, examples=25)


@pytest.mark.slow
@pytest.mark.parametrize("label", BODIES)
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_no_body_of_a_thousand_makes_the_server_fail(described, label, mode):
    fuzz(described.find_operation_by_label(label), mode, examples=1000)


def test_every_route_that_only_reads_answers_as_described(described):
    labels = [found.ok().label for found in described.get_all_operations()]
    read = [label for label in labels if label.startswith("GET ")]
    assert len(read) > 8
    for label in read:
        fuzz(described.find_operation_by_label(label), schemathesis.GenerationMode.POSITIVE, examples=1)


def test_what_is_described_is_what_is_served(server):
    paths = httpx.get(f"{server}/openapi.json").json()["paths"]
    assert {f"POST {path}" for path, found in paths.items() if "post" in found} == set(BODIES)
    assert not [path for path in paths if "load" in path or "explain" in path]
