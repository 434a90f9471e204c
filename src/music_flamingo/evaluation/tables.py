"""The results table: families by models, with the controls of each model.

A cell reads `72 [64, 80]`: balanced accuracy in percent and its 95 % interval. `all` is the mean over the families
above it; captions, judged category by category, stand below it.
"""

from collections.abc import Mapping, Sequence

from music_flamingo.evaluation.summary import ALL, CONDITIONS, Difference
from music_flamingo.records import Score
from music_flamingo.records.prediction import Condition
from music_flamingo.scoring.families import SHORT_CAPTION

MODEL_TITLES = {"sft": "SFT", "warmup": "warm-up", "grpo": "GRPO"}
CONDITION_TITLES: dict[Condition, str] = {
    "audio": "audio",
    "shuffled": "other audio",
    "noise": "noise",
    "none": "silence",
}


def markdown_table(scores: Sequence[Score], chance: Mapping[str, float]) -> str:
    """All scores as one Markdown table; a line says so when there are none."""
    if not scores:
        return "No scores: there was no truth to ask against.\n"
    cells = {(s.model, s.condition, s.family): s for s in scores}
    asked = {(s.model, s.condition) for s in scores}
    columns = [(m, c) for m in dict.fromkeys(s.model for s in scores) for c in CONDITIONS if (m, c) in asked]
    titles = [_title(model, condition) for model, condition in columns]
    lines = ["| " + " | ".join(["questions", "n (works)", "chance", *titles]) + " |"]
    lines.append("|" + " --- |" + " ---: |" * (len(columns) + 2))
    for family in _families(scores):
        row = [cells[model, condition, family] for model, condition in columns]
        count = f"{row[0].num_items} ({row[0].num_works})"
        fields = [family, count, f"{100 * chance[family]:.0f}", *map(cell, row)]
        lines.append("| " + " | ".join(fields) + " |")
    return "\n".join(lines) + "\n"


def cell(score: Score) -> str:
    """Format an accuracy with its interval, in percent."""
    return f"{100 * score.accuracy:.0f} [{100 * score.low:.0f}, {100 * score.high:.0f}]"


def difference_lines(differences: Sequence[Difference], model: str, family: str = ALL) -> list[str]:
    """`GRPO less silence: +38 points [31, 44]`, for one model and family."""
    return [
        f"{MODEL_TITLES.get(d.model, d.model)} less {_other(d)}: {100 * d.difference:+.0f} points "
        f"[{100 * d.low:+.0f}, {100 * d.high:+.0f}]"
        for d in differences
        if d.model == model and d.family == family
    ]


def _families(scores: Sequence[Score]) -> list[str]:
    names = dict.fromkeys(s.family for s in scores)
    return sorted(names, key=lambda name: (name == SHORT_CAPTION, name == ALL))


def _title(model: str, condition: Condition) -> str:
    title = CONDITION_TITLES[condition]
    return f"**{MODEL_TITLES.get(model, model)}**" if condition == "audio" else title


def _other(d: Difference) -> str:
    if d.minus_model == d.model:
        return CONDITION_TITLES[d.minus_condition]
    return MODEL_TITLES.get(d.minus_model, d.minus_model)
