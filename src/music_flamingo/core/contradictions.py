"""Find parameters that contradict each other though each is in its range: refused at parsing, not hours later."""

from collections.abc import Iterator, Sequence

from pydantic import BaseModel

from music_flamingo.core.errors import ConfigError

WEIGHTS = {"families", "sources", "tasks", "corpora"}
"""Fields of names and weights: with zeros alone a stage would have nothing to do, or divide by their sum."""


def contradictions(config: BaseModel, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """(field, what contradicts what and the remedy) of a configuration and all that it holds, however deep.

    `min_x` is at most `max_x`; of what is weighed against each other something has a weight.
    """
    values = dict(config)
    for name, most in values.items():
        least = values.get(f"min_{name.removeprefix('max_')}") if name.startswith("max_") else None
        if isinstance(least, int | float) and isinstance(most, int | float) and least > most:
            own = f"min_{name.removeprefix('max_')}"
            yield ".".join((*path, own)), f"{own} is {least} and {name} is {most}: nothing is both. Change one of them."
    for name in WEIGHTS & values.keys():
        weights = values[name]
        if isinstance(weights, dict) and weights and all(type(w) in (int, float) and w == 0 for w in weights.values()):
            yield (
                ".".join((*path, name)),
                f"none of {', '.join(weights)} weighs more than 0: give one of them a weight.",
            )
    for name, value in values.items():
        yield from _within(value, (*path, name))


def _within(value: object, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(value, BaseModel):
        yield from contradictions(value, path)
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _within(part, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            yield from _within(part, (*path, str(index)))


def refused_parameters(stage: str, found: Sequence[tuple[str, str]]) -> ConfigError:
    """The error of a stage's parameters. `found`: (field, what is wrong with it)."""
    lines = "\n".join(f"  {stage}.{field}: {what}" for field, what in found)
    return ConfigError(
        f"stage `{stage}` cannot use these parameters:\n{lines}\n"
        f"Mend them under `{stage}:` in params.yaml or in the profile."
    )
