"""Choice and endpoint of a teacher. What changes replies is part of a stage's identity; where it runs is not."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from music_flamingo.core.http import Endpoint
from music_flamingo.core.licences import Licence
from music_flamingo.core.stage import NOT_IDENTITY

MOST_TRIES = 5
AudioFormat = Literal["wav", "flac"]


class ScriptedConfig(BaseModel):
    """Deterministic writers from facts and theory; no server, no weights."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    kind: Literal["scripted"]


class Prices(BaseModel):
    """What tokens cost. For a model of one's own: what the GPU hours come to, or 0."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    input_per_million: float = Field(ge=0)
    output_per_million: float = Field(ge=0)
    """Reasoning tokens are output."""
    currency: str


class FailureLimit(BaseModel):
    """When a stage stops rather than filing one record after another as failed."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    window_calls: int = Field(ge=1)
    """Looked at are the last so many calls, and nothing is decided before there are as many."""
    max_failed_fraction: float = Field(ge=0, le=1)


class OpenAICompatibleConfig(BaseModel):
    """A model behind OpenAI's chat completions: vLLM, another server of that protocol, or a hosted one."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    kind: Literal["openai_compatible"]
    endpoint: Endpoint = Field(json_schema_extra=NOT_IDENTITY)
    """Address, key, time and tries (at most 5). The same model behind another address gives the same records."""
    model: str = Field(min_length=1)
    """As the server names it."""
    revision: str = Field(min_length=1)
    """Commit of the weights, or the dated name of a hosted model: part of every record and of the cache's key."""
    temperature: float = Field(ge=0)
    max_tokens: int = Field(ge=1)
    """Of a reply with its reasoning; what is longer counts as a failed try."""
    reasoning_effort: Literal["low", "medium", "high"] | None
    """For models that reason by degrees (gpt-oss); null sends nothing."""
    structured: Literal["response_format", "structured_outputs", "none"]
    """How the reply is held to its schema: OpenAI's field, vLLM's own, or by validation and asking again alone."""
    audio: AudioFormat | None
    """The form in which it hears; null for a model of text, which is sent no audio."""
    concurrency: int = Field(ge=1, json_schema_extra=NOT_IDENTITY)
    prices: Prices = Field(json_schema_extra=NOT_IDENTITY)
    stop: FailureLimit = Field(json_schema_extra=NOT_IDENTITY)
    cache: str | None = Field(json_schema_extra=NOT_IDENTITY)
    """Folder of finished calls, relative to where the run happens; null pays again after every interruption."""

    @property
    def uses(self) -> tuple[Licence, ...]:
        """Name the model; what it writes may carry the conditions of its licence."""
        return (Licence(tool=f"{self.model}, revision {self.revision} (teacher)", licence="as its provider states"),)

    @field_validator("endpoint")
    @classmethod
    def _few_tries(cls, endpoint: Endpoint) -> Endpoint:
        if endpoint.max_tries > MOST_TRIES:
            raise ValueError(f"max_tries is at most {MOST_TRIES}: a call that fails so often is filed under its reason")
        return endpoint


TeacherConfig = Annotated[ScriptedConfig | OpenAICompatibleConfig, Field(discriminator="kind")]
