"""Select the questions that deserve a chain of thought: missed by the model, or rated hard by a teacher."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Difficulty = Literal["model_missed", "teacher_choice"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Slots: at the paper's size there are millions of them."""

    example_id: str
    group: str
    """What shares the number equally: its family, or its skill where families are without number."""
    answer: str
    is_closed: bool
    """Its answer is one of a few classes, which are then balanced."""
    answer_probability: float
    """The model's, of the right answer."""
    rating: int
    """The teacher's, 1 to 5; 0 where it gave none."""


@dataclass(frozen=True)
class DifficultyRule:
    """How many questions to probe, and which share of misses makes a family hard."""

    num_examples: int
    missed_below: float
    max_missed_fraction: float


def choose(candidates: Sequence[Candidate], choice: DifficultyRule, rng: random.Random) -> dict[str, Difficulty]:
    """Example id -> why it is chosen. Groups share the number equally, and so do the answers of a closed family.

    In each cell the misses come first, up to `max_missed_fraction`, beginning with those the model is least sure of:
    what it misses with certainty is often labelled wrong. Then comes what the teacher rates hardest, in an order drawn
    among equals; then further misses, where nothing else is left.
    """
    cells: dict[str, dict[str, list[Candidate]]] = defaultdict(lambda: defaultdict(list))
    for candidate in sorted(candidates, key=lambda c: c.example_id):
        cells[candidate.group][candidate.answer if candidate.is_closed else ""].append(candidate)
    chosen: dict[str, Difficulty] = {}
    for group in sorted(cells):
        for answer in sorted(cells[group]):
            quota = choice.num_examples // len(cells) // len(cells[group])
            chosen |= _from_cell(cells[group][answer], quota, choice, rng)
    return chosen


def _from_cell(cell: list[Candidate], quota: int, choice: DifficultyRule, rng: random.Random) -> dict[str, Difficulty]:
    draw = {c.example_id: rng.random() for c in cell}
    missed = sorted(
        (c for c in cell if c.answer_probability < choice.missed_below),
        key=lambda c: (-c.answer_probability, c.example_id),
    )
    others = sorted((c for c in cell if c not in missed), key=lambda c: (-c.rating, draw[c.example_id]))
    num_missed = max(round(quota * choice.max_missed_fraction), quota - len(others))
    taken = missed[:num_missed]
    chosen: dict[str, Difficulty] = {c.example_id: "model_missed" for c in taken}
    return chosen | {c.example_id: "teacher_choice" for c in others[: quota - len(taken)]}
