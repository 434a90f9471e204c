"""Read an endpoint's `GET /models`: whether its model thinks, and whether a request may switch that off."""

from dataclasses import dataclass

from pydantic import BaseModel, ValidationError

from music_flamingo.core.http import Endpoint, read_key

TEMPLATE_SERVERS = ("vllm", "music-flamingo")
"""Owners, as servers call themselves, that take `chat_template_kwargs`."""
WAIT_S = 10.0


class _Extension(BaseModel):
    think: bool | None = None


class _Listed(BaseModel):
    id: str
    owned_by: str = ""
    music_flamingo: _Extension = _Extension()


class _List(BaseModel):
    data: list[_Listed]


@dataclass(frozen=True)
class EndpointCard:
    """How a model behind an endpoint is asked where the user says nothing of thinking."""

    thinks: bool | None = None
    """Of `mf serve`: the release's own word. None: the server does not say, and its chat template decides."""
    takes_template_options: bool = False
    """Whether a request may say `chat_template_kwargs: {"enable_thinking": false}`."""

    def __str__(self) -> str:
        if self.thinks is None:
            return "the endpoint does not say whether its model thinks: its own chat template decides (--think asks)"
        what = "thinks before it answers" if self.thinks else "answers without thinking"
        return f"the endpoint's model {what}, by its card: it is asked so"


def read_card(endpoint: Endpoint, model: str) -> EndpointCard:
    """The card of this model; an empty one where the server has no list, or no such model in it."""
    import httpx

    key = read_key(endpoint)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        reply = httpx.get(f"{endpoint.base_url}/models", headers=headers, timeout=min(WAIT_S, endpoint.timeout_s))
        listed = _List.model_validate_json(reply.content).data if reply.is_success else []
    except (httpx.HTTPError, ValidationError):
        return EndpointCard()
    for known in listed:
        if known.id == model:
            return EndpointCard(known.music_flamingo.think, known.owned_by in TEMPLATE_SERVERS)
    return EndpointCard()
