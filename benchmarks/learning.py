"""How well the default pipeline learns, seed by seed: python benchmarks/learning.py [--seeds 20 21] [--data data]

    python benchmarks/learning.py --set sft.turns=isolated --work build/learning-isolated
    python benchmarks/learning.py --first warmup --exam test

Takes the annotated data of a finished run (tracks, truth, facts, skills, speech) and goes from backbone to evaluation
once for each seed, with the parameters of params.yaml and of --profile. Prints, and writes to benchmarks/results/, the
accuracy on held-out works after SFT, warm-up and GRPO: greedy, and for the models that think also sampled at
temperature 1, next to both controls. Where composite questions are asked (evaluate.thinking), a second table has what
thinking and GRPO are worth on them: paired differences, mean over the seeds, with 95 % intervals that resample works,
and each seed alone. With `--first warmup` all seeds start from the SFT model and the chains of that run, and differ in
what comes after them. With `--exam dev` or `--exam test` the composite questions about that split are asked and nothing
else: dev is for choosing settings. Each seed's folders are kept under --work, so that an interrupted run goes on.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import mean

from published import publish

from music_flamingo import stages
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.params import load_params, merge, stage_json
from music_flamingo.core.ports import Table
from music_flamingo.core.record import read_parquet, write_parquet
from music_flamingo.core.stage import execute
from music_flamingo.evaluation.answering import AnswerJob, answer_job
from music_flamingo.evaluation.intervals import Interval, Mark, mean_difference_interval
from music_flamingo.evaluation.summary import read_evaluation
from music_flamingo.evaluation.thinking import ALL, PAIRS, ThinkingExam, ThinkingResults, ThinkingRow, belongs
from music_flamingo.evaluation.thinking_exam import Asking, score_thinking, thinking_jobs
from music_flamingo.evaluation.thinking_tables import parts_of
from music_flamingo.records import Prediction, Track, Truth
from music_flamingo.scoring.extract import extract_answer, has_full_form
from music_flamingo.scoring.families import COMPOSITES, HeldOutCombinations
from music_flamingo.scoring.normalise import same_answer

ROOT = Path(__file__).resolve().parents[1]
UPSTREAM = ("tracks", "truth", "facts", "skills", "speech")
LEARNING = ("backbone", "sft", "reason", "warmup", "grpo", "evaluate")
SEEDS = (20, 21, 22, 23, 24)
THINKING = ("warmup", "grpo")
ALL_FAMILIES = "mean"
SHOWN = ("direct", "warmup", "longer", "grpo", "joined")


@dataclass(frozen=True)
class Cell:
    """What a column of the table holds for one family and one seed, in percent."""

    column: str
    family: str
    percent: float


def seeded(params: Mapping, seed: int) -> dict:
    """The parameters with one seed for everything from the backbone's weights to GRPO's draws."""
    own = {name: {"seed": seed} for name in ("sft", "reason", "warmup", "grpo")}
    return merge(params, {**own, "backbone": {"seed": seed, "model": {"seed": seed}}})


def learn(params: Mapping, data: Path, work: Path, first: str, last: str) -> None:
    """From the stage `first` to `last` in `work`; what is there already is not done again."""
    work.mkdir(parents=True, exist_ok=True)
    done = LEARNING[: LEARNING.index(first)]
    for port in (*UPSTREAM, *(port for name in done for port in stages.load(name).outputs)):
        link = work / port
        if not link.exists():
            link.symlink_to((data / port).resolve(), target_is_directory=True)
    for name in LEARNING[len(done) : LEARNING.index(last) + 1]:
        stage = stages.load(name)
        inputs, outputs = ({port: work / port for port in ports} for ports in (stage.inputs, stage.outputs))
        execute(stage, stage_json(params, name), inputs, outputs)


def predictions_of(work: Path) -> list[Prediction]:
    """All answers of the evaluate stage."""
    return list(Table(work / "predictions", Prediction, read_manifest(work / "predictions")))


@dataclass(frozen=True)
class Examined:
    """One seed's answers to composite questions, and what they come to."""

    answers: list[Prediction]
    results: ThinkingResults


def examined(work: Path) -> Examined | None:
    """As the stage `evaluate` left it; None where it asked no composite question."""
    results = read_evaluation(work / "scores").thinking
    return results and Examined([p for p in predictions_of(work) if p.family in COMPOSITES], results)


def examine(params: Mapping, work: Path, split: str) -> Examined | None:
    """Put the composite questions about one split to the models in `work`; answers are kept in work/exam-SPLIT."""
    tracks = Table(work / "tracks", Track, read_manifest(work / "tracks"))
    ids = {t.id for t in tracks.ok() if t.split == split}
    truths = [t for t in Table(work / "truth", Truth, read_manifest(work / "truth")).ok() if t.id in ids]
    config = params["evaluate"]
    asking = Asking(config["batch_size"], config["max_new_tokens"], config["seed"])
    roots = {name: work / f"{name}_model" for name in ("sft", *THINKING)}
    exam = ThinkingExam.model_validate_json(json.dumps(config["thinking"]))
    jobs = thinking_jobs(exam, truths, roots, tracks, asking)
    said = [answered(job, work / f"exam-{split}") for job in jobs]
    results = score_thinking(jobs, said, exam, config["resamples"], config["seed"])
    return results and Examined([p for made in said for p in made if p.family in COMPOSITES], results)


def answered(job: AnswerJob, folder: Path) -> list[Prediction]:
    """The answers of one job, read where they were kept."""
    path = folder / f"{job.model}-{job.condition}-{job.drawn}.parquet"
    if not path.exists():
        folder.mkdir(exist_ok=True)
        write_parquet(path, Prediction, answer_job(job))
    return list(read_parquet(path, Prediction))


def thinking_lines(examined: Mapping[int, Examined | None], params: Mapping) -> list[str]:
    """The table of composite questions over all seeds; empty where none were asked."""
    resamples, held_out = params["evaluate"]["resamples"], _held_out(params)
    found = {seed: one for seed, one in examined.items() if one is not None}
    by_seed = {seed: one.answers for seed, one in found.items()}
    asked = {(p.model, p.condition, p.drawn) for made in by_seed.values() for p in made}
    if not asked:
        return []
    some = [p for p in next(iter(by_seed.values())) if (p.model, p.condition, p.drawn) == ("grpo", "audio", "greedy")]
    size = f"{len(some)} questions about {len({p.work_id for p in some})} works"
    lines = [
        "",
        f"Composite questions ({size}), mean over the seeds [95 % interval, resampling works] and each seed:",
        "",
    ]
    rows = [row for one in found.values() for row in one.results.rows]
    families = parts_of(next(iter(found.values())).results)
    lines += ["| difference | greedy | sampled |", "|---|---|---|"]
    for family, (model, minus) in product((ALL, *families), PAIRS):
        counted = {seed: [p for p in made if belongs(p, family, held_out)] for seed, made in by_seed.items()}
        cells = [_difference(counted, model, minus, drawn, resamples) for drawn in ("greedy", "sampled")]
        lines.append(f"| {model} less {minus}{'' if family == ALL else f', {family}'} | {cells[0]} | {cells[1]} |")
    head = ["model", "greedy", *families, "sampled", "whole", "faithful"]
    lines += ["", "| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for model, condition in (*((name, "audio") for name in SHOWN), ("grpo", "shuffled")):
        mine = [row for row in rows if (row.model, row.condition) == (model, condition)]
        if mine:
            title = model if condition == "audio" else f"{model}, other audio"
            lines.append("| " + " | ".join([title, *_means(mine, families)]) + " |")
    return lines


def _held_out(params: Mapping) -> HeldOutCombinations | None:
    given = (params["evaluate"]["thinking"] or {}).get("held_out")
    return given and HeldOutCombinations.model_validate(given)


def _difference(by_seed: Mapping[int, Sequence[Prediction]], model: str, minus: str, drawn: str, resamples: int) -> str:
    """Mean over the seeds, and each where there are several; a dash where one of the two was not asked."""
    pairs = [(_marks(made, model, drawn), _marks(made, minus, drawn)) for made in by_seed.values()]
    if not all(mark for pair in pairs for mark in pair):
        return "-"
    whole = _points(mean_difference_interval(pairs, resamples, 0))
    each = [_points(mean_difference_interval([pair], resamples, 0)) for pair in pairs]
    return whole if len(each) == 1 else f"{whole}; {', '.join(each)}"


def _marks(made: Sequence[Prediction], model: str, drawn: str) -> list[Mark]:
    mine = [p for p in made if (p.model, p.condition, p.drawn) == (model, "audio", drawn)]
    return [Mark(p.work_id, p.family, p.reference, p.correct) for p in mine]


def _points(found: Interval) -> str:
    return f"{100 * found.value:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"


def _means(rows: Sequence[ThinkingRow], families: Sequence[str]) -> list[str]:
    """Percent: all, each family, all sampled, whole and faithful chains; a dash for what was not asked."""
    greedy = [row for row in rows if row.drawn == "greedy"]
    whole = [row for row in greedy if row.family == ALL]
    by_family = [[row.accuracy for row in greedy if row.family == name] for name in families]
    sampled = [row.accuracy for row in rows if row.drawn == "sampled" and row.family == ALL]
    shares = [[value for row in whole if (value := getattr(row, name)) is not None] for name in ("whole", "faithful")]
    numbers = [[row.accuracy for row in whole], *by_family, sampled, *shares]
    return [f"{100 * mean(values):.1f}" if values else "-" for values in numbers]


def greedy_cells(work: Path) -> list[Cell]:
    """From the predictions of the evaluate stage: accuracy by family and condition, and how many keep the form."""
    cells = []
    single = [p for p in predictions_of(work) if p.family not in COMPOSITES]
    for model in ("sft", *THINKING):
        for condition in ("audio", "shuffled", "none"):
            mine = [p for p in single if p.model == model and p.condition == condition]
            cells += _by_family(f"{model} {condition}", [(p.family, p.correct) for p in mine])
        heard = [p for p in single if p.model == model and p.condition == "audio"]
        if model in THINKING:
            cells.append(Cell(f"{model} form", ALL_FAMILIES, 100 * mean(has_full_form(p.output) for p in heard)))
    return cells


def sampled_cells(params: Mapping, work: Path, seed: int) -> list[Cell]:
    """Accuracy of answers drawn at temperature 1, by the models that think."""
    from music_flamingo.audio.flac import decode_flac
    from music_flamingo.evaluation.items import choose_items
    from music_flamingo.model.listener import Ask, Listener

    tracks = {t.id: t for t in Table(work / "tracks", Track, read_manifest(work / "tracks")).ok() if t.split == "test"}
    truths = [t for t in Table(work / "truth", Truth, read_manifest(work / "truth")).ok() if t.id in tracks]
    config = params["evaluate"]
    items = choose_items(truths, config["families"], config["per_family"], config["seed"])
    heard = {t: decode_flac(tracks[t].audio.bytes) for t in {item.track_id for item in items}}
    asks = [Ask(heard[item.track_id], item.question, item.options, think=True) for item in items]
    cells = []
    for model in THINKING:
        said = Listener.load(work / f"{model}_model").answer(
            asks,
            max_new_tokens=config["max_new_tokens"],
            batch_size=config["batch_size"],
            temperature=1.0,
            seed=seed,
        )
        rights = [
            same_answer(extract_answer(h.text) or "", item.reference) for h, item in zip(said, items, strict=True)
        ]
        cells += _by_family(f"{model} sampled", [(i.family, r) for i, r in zip(items, rights, strict=True)])
        cells.append(Cell(f"{model} sampled form", ALL_FAMILIES, 100 * mean(has_full_form(h.text) for h in said)))
    return cells


def _by_family(column: str, answers: Sequence[tuple[str, bool]]) -> list[Cell]:
    families = sorted({family for family, _ in answers})
    cells = [Cell(column, f, 100 * mean(right for family, right in answers if family == f)) for f in families]
    return [*cells, Cell(column, ALL_FAMILIES, mean(cell.percent for cell in cells))]


COLUMNS = (
    *("sft audio", "sft shuffled", "sft none"),
    *("warmup audio", "warmup sampled", "grpo audio", "grpo sampled", "grpo shuffled", "grpo none"),
)


def table(cells: Mapping[int, Sequence[Cell]]) -> str:
    """Mean over the seeds, and each seed in brackets."""
    families = sorted({c.family for found in cells.values() for c in found} - {ALL_FAMILIES})
    lines = ["| family | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for family in (*families, ALL_FAMILIES):
        row = [_entry(cells, column, family) for column in COLUMNS]
        lines.append(f"| {family} | " + " | ".join(row) + " |")
    forms = ("warmup form", "warmup sampled form", "grpo form", "grpo sampled form")
    lines += [
        "",
        "Answers in the full form: " + ", ".join(f"{f} {_entry(cells, f, ALL_FAMILIES)}" for f in forms) + ".",
    ]
    return "\n".join(lines)


def _entry(cells: Mapping[int, Sequence[Cell]], column: str, family: str) -> str:
    found = [c.percent for mine in cells.values() for c in mine if (c.column, c.family) == (column, family)]
    return f"{mean(found):.0f} ({', '.join(f'{value:.0f}' for value in found)})" if found else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--data", type=Path, default=ROOT / "data")
    parser.add_argument("--first", choices=LEARNING, default=LEARNING[0], help="the first stage that each seed runs")
    parser.add_argument("--exam", choices=("all", "dev", "test"), default="all")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "learning")
    parser.add_argument("--params", type=Path, default=ROOT / "params.yaml")
    parser.add_argument("--profile", type=Path, default=None, help="a file that is laid over the parameters")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="STAGE.NAME=VALUE")
    options = parser.parse_args()
    overlays = (options.profile,) if options.profile else ()
    params = load_params(options.params, overlays, tuple(options.settings))
    works = {seed: options.work / str(seed) for seed in options.seeds}
    seed_names = ", ".join(f"seed {seed}" for seed in works)
    last = LEARNING[-1] if options.exam == "all" else "grpo"
    for seed, work in works.items():
        learn(seeded(params, seed), options.data, work, options.first, last)
    if options.exam != "all":
        thinking = {seed: examine(seeded(params, seed), work, options.exam) for seed, work in works.items()}
        lead = f"Accuracy (%) on works of the split `{options.exam}` against the scores' truth: {seed_names}."
        publish("learning", "Thinking and GRPO", [lead, *thinking_lines(thinking, params)])
        return
    cells = {seed: greedy_cells(work) + sampled_cells(params, work, seed) for seed, work in works.items()}
    lead = f"Accuracy (%) on held-out works against the scores' truth: mean ({seed_names})."
    lines = thinking_lines({seed: examined(work) for seed, work in works.items()}, params)
    publish("learning", "Learning to hear", [lead, "", *table(cells).splitlines(), *lines])


if __name__ == "__main__":
    main()
