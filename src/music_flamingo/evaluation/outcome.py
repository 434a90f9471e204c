"""Files of an evaluation: run.json (settings), items.jsonl, results.json, results.md."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from music_flamingo.core.errors import MissingInputError
from music_flamingo.core.lines import lines_of
from music_flamingo.core.record import RecordPart
from music_flamingo.core.shards import write_atomic
from music_flamingo.evaluation import rates
from music_flamingo.evaluation.benchmarks.base import Benchmark
from music_flamingo.evaluation.grading import (
    ALL,
    MAX_UNJUDGED,
    Graded,
    Position,
    RateRow,
    agreement_when_permuted,
    parts_of,
    position_bias,
    positions,
    rows_of,
)
from music_flamingo.evaluation.recordings import TITLES, Condition

RUN, ITEMS, RESULTS, TABLE = "run.json", "items.jsonl", "results.json", "results.md"


class EvaluationRun(RecordPart):
    """Everything that the numbers depend on, printed with them."""

    benchmark: str
    model: str
    model_digest: str
    think: bool
    max_new_tokens: int
    conditions: list[Condition]
    seed: int
    resamples: int
    limit: int | None
    """Only the first items were asked about: a trial and no result."""
    num_items: int
    published_counts: list[int]
    num_without_recording: int
    """Items left out because their recording is missing."""
    broken_recordings: dict[str, str] = Field(default_factory=dict)
    """Recordings that cannot be decoded, with the problem: their items were asked under no condition."""
    prompts: dict[str, str]
    """Prompt id -> SHA-256."""
    judge: str = ""
    judge_digest: str = ""
    embedder: str = ""
    embedder_digest: str = ""
    contamination: str = "not checked (none was named)"
    package_version: str
    question_files: dict[str, str] = Field(default_factory=dict)
    """SHA-256 of each question file."""
    questions_version: str = ""
    """The published version that they are, in words."""
    prompt_template: str = ""
    """The template that stood in place of the benchmark's prompt; empty: its own."""
    system: str = ""
    temperature: float = 0.0
    top_p: float = 1.0
    predictions: str = ""
    """The file of predictions that were made elsewhere; empty: the model was asked here."""
    num_without_prediction: int = 0
    """Items that such a file says nothing about: they count as unanswered."""


class ControlDifference(RecordPart):
    """A measure with the true audio less the same under a control, the same items paired."""

    measure: str
    control: Condition
    value: float
    low: float
    high: float


class Outcome(RecordPart):
    """Result of one evaluation: rates, differences from the controls, and position bias."""

    run: EvaluationRun
    rows: list[RateRow]
    controls: list[ControlDifference]
    positions: list[Position]
    position_bias: float | None
    agreement_when_permuted: float | None
    num_unheard: int
    """Recordings that could not be heard: they count as unparsed."""
    num_cut: int = 0
    """Answers that ended at the limit of new tokens (`finish_reason` length)."""
    rules: dict[str, str] = Field(default_factory=dict)
    """Score -> its rule in words."""
    prompt_shown: str = ""
    """The prompt of the first item, as it was put."""
    known_wrong: dict[str, str] = Field(default_factory=dict)
    """Item id -> why it is known to be wrong; those items are in every score but the row that leaves them out."""

    def headline(self, measure: str) -> RateRow | None:
        """The whole benchmark with its audio."""
        return next((r for r in self.rows if r.measure == measure and r.condition == "audio" and r.group == ALL), None)


def outcome_of(benchmark: Benchmark, run: EvaluationRun, graded: Sequence[Graded], prompt_shown: str = "") -> Outcome:
    """Compute rates, controls and position bias of graded answers."""
    placed = positions(graded)
    return Outcome(
        run=run,
        rows=rows_of(benchmark, graded, run.resamples, run.seed),
        controls=_controls(benchmark, run, graded),
        positions=placed,
        position_bias=position_bias(placed),
        agreement_when_permuted=agreement_when_permuted(graded),
        num_unheard=sum(bool(g.problem) for g in graded if g.condition == "audio"),
        num_cut=sum(g.finish_reason == "length" for g in graded if g.condition == "audio"),
        rules={m.name: m.rule for m in benchmark.measures},
        prompt_shown=prompt_shown,
        known_wrong={g.item_id: g.known_wrong for g in graded if g.condition == "audio" and g.known_wrong},
    )


def _controls(benchmark: Benchmark, run: EvaluationRun, graded: Sequence[Graded]) -> list[ControlDifference]:
    differences = []
    for measure in benchmark.measures:
        by_condition = {c: {g.item_id: g for g in graded if g.condition == c and measure.name in g.grades}
                        for c in run.conditions}  # fmt: skip
        heard = by_condition.get("audio", {})
        for control in run.conditions:
            ids = [i for i in heard if control != "audio" and i in by_condition[control]]
            pair = ([heard[i] for i in ids], [by_condition[control][i] for i in ids])
            ours, theirs = (parts_of(graded_items, measure.name) for graded_items in pair)
            unread = max((sum(p.weight == 0 for p in parts) for parts in (ours, theirs)), default=0)
            too_many = bool(benchmark.judges) and unread > MAX_UNJUDGED * len(ids)
            found = rates.paired_interval(ours, theirs, run.resamples, run.seed) if ids and not too_many else None
            if found is not None:
                low, value, high = (measure.scale * x for x in (found.low, found.value, found.high))
                differences.append(
                    ControlDifference(measure=measure.name, control=control, value=value, low=low, high=high)
                )
    return differences


# --- files ------------------------------------------------------------------------------------------------------------


def write_outcome(folder: Path, outcome: Outcome, graded: Sequence[Graded]) -> None:
    """Write items.jsonl, results.json and results.md into the folder."""
    write_atomic(folder / ITEMS, "".join(g.model_dump_json() + "\n" for g in graded))
    write_atomic(folder / RESULTS, outcome.model_dump_json(indent=1) + "\n")
    write_atomic(folder / TABLE, outcome_markdown(outcome))


def read_run(folder: Path) -> EvaluationRun:
    """Read run.json; MissingInputError where nothing was evaluated."""
    path = folder / RUN
    if not path.is_file():
        raise MissingInputError(f"{folder} holds no {RUN}: nothing was evaluated there yet.")
    return EvaluationRun.model_validate_json(path.read_text())


def read_outcome(folder: Path) -> Outcome:
    """Read results.json; MissingInputError where it is missing."""
    path = folder / RESULTS
    if not path.is_file():
        raise MissingInputError(f"{folder} holds no {RESULTS}: evaluate there first.")
    return Outcome.model_validate_json(path.read_text())


def read_items(folder: Path) -> list[Graded]:
    """Read items.jsonl; MissingInputError where it is missing."""
    path = folder / ITEMS
    if not path.is_file():
        raise MissingInputError(f"{folder} holds no {ITEMS}: evaluate there first.")
    return [Graded.model_validate_json(line) for line in lines_of(path.read_text(encoding="utf-8"))]


def outcomes_below(folder: Path) -> list[Outcome]:
    """Of every benchmark evaluated into a folder, by name."""
    return [read_outcome(path.parent) for path in sorted(folder.glob(f"*/{RESULTS}"))]


# --- tables -----------------------------------------------------------------------------------------------------------


def table_markdown(outcomes: Sequence[Outcome]) -> str:
    """One table over benchmarks: a line for each measure, next to the controls and the paper."""
    lines = [
        "| benchmark | model | score | n | value [95 %] | unparsed % | unjudged | cut | no audio | noise | shuffled "
        "| paper | less paper |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for outcome in outcomes:
        for row in (r for r in outcome.rows if r.group == ALL and r.condition == "audio"):
            controls = {r.condition: r.value for r in outcome.rows if r.group == ALL and r.measure == row.measure}
            cells = [_or_dash(controls.get(name)) for name in ("none", "noise", "shuffled")]
            trial = " (trial)" if outcome.run.limit is not None else ""
            lines.append(
                f"| {row.title}{trial} | {outcome.run.model} | {row.measure} | {row.n} | {_value(row)} | "
                f"{_or_dash(row.unparsed)} | {unjudged_of(row)} | {outcome.num_cut or '-'} | "
                f"{' | '.join(cells)} | {_or_dash(row.paper, 2)} | {_against_paper(row)} |"
            )
    return "\n".join(lines) + "\n"


def outcome_markdown(outcome: Outcome) -> str:
    """Format the outcome as Markdown: table, run and controls."""
    run = outcome.run
    lines = [
        f"# {outcome.rows[0].title if outcome.rows else run.benchmark}: {run.model}",
        "",
        table_markdown([outcome]),
        *_facts_of(outcome),
        "",
        "## Against the controls",
        "",
        *(
            f"- {d.measure}, audio less {TITLES[d.control]}: {d.value:+.1f} [{d.low:+.1f}, {d.high:+.1f}]"
            for d in outcome.controls
        ),
        "",
        f"## By group ({run.model})",
        "",
        "| group | score | n | value [95 %] | unparsed % | unjudged |",
        "|---|---|---:|---:|---:|---:|",
        *(
            f"| {r.group} | {r.measure} | {r.n} | {_value(r)} | {_or_dash(r.unparsed)} | {unjudged_of(r)} |"
            for r in outcome.rows
            if r.condition == "audio" and r.group != ALL
        ),
        "",
    ]
    return "\n".join(lines)


def _facts_of(outcome: Outcome) -> list[str]:
    run = outcome.run
    counts = " or ".join(map(str, run.published_counts)) or "not published"
    facts = [
        f"- model {run.model}, digest `{run.model_digest[:16]}`, think {run.think}, {run.max_new_tokens} new tokens",
        f"- items {run.num_items} (published: {counts}), without recording {run.num_without_recording}, "
        f"broken recordings {len(run.broken_recordings)}, unheard {outcome.num_unheard}, "
        f"answers cut at the limit of new tokens {outcome.num_cut}",
        f"- prompts {', '.join(f'`{name}` {sha[:12]}' for name, sha in run.prompts.items())}; seed {run.seed}",
        f"- {asked_of(run)}; package {run.package_version}",
        f"- questions: {files_of(run)}",
        *(f"- `{name}`: {rule}" for name, rule in outcome.rules.items()),
        f"- judge {run.judge or 'none'}{_short(run.judge_digest)}; embeddings {run.embedder or 'none'}"
        f"{_short(run.embedder_digest)}",
        f"- training data: {run.contamination}",
    ]
    if outcome.known_wrong:
        facts.append(
            f"- {len(outcome.known_wrong)} items are known to be wrong: they count, and a row by group leaves them out"
        )
    if outcome.position_bias is not None:
        told = "; ".join(f"{'ABCDEFGHIJKL'[p.place]} chosen {p.chosen_percent:.0f}, right {p.right_percent:.0f}"
                         for p in outcome.positions[:12])  # fmt: skip
        facts.append(f"- position bias {outcome.position_bias:.1f} points ({told})")
    if outcome.agreement_when_permuted is not None:
        facts.append(f"- same answer with the options in another order: {outcome.agreement_when_permuted:.1f} %")
    return facts


def asked_of(run: EvaluationRun) -> str:
    """How it was asked, in words: sampling, system text, template; or where predictions came from."""
    if run.predictions:
        return f"predictions made elsewhere: {run.predictions}, {run.num_without_prediction} items without one"
    own = "the benchmark's own prompt" if not run.prompt_template else "a template of the user's"
    top_p = "" if run.top_p == 1 else f", top-p {run.top_p:g}"
    return f"{own}, {'with' if run.system else 'without'} system text, temperature {run.temperature:g}{top_p}"


def files_of(run: EvaluationRun) -> str:
    """Question files with their digests, and the published version that they are."""
    named = ", ".join(f"{name} `{digest[:12]}`" for name, digest in list(run.question_files.items())[:4])
    more = len(run.question_files) - 4
    return (
        f"{named or 'none'}{f' and {more} more' if more > 0 else ''} ({run.questions_version or 'version not known'})"
    )


def _short(digest: str) -> str:
    return f" `{digest[:12]}`" if digest else ""


def _value(row: RateRow) -> str:
    if row.value is None:
        return f"no figure: {unjudged_of(row)} unjudged"
    return f"{row.value:.1f} [{row.low:.1f}, {row.high:.1f}]"


def unjudged_of(row: RateRow) -> str:
    """`12 of 300`, or a dash where no judge reads, or every reply was read."""
    return f"{row.unjudged} of {row.n}" if row.unjudged else "-"


def _against_paper(row: RateRow) -> str:
    if row.paper is None or row.value is None or row.low is None or row.high is None:
        return "-"
    return f"{row.value - row.paper:+.1f} [{row.low - row.paper:+.1f}, {row.high - row.paper:+.1f}]"


def _or_dash(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
