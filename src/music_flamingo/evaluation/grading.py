"""Grade answers into rows of the results table: rates with intervals, and position bias.

Nothing here asks a model: scoring again after a change of rules costs seconds.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from music_flamingo.core.record import RecordPart
from music_flamingo.evaluation import rates
from music_flamingo.evaluation.benchmarks.base import Benchmark, BenchmarkItem, Grade, MetricKind, Replies
from music_flamingo.evaluation.paper import published

ALL = "all"
WITHOUT_WRONG = "without items known to be wrong"
MAX_UNJUDGED = 0.05
"""Share of answers whose judge cannot be read above which what is left is no sample of the model's answers."""


class Graded(RecordPart):
    """One item under one condition: what was asked, said and scored. One line of items.jsonl."""

    item_id: str
    condition: str
    audio: list[str]
    question: str
    options: list[str]
    reference: str | None
    answer_index: int | None
    output: str
    problem: str
    parsed: str | None
    chosen_index: int | None
    grades: dict[str, tuple[float, float]]
    """Measure -> (value, weight); a measure that could not be taken here is absent."""
    groups: list[tuple[str, str]]
    cluster: str
    thoughts: str = ""
    finish_reason: str = ""
    known_wrong: str = ""
    """Why the item is known to be wrong; it counts all the same, and a row of its own leaves it out."""


class RateRow(RecordPart):
    """One rate of the results table."""

    benchmark: str
    title: str
    measure: str
    kind: MetricKind
    condition: str
    group: str
    """`all`, or `category: Reasoning`."""
    n: int
    value: float | None
    """In the unit of the benchmark: percent, or points. None where too many answers are unjudged for a figure."""
    low: float | None
    high: float | None
    unparsed: float | None
    """Percent of the outputs that the strict reading took nothing from; None where a judge reads."""
    unjudged: int
    """Answers whose judge could not be read: left out of the rate. Above MAX_UNJUDGED there is no rate."""
    lower_is_better: bool
    paper: float | None = None
    """What the paper reports for the whole benchmark with its audio."""


class Position(RecordPart):
    """How often an option's place is chosen, next to how often it is right."""

    place: int
    right_percent: float
    chosen_percent: float
    accuracy_percent: float | None
    """Of the questions whose right answer stands there."""


@dataclass(frozen=True)
class ItemAnswer:
    """A model's output for one item under one condition, or the problem that prevented it."""

    item: BenchmarkItem
    condition: str
    output: str
    problem: str = ""
    thoughts: str = ""
    finish_reason: str = ""


def grade(benchmark: Benchmark, answered: ItemAnswer, replies: Replies) -> Graded:
    """Grade one answer by every measure of the benchmark."""
    item, output = answered.item, answered.output
    found = {m.name: m.score(item, output, replies) for m in benchmark.measures}
    parsed = benchmark.parse(item, output)
    return Graded(
        item_id=item.id,
        condition=answered.condition,
        audio=list(item.audio),
        question=item.question,
        options=list(item.options),
        reference=item.reference,
        answer_index=item.answer_index,
        output=output,
        problem=answered.problem,
        thoughts=answered.thoughts,
        finish_reason=answered.finish_reason,
        parsed=parsed,
        chosen_index=list(item.options).index(parsed) if parsed in item.options else None,
        grades={name: (g.value, g.weight) for name, g in found.items() if isinstance(g, Grade)},
        groups=list(item.groups),
        cluster=item.cluster,
    )


def grade_all(
    benchmark: Benchmark,
    answered: Iterable[ItemAnswer],
    replies: Mapping[tuple[str, str], Replies],
    known_wrong: Mapping[str, str] | None = None,
) -> list[Graded]:
    """Grade all answers; judges' replies are looked up by condition and item. `known_wrong`: item id -> reason."""
    wrong = known_wrong or {}
    graded = [grade(benchmark, a, replies.get((a.condition, a.item.id), {})) for a in answered]
    return [g.model_copy(update={"known_wrong": wrong[g.item_id]}) if g.item_id in wrong else g for g in graded]


def rows_of(benchmark: Benchmark, graded: Sequence[Graded], resamples: int, seed: int) -> list[RateRow]:
    """Every measure under every condition: all items, then each group of them under the true audio."""
    rows = []
    for condition in dict.fromkeys(g.condition for g in graded):
        mine = [g for g in graded if g.condition == condition]
        for measure in benchmark.measures:
            scored = [g for g in mine if measure.name in g.grades]
            groups = {ALL: scored, **(_by_group(scored) if condition == "audio" else {})}
            rows += [
                row
                for name, members in groups.items()
                if (row := _row(benchmark, measure.name, condition, name, members, resamples, seed)) is not None
            ]
    return rows


def _by_group(graded: Sequence[Graded]) -> dict[str, list[Graded]]:
    groups: dict[str, list[Graded]] = {}
    for g in graded:
        for kind, name in g.groups:
            groups.setdefault(f"{kind}: {name}", []).append(g)
    right = [g for g in graded if not g.known_wrong]
    return ({WITHOUT_WRONG: right} if 0 < len(right) < len(graded) else {}) | dict(sorted(groups.items()))


def _row(
    benchmark: Benchmark, name: str, condition: str, group: str, graded: Sequence[Graded], resamples: int, seed: int
) -> RateRow | None:
    measure = benchmark.measure(name)
    interval = rates.rate_interval(parts_of(graded, name), resamples, seed)
    unjudged = sum(g.grades[name][1] == 0 for g in graded) if benchmark.judges else 0
    if interval is None and not unjudged:
        return None
    has_figure = interval is not None and unjudged <= MAX_UNJUDGED * len(graded)
    ends = (
        [measure.scale * x for x in (interval.value, interval.low, interval.high)] if interval and has_figure else None
    )
    paper = published(benchmark.name, name) if measure.kind != "own" and group == ALL and condition == "audio" else None
    unparsed = None if benchmark.judges else 100 * [g.parsed for g in graded].count(None) / len(graded)
    return RateRow(
        benchmark=benchmark.name,
        title=benchmark.title,
        measure=name,
        kind=measure.kind,
        condition=condition,
        group=group,
        n=len(graded),
        value=ends[0] if ends else None,
        low=ends[1] if ends else None,
        high=ends[2] if ends else None,
        unparsed=unparsed,
        unjudged=unjudged,
        lower_is_better=measure.lower_is_better,
        paper=None if paper is None else paper.value,
    )


def parts_of(graded: Sequence[Graded], measure: str) -> list[rates.WeightedItem]:
    """Weighted numerators and denominators of a measure, with the recording as their cluster."""
    return [rates.WeightedItem(g.cluster, *g.grades[measure]) for g in graded]


def positions(graded: Sequence[Graded]) -> list[Position]:
    """Where right answers stand and which places are chosen, over questions with options under the true audio."""
    asked = [g for g in graded if g.condition == "audio" and g.options and g.answer_index is not None]
    if not asked:
        return []
    found = []
    for place in range(max(len(g.options) for g in asked)):
        here = [g for g in asked if g.answer_index == place]
        right = [g for g in here if g.parsed is not None and g.parsed == g.reference]
        found.append(
            Position(
                place=place,
                right_percent=100 * len(here) / len(asked),
                chosen_percent=100 * sum(g.chosen_index == place for g in asked) / len(asked),
                accuracy_percent=100 * len(right) / len(here) if here else None,
            )
        )
    return found


def position_bias(found: Sequence[Position]) -> float | None:
    """Half the sum of |chosen - right| over places, in points, of the answers that were read; 0 is no bias."""
    chosen = sum(p.chosen_percent for p in found)
    if not chosen:
        return None
    return sum(abs(100 * p.chosen_percent / chosen - p.right_percent) for p in found) / 2


def agreement_when_permuted(graded: Sequence[Graded]) -> float | None:
    """Percent of the questions that get the same answer with their options in another order; None if not asked."""
    first = {g.item_id: g.parsed for g in graded if g.condition == "audio" and len(g.options) > 1}
    again = [g for g in graded if g.condition == "permuted" and g.item_id in first]
    if not again:
        return None
    same = sum(g.parsed is not None and g.parsed == first[g.item_id] for g in again)
    return 100 * same / len(again)
