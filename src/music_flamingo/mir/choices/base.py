"""Base of every choice of a tool: settings under one `kind`, its licences, and how to load it."""

from typing import Any, ClassVar, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from music_flamingo.core.licences import Licence

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class OpensTool(Protocol[T_co]):
    """A choice that loads its tool; the type checker holds that the tool is one for the fact."""

    def open(self) -> T_co: ...


class ToolChoice(BaseModel):
    """One tool with its settings."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    uses: ClassVar[tuple[Licence, ...]] = ()
    """What stands behind the tool; empty for the project's own analysis."""

    def identity(self) -> dict[str, Any]:
        """Say what the tool's result depends on; a model counts by its weights, a server not by its address."""
        return {name: identity_of(getattr(self, name), plain) for name, plain in self.model_dump(mode="json").items()}


def identity_of(value: Any, plain: Any) -> Any:
    """Give a configuration's field as JSON (`plain`), with the identity of each tool in it in place of its settings."""
    if isinstance(value, ToolChoice):
        return value.identity()
    if isinstance(value, tuple):
        return [identity_of(one, as_json) for one, as_json in zip(value, plain, strict=True)]
    return plain


def opened(choice: OpensTool[T] | None) -> T | None:
    """Load the chosen tool; None where the fact is left out."""
    return choice.open() if choice else None
