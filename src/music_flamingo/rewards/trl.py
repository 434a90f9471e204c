"""The rewards as TRL's reward functions: one value an output, None where a reward does not apply.

Dataset columns: `kind` (`question` or `caption`), `reference`, `options`, `structured` (JSON of the categories).
Questions earn format + accuracy, captions format + structured.
"""

import json
from collections.abc import Callable, Sequence

from music_flamingo.records.example import Category
from music_flamingo.rewards.accuracy import accuracy_reward
from music_flamingo.rewards.format import format_reward
from music_flamingo.rewards.structured import StructuredForm, structured_reward

Completions = Sequence[Sequence[dict[str, str]]]
RewardFunction = Callable[..., list[float | None]]

QUESTION, CAPTION = "question", "caption"


def reward_functions(structured_form: StructuredForm) -> list[RewardFunction]:
    """format, accuracy and structured, in this order; TRL names its metrics after the functions."""

    def format(completions: Completions, **columns: object) -> list[float | None]:
        return [format_reward(text) for text in _texts(completions)]

    def accuracy(
        completions: Completions, kind: list[str], reference: list[str], options: list[list[str]], **columns: object
    ) -> list[float | None]:
        rows = zip(_texts(completions), kind, reference, options, strict=True)
        return [accuracy_reward(text, truth, among) if k == QUESTION else None for text, k, truth, among in rows]

    def structured(
        completions: Completions, kind: list[str], structured: list[str], **columns: object
    ) -> list[float | None]:
        rows = zip(_texts(completions), kind, structured, strict=True)
        return [
            structured_reward(text, _categories(truth), structured_form) if k == CAPTION else None
            for text, k, truth in rows
        ]

    return [format, accuracy, structured]


def _texts(completions: Completions) -> list[str]:
    return [completion[0]["content"] for completion in completions]


def _categories(text: str) -> list[Category]:
    return [Category.model_validate(value) for value in json.loads(text)]
