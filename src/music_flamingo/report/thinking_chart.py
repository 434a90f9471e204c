"""The exam of composite questions as one picture: each model and each control, greedy and sampled, with its chains."""

from dataclasses import dataclass

from music_flamingo.evaluation.thinking import (
    ALL,
    HELD_OUT,
    JOINED,
    TAUGHT,
    ThinkingDifference,
    ThinkingResults,
    ThinkingRow,
)
from music_flamingo.evaluation.thinking_tables import rows_of
from music_flamingo.report.charts import Tick, nice_values

STEP = 10
"""Percent between the ends of the axis and its ticks."""
ROWS = {
    "direct": ("Direct answers", "control: trained as long, without thinking", "control"),
    "warmup": ("Warm-up", "thinks aloud, then answers", "warmup"),
    "longer": ("Warm-up continued", "control: for as long as GRPO", "control"),
    "grpo": ("GRPO", "from the warm-up, by rewards", "grpo"),
    "joined": ("Ceiling", "single answers after SFT, joined by logic", "control"),
}
"""Model -> its name, what it is, and the tone of its marks."""
OTHER_AUDIO = ("{}, another recording", "control: right without hearing the music", "control")

FIRST_SAID = {
    ("warmup", "direct"): ("thinking aloud", "direct answers trained as long"),
    ("grpo", "warmup"): ("GRPO", "the warm-up that it starts from"),
    ("grpo", "longer"): ("GRPO", "that warm-up continued for as long"),
}
"""(model, what it is held against) -> both in words, in the order in which a reader asks."""


@dataclass(frozen=True)
class IntervalMark:
    """An accuracy and its 95 % interval: in percent as text, and as places on the axis."""

    text: str
    interval: str
    at: float
    low: float
    high: float


@dataclass(frozen=True)
class ModelMarks:
    """One line of the picture."""

    name: str
    note: str
    tone: str
    greedy: IntervalMark
    sampled: IntervalMark | None
    whole: int | None
    """Percent of the chains; None for answers without thinking."""
    faithful: int | None


@dataclass(frozen=True)
class Gain:
    """A difference in words, and of what it is made where combinations of parts are held out of training."""

    what: str
    over: str
    all: ThinkingDifference
    never_taught: ThinkingDifference | None
    taught: ThinkingDifference | None


@dataclass(frozen=True)
class ThinkingChart:
    """Lines over one axis, in percent of right answers."""

    rows: tuple[ModelMarks, ...]
    ticks: tuple[Tick, ...]
    ceiling: float | None
    """Place on the axis that a line marks in every row; None where it was not examined."""


def thinking_chart(results: ThinkingResults) -> ThinkingChart:
    """Marks of every model over all composite questions, on an axis that ends on whole tens around their intervals."""
    rows = [(greedy, sampled) for _, greedy, sampled in rows_of(results)]
    shown = [row for pair in rows for row in pair if row]
    low = STEP * int(100 * min(row.low for row in shown) / STEP)
    high = min(100, STEP * (int(100 * max(row.high for row in shown) / STEP) + 1))

    def across(share: float) -> float:
        return 100 * (100 * share - low) / (high - low)

    def mark(row: ThinkingRow) -> IntervalMark:
        interval = f"{100 * row.low:.0f}–{100 * row.high:.0f}"
        return IntervalMark(
            f"{100 * row.accuracy:.0f}", interval, across(row.accuracy), across(row.low), across(row.high)
        )

    def line(greedy: ThinkingRow, sampled: ThinkingRow | None) -> ModelMarks:
        name, note, tone = ROWS[greedy.model]
        if greedy.condition != "audio":
            name, note, tone = OTHER_AUDIO[0].format(name), *OTHER_AUDIO[1:]
        chains = (_whole_percent(greedy.whole), _whole_percent(greedy.faithful))
        return ModelMarks(name, note, tone, mark(greedy), mark(sampled) if sampled else None, *chains)

    ticks = tuple(Tick(across(value / 100), f"{value:g}") for value in nice_values(low, high, 6))
    ceiling = next((across(row.accuracy) for row, _ in rows if row.model == JOINED), None)
    return ThinkingChart(tuple(line(*pair) for pair in rows), ticks, ceiling)


def gains(results: ThinkingResults) -> list[Gain]:
    """The exam in a sentence: what thinking gains, and GRPO over its start and over its control, by greedy answers."""
    found = {(d.model, d.minus_model, d.family): d for d in results.differences if d.drawn == "greedy"}
    return [
        Gain(what, over, found[*pair, ALL], found.get((*pair, HELD_OUT)), found.get((*pair, TAUGHT)))
        for pair, (what, over) in FIRST_SAID.items()
        if (*pair, ALL) in found
    ]


def _whole_percent(share: float | None) -> int | None:
    return None if share is None else round(100 * share)
