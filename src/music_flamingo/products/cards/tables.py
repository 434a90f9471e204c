"""Markdown tables and short summaries of counts."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Lines of a Markdown table; the first column is text, the others are numbers."""
    lines = [_row(head), _row(["---", *["---:"] * (len(head) - 1)])]
    return [*lines, *(_row([_cell(v) for v in row]) for row in rows)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: Any) -> str:
    """Other people's words stay in their cell, and are no markup."""
    text = str(value) if value is not None else ""
    cleaned = "".join(c if c.isprintable() else " " for c in text)
    for mark in "\\|<>[]`*":
        cleaned = cleaned.replace(mark, f"\\{mark}")
    return cleaned


@dataclass(frozen=True)
class Spread:
    """Number, least, median, mean and greatest of whole numbers."""

    number: int
    least: int
    median: float
    mean: float
    greatest: int

    @classmethod
    def of(cls, counts: Counter[int]) -> "Spread":
        """Of `value -> how often`; at least one value."""
        number = counts.total()
        values = sorted(counts)
        median = (_at(counts, values, (number - 1) // 2) + _at(counts, values, number // 2)) / 2
        return cls(number, values[0], median, sum(v * n for v, n in counts.items()) / number, values[-1])

    @property
    def cells(self) -> tuple[str, ...]:
        """The numbers as table cells."""
        return (f"{self.number}", f"{self.least}", f"{self.median:g}", f"{self.mean:.1f}", f"{self.greatest}")


def _at(counts: Counter[int], values: Sequence[int], place: int) -> int:
    """The value at `place` of all values in order."""
    for value in values:
        place -= counts[value]
        if place < 0:
            return value
    raise IndexError(place)


def crossed(counts: Counter[tuple[str, str]], rows: Sequence[str], columns: Sequence[str]) -> list[str]:
    """A table of counts by row and column, with sums; rows and columns that hold nothing are left out."""
    shown = [c for c in columns if any(counts[r, c] for r in rows)]
    body = [[r, *(counts[r, c] for c in shown), sum(counts[r, c] for c in shown)] for r in rows]
    sums = ["all", *(sum(counts[r, c] for r in rows) for c in shown), counts.total()]
    return table(["", *shown, "all"], [*(b for b in body if b[-1]), sums])
