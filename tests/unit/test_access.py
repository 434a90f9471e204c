"""API keys and limits of requests."""

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from music_flamingo.core.errors import UserError
from music_flamingo.serving.access import Access, Guard

KEY, OTHER = "k" * 20, "o" * 20
CHAT = "/openai/v1/chat/completions"


def client(access: Access) -> TestClient:
    async def answer(_) -> PlainTextResponse:
        return PlainTextResponse("answered")

    routes = [Route(path, answer, methods=["GET", "POST"]) for path in (CHAT, "/v2/health/ready", "/metrics", "/v1/x")]
    app = Starlette(routes=routes)
    app.add_middleware(Guard, access=access)
    return TestClient(app)


@pytest.fixture
def keys(tmp_path):
    path = tmp_path / "keys"
    path.write_text(f"# for the web shop\n{KEY}\n\n{OTHER}\n")
    return path


@pytest.mark.parametrize("headers", [{"Authorization": f"Bearer {KEY}"}, {"X-Api-Key": OTHER}])
def test_a_known_key_is_let_in(keys, headers):
    assert client(Access.of(keys, None)).post(CHAT, headers=headers).text == "answered"


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer "}, {"Authorization": f"Basic {KEY}"}, {"X-Api-Key": KEY[:-1]},
     {"Authorization": f"Bearer {KEY}x"}, {"X-Api-Key": "# for the web shop"}],
)  # fmt: skip
def test_without_a_known_key_nothing_that_costs_is_done(keys, headers):
    refused = client(Access.of(keys, None)).post(CHAT, headers=headers)
    assert refused.status_code == 401
    assert refused.json()["error"]["code"] == "invalid_api_key"
    assert KEY not in refused.text


def test_probes_and_metrics_need_no_key(keys):
    guarded = client(Access.of(keys, None))
    assert guarded.get("/v2/health/ready").text == guarded.get("/metrics").text == "answered"
    assert guarded.get("/v1/x").status_code == 401


def test_each_key_has_its_own_limit_and_is_told_when_to_come_again(keys):
    guarded = client(Access.of(keys, 2))
    answers = [guarded.post(CHAT, headers={"X-Api-Key": KEY}) for _ in range(3)]
    assert [a.status_code for a in answers] == [200, 200, 429]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
    assert guarded.post(CHAT, headers={"X-Api-Key": OTHER}).status_code == 200


def test_the_limit_ends_with_its_minute(keys, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("music_flamingo.serving.access.time.monotonic", lambda: now[0])
    guarded = client(Access.of(None, 1))
    assert [guarded.post(CHAT).status_code for _ in range(2)] == [200, 429]
    now[0] += 60
    assert guarded.post(CHAT).status_code == 200


@pytest.mark.parametrize("text", ["", "# nothing\n", "short\n"])
def test_a_file_without_keys_that_could_be_secret_is_refused(tmp_path, text):
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(UserError, match="16 characters"):
        Access.of(path, None)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        Access.of(tmp_path / "nowhere", None)
