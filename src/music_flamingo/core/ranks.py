"""torchrun's RANK and WORLD_SIZE, read from the environment.

A stage that trains runs in every rank; the first rank alone begins, writes and completes its ports.
"""

import os

from music_flamingo.core.errors import ConfigError


def rank() -> int:
    """This process's rank; 0 without torchrun."""
    return _number("RANK", 0)


def num_ranks() -> int:
    """Number of ranks; 1 without torchrun."""
    return _number("WORLD_SIZE", 1)


def is_first() -> bool:
    """Whether this is rank 0."""
    return rank() == 0


def _number(name: str, otherwise: int) -> int:
    text = os.environ.get(name, "")
    try:
        return int(text) if text else otherwise
    except ValueError as error:
        raise ConfigError(f"the environment variable {name} is {text!r}, not a number: torchrun sets it.") from error
