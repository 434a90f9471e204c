"""Which of several equal processes this is, as torchrun says it in the environment. No torch here.

A stage that trains runs in every rank; the first rank alone begins, writes and completes its ports.
"""

import os

from music_flamingo.core.errors import ConfigError


def rank() -> int:
    return _number("RANK", 0)


def num_ranks() -> int:
    return _number("WORLD_SIZE", 1)


def is_first() -> bool:
    return rank() == 0


def local_rank() -> int:
    """The rank among those of this machine."""
    return _number("LOCAL_RANK", 0)


def _number(name: str, otherwise: int) -> int:
    text = os.environ.get(name, "")
    try:
        return int(text) if text else otherwise
    except ValueError as error:
        raise ConfigError(f"the environment variable {name} is {text!r}, not a number: torchrun sets it.") from error
