"""Client errors in OpenAI's shape: {"error": {"message", "type", "param", "code"}}."""

from dataclasses import dataclass, field

MAX_ECHO_CHARS = 80


@dataclass
class ApiError(Exception):
    """Answered with its HTTP status and nothing of our insides."""

    status: int
    message: str
    code: str
    param: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def type(self) -> str:
        """OpenAI's error type for the status."""
        if self.status == 429:
            return "rate_limit_error"
        return "invalid_request_error" if self.status < 500 else "server_error"

    def body(self) -> dict[str, dict[str, str | None]]:
        """The response's body."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


def echo(text: str) -> str:
    """A client's own words, short enough for a message."""
    return repr(text if len(text) <= MAX_ECHO_CHARS else text[:MAX_ECHO_CHARS] + "...")
