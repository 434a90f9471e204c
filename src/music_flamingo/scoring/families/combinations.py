"""Combinations of parts that training never asks about: who answers those has put the parts together.

There are few combinations of few parts, and a model that answers plainly learns the answer to each by heart. Of every
set of families a share of the combinations of their answers is held out, whatever the kind of question and the order
of its parts; the exam asks about both (compositional generalisation, as in CLEVR-CoGenT, arXiv 1612.06890).
"""

from collections.abc import Iterable
from functools import lru_cache
from itertools import product
from random import Random

from pydantic import BaseModel, ConfigDict, Field

from music_flamingo.core.ranges import Seed
from music_flamingo.scoring.families.checks import parts_asked
from music_flamingo.scoring.families.composite import NamedPart
from music_flamingo.scoring.families.registry import FAMILIES

ASKED = "combinations"
"""Of a model's plan.json: what it was asked about together, as `combinations_asked` gives it."""


class HeldOutCombinations(BaseModel):
    """Which combinations are held out: a share of those of each set of families, drawn by seed."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    share: float = Field(ge=0, le=0.75)
    """With more, too little is left to learn what is asked from."""
    seed: Seed

    def holds_out(self, parts: Iterable[NamedPart]) -> bool:
        """Whether these parts are never asked about together in training."""
        named = tuple(sorted(parts, key=lambda part: part.family))
        return named in _held_out(tuple(part.family for part in named), self.share, self.seed)


def combinations_asked(questions: Iterable[tuple[str, str]]) -> list[list[list[str]]]:
    """The combinations that composite questions (family, words) ask about, each once, as [[family, value], ...]."""
    asked = {frozenset(parts) for family, words in questions if (parts := parts_asked(family, words))}
    return sorted(sorted([part.family, part.value] for part in parts) for parts in asked)


@lru_cache(maxsize=4096)
def _held_out(families: tuple[str, ...], share: float, seed: int) -> frozenset[tuple[NamedPart, ...]]:
    options = [[NamedPart(name, value) for value in FAMILIES[name].options] for name in families]
    combinations = list(product(*options))
    rng = Random("/".join([str(seed), *families]))
    return frozenset(rng.sample(combinations, round(share * len(combinations))))
