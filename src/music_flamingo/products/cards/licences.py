"""Licences of the tools and collections that labels come from."""

from pydantic import BaseModel, ConfigDict


class ToolLicence(BaseModel):
    """A tool or collection that the training labels come from."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    tool: str
    licence: str
