"""`mf compare`: paired difference of two models on one benchmark, with a 95 % interval for each measure."""

from pathlib import Path

from music_flamingo.core.errors import UserError
from music_flamingo.core.record import RecordPart
from music_flamingo.evaluation import rates
from music_flamingo.evaluation.benchmarks import find
from music_flamingo.evaluation.grading import parts_of
from music_flamingo.evaluation.outcome import RESULTS, EvaluationRun, read_items, read_run


class Comparison(RecordPart):
    """Paired difference of two models in one measure, with its 95 % interval and a verdict."""

    benchmark: str
    measure: str
    n: int
    """Items that both were asked."""
    first: str
    second: str
    value: float
    """The second less the first, in the benchmark's unit."""
    low: float
    high: float
    verdict: str


def compare(first: Path, second: Path, allow_unlike: bool = False) -> list[Comparison]:
    """Every benchmark that both folders hold (a folder of one benchmark, or of several).

    Raises UserError when they have none in common, and when the runs differ in more than the model, unless allowed.
    """
    pairs = _pairs(first, second)
    if not pairs:
        raise UserError(f"{first} and {second} share no evaluated benchmark: run `mf evaluate` with both models.")
    return [row for a, b in pairs for row in _compare(a, b, allow_unlike)]


def _pairs(first: Path, second: Path) -> list[tuple[Path, Path]]:
    if (first / RESULTS).is_file() and (second / RESULTS).is_file() and not list(first.glob(f"*/{RESULTS}")):
        return [(first, second)]
    names = [path.parent.name for path in sorted(first.glob(f"*/{RESULTS}"))]
    return [(first / name, second / name) for name in names if (second / name / RESULTS).is_file()]


def unlike(first: EvaluationRun, second: EvaluationRun) -> list[str]:
    """What two runs of one benchmark differ in besides the model, in words."""
    names = ("prompts", "prompt_template", "system", "temperature", "top_p", "question_files",
             "limit", "num_items", "num_without_recording", "seed", "judge", "judge_digest", "embedder",
             "embedder_digest", "package_version")  # fmt: skip
    pairs = [(name, getattr(first, name), getattr(second, name)) for name in names]
    return [f"{name} {_short(a)} and {_short(b)}" for name, a, b in pairs if a != b]


def _short(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {str(sha)[:8]}" for name, sha in value.items())
    return str(value)[:16] or "none"


def _compare(first: Path, second: Path, allow_unlike: bool) -> list[Comparison]:
    runs = read_run(first), read_run(second)
    if runs[0].benchmark != runs[1].benchmark:
        raise UserError(f"{first} is {runs[0].benchmark}, {second} is {runs[1].benchmark}: compare one benchmark.")
    differences = unlike(*runs)
    if differences and not allow_unlike:
        raise UserError(
            f"{first} and {second} differ in more than the model: {'; '.join(differences)}. Evaluate both alike, or "
            "compare them nevertheless with --unlike."
        )
    benchmark = find(runs[0].benchmark)
    items = [{g.item_id: g for g in read_items(folder) if g.condition == "audio"} for folder in (first, second)]
    compared = []
    for measure in benchmark.measures:
        ids = [i for i, g in items[0].items() if measure.name in g.grades and i in items[1]]
        ids = [i for i in ids if measure.name in items[1][i].grades]
        a, b = (parts_of([by_id[i] for i in ids], measure.name) for by_id in items)
        found = rates.paired_interval(b, a, runs[0].resamples, runs[0].seed) if ids else None
        if found is not None:
            low, value, high = (measure.scale * x for x in (found.low, found.value, found.high))
            names = [f"{r.model} ({r.model_digest[:8]})" for r in runs]
            better = _verdict(low, high, measure.lower_is_better)
            compared.append(
                Comparison(
                    benchmark=benchmark.name,
                    measure=measure.name,
                    n=len(ids),
                    first=names[0],
                    second=names[1],
                    value=value,
                    low=low,
                    high=high,
                    verdict=better,
                )
            )
    return compared


def _verdict(low: float, high: float, lower_is_better: bool) -> str:
    if low <= 0 <= high:
        return "no clear difference"
    return "second better" if (low > 0) != lower_is_better else "first better"


def comparison_markdown(rows: list[Comparison]) -> str:
    """Format comparisons as a Markdown table."""
    lines = ["| benchmark | score | n | second less first [95 %] | |", "|---|---|---:|---:|---|"]
    lines += [
        f"| {r.benchmark} | {r.measure} | {r.n} | {r.value:+.1f} [{r.low:+.1f}, {r.high:+.1f}] | {r.verdict} |"
        for r in rows
    ]
    return f"first: {rows[0].first}\nsecond: {rows[0].second}\n\n" + "\n".join(lines) + "\n"
