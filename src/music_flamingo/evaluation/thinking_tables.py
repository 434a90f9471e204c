"""The table and the sentences about thinking and GRPO: for the log, the card and the report."""

from collections.abc import Sequence
from dataclasses import dataclass

from music_flamingo.evaluation.thinking import (
    ALL,
    HELD_OUT,
    TAUGHT,
    ThinkingDifference,
    ThinkingResults,
    ThinkingRow,
)
from music_flamingo.scoring.families import COMPOSITES

TITLES = {
    "direct": "direct answers (control)",
    "warmup": "warm-up: thinks aloud",
    "longer": "warm-up continued (control)",
    "grpo": "GRPO",
    "joined": "ceiling: single answers joined by logic",
}
"""In the order of the table."""
SHORT = {"direct": "direct answers", "warmup": "warm-up", "longer": "the warm-up continued", "grpo": "GRPO"}
QUESTIONS = {
    ("warmup", "direct"): ("Does thinking pay?", "Thinking (warm-up) less direct answers, trained as long"),
    ("grpo", "direct"): ("And after GRPO?", "Thinking after GRPO less direct answers"),
    ("grpo", "warmup"): ("Does GRPO pay?", "GRPO less the warm-up that it starts from"),
    ("grpo", "longer"): ("More than further training?", "GRPO less the warm-up continued for as long"),
    ("longer", "warmup"): ("And further training alone?", "The warm-up continued less the warm-up"),
}
"""(model, what it is held against) -> (question, which difference answers it)."""
PARTS = {TAUGHT: "Taught together", HELD_OUT: "Never taught together"} | {
    name: composite.title for name, composite in COMPOSITES.items()
}
"""What is scored apart from the whole, in the order of the table: halves by what training asks together, and kinds."""
PUT_TOGETHER = "And of parts never taught together?"
INTRODUCTION = (
    "Balanced accuracy in percent [95 % interval, resampling works] on questions whose answer follows from two or "
    "three things that must be heard. Never taught together: no training question names these parts together, so that "
    "the answer is put together and not known by heart. Whole: chains that check every part; faithful: answers that "
    "follow from their own chain. Settings are chosen on other pieces (dev) alone; these are for looking at once."
)


def rows_of(results: ThinkingResults, family: str = ALL) -> list[tuple[str, ThinkingRow, ThinkingRow | None]]:
    """(title, greedy row, sampled row or None) of each model with the true audio, in the order of the table; the
    released model with other audio comes last."""
    found = {(row.model, row.condition, row.drawn): row for row in results.rows if row.family == family}
    rows = [
        (title, found[model, "audio", "greedy"], found.get((model, "audio", "sampled")))
        for model, title in TITLES.items()
        if (model, "audio", "greedy") in found
    ]
    rows += [
        (f"{TITLES[model]}, other audio", row, None)
        for (model, condition, _), row in found.items()
        if condition == "shuffled"
    ]
    return rows


def parts_of(results: ThinkingResults) -> list[str]:
    """What is scored apart from the whole: both halves where combinations are held out, and the kinds of question."""
    asked = {row.family for row in results.rows}
    return [name for name in PARTS if name in asked]


def thinking_table(results: ThinkingResults) -> str:
    """The results as a Markdown table, then a line for each difference."""
    names = parts_of(results)
    by_name = {(row.model, row.condition, row.drawn, row.family): row for row in results.rows}
    first = rows_of(results)[0][1]
    titles = [PARTS[name].lower() for name in names]
    lines = [
        f"Composite questions: {first.num_items} about {first.num_works} works.",
        "",
        "| model | all, greedy | " + " | ".join([*titles, "all, sampled", "whole", "faithful"]) + " |",
        "| --- |" + " ---: |" * (len(names) + 4),
    ]
    for title, greedy, sampled in rows_of(results):
        cells = [percent(by_name[greedy.model, greedy.condition, "greedy", name].accuracy) for name in names]
        fields = [title, with_interval(greedy), *cells, with_interval(sampled) if sampled else "-"]
        lines.append("| " + " | ".join([*fields, percent(greedy.whole), percent(greedy.faithful)]) + " |")
    sentences = [*difference_sentences(results.differences), *sentences_by_kind(results.differences)]
    return "\n".join([*lines, "", *(f"- {line}" for line in sentences), ""])


def difference_sentences(differences: Sequence[ThinkingDifference]) -> list[str]:
    """`Does GRPO pay? GRPO less ...: +1.6 points [+0.7, +2.5], clearly better (greedy); ...`, one a pair."""
    return [
        f"{question} {compared}: " + "; ".join(f"{points(d)}, {verdict(d)} ({d.drawn})" for d in mine) + "."
        for question, compared, mine in _asked_of(differences)
    ]


def _asked_of(differences: Sequence[ThinkingDifference]) -> list[tuple[str, str, list[ThinkingDifference]]]:
    """(question, which difference answers it, that difference greedy and sampled) of each pair that was examined; that
    of thinking once more for what was never taught together."""
    found = []
    for pair, (question, compared) in QUESTIONS.items():
        for name in (ALL, HELD_OUT) if pair[1] == "direct" else (ALL,):
            mine = [d for d in differences if (d.model, d.minus_model, d.family) == (*pair, name)]
            if mine:
                found.append((question if name == ALL else PUT_TOGETHER, compared, mine))
    return found


def sentences_by_kind(differences: Sequence[ThinkingDifference]) -> list[str]:
    """`One but not both, greedy: thinking ... +6.3 points [...], clearly better; GRPO ...`, one a half or kind."""
    sentences = []
    for name, title in PARTS.items():
        mine = [d for d in differences if d.family == name and d.drawn == "greedy"]
        said = [f"{SHORT[d.model]} less {SHORT[d.minus_model]} {points(d)}, {verdict(d)}" for d in mine]
        if said:
            sentences.append(f"{title}, greedy: {'; '.join(said)}.")
    return sentences


def verdict(difference: ThinkingDifference) -> str:
    """What the interval says: it lies above 0, below, or holds it."""
    if difference.low > 0:
        return "clearly better"
    return "clearly worse" if difference.high < 0 else "no clear difference"


def points(difference: ThinkingDifference) -> str:
    """`+1.6 points [+0.7, +2.5]`."""
    value, low, high = (100 * v for v in (difference.difference, difference.low, difference.high))
    return f"{value:+.1f} points [{low:+.1f}, {high:+.1f}]"


def with_interval(row: ThinkingRow) -> str:
    """`77 [75, 79]`."""
    return f"{100 * row.accuracy:.1f} [{100 * row.low:.1f}, {100 * row.high:.1f}]"


def percent(value: float | None) -> str:
    """A share in percent; a dash for None."""
    return "-" if value is None else f"{100 * value:.0f}"


def headline(results: ThinkingResults) -> dict[str, float]:
    """Percent of each model, greedy, over all composite families: for the stage's metrics."""
    return {row.model: round(100 * row.accuracy, 1) for _, row, _ in rows_of(results) if row.condition == "audio"}


@dataclass(frozen=True)
class ThinkingLine:
    """A line of the report's table, in words."""

    title: str
    greedy: str
    by_part: tuple[str, ...]
    sampled: str
    whole: str
    faithful: str


@dataclass(frozen=True)
class ThinkingAnswer:
    """A question about thinking or GRPO, and the difference that answers it, greedy and sampled."""

    question: str
    compared: str
    differences: tuple[ThinkingDifference, ...]


@dataclass(frozen=True)
class ThinkingPage:
    """What the report shows of the exam of composite questions."""

    introduction: str
    num_items: int
    num_works: int
    parts: tuple[str, ...]
    """Titles of what is scored apart from the whole: the columns between all, greedy and all, sampled."""
    lines: tuple[ThinkingLine, ...]
    answers: tuple[ThinkingAnswer, ...]
    by_kind: tuple[str, ...]
    """A sentence for each half and kind of question."""
    kinds: tuple[tuple[str, str], ...]
    """(title, wording) of each kind of question."""


def page_of(results: ThinkingResults) -> ThinkingPage:
    """The exam in words, for the report."""
    names = parts_of(results)
    by_name = {(row.model, row.condition, row.drawn, row.family): row for row in results.rows}
    rows = rows_of(results)
    lines = [
        ThinkingLine(
            title=title,
            greedy=with_interval(greedy),
            by_part=tuple(percent(by_name[greedy.model, greedy.condition, "greedy", name].accuracy) for name in names),
            sampled=with_interval(sampled) if sampled else "-",
            whole=percent(greedy.whole),
            faithful=percent(greedy.faithful),
        )
        for title, greedy, sampled in rows
    ]
    return ThinkingPage(
        introduction=INTRODUCTION,
        num_items=rows[0][1].num_items,
        num_works=rows[0][1].num_works,
        parts=tuple(PARTS[name] for name in names),
        lines=tuple(lines),
        answers=tuple(ThinkingAnswer(q, compared, tuple(d)) for q, compared, d in _asked_of(results.differences)),
        by_kind=tuple(sentences_by_kind(results.differences)),
        kinds=tuple((COMPOSITES[name].title, COMPOSITES[name].question) for name in names if name in COMPOSITES),
    )
