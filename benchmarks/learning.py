"""How well the default pipeline learns, seed by seed: python benchmarks/learning.py [--seeds 20 21 22] [--data data]

    python benchmarks/learning.py --set sft.turns=isolated --work build/learning-isolated

Takes the annotated data of a finished run (tracks, truth, facts, skills, speech) and goes from backbone to evaluation
once for each seed, with the parameters of params.yaml. Prints, and writes to benchmarks/results/, the accuracy on
held-out works after SFT, warm-up and GRPO: greedy, and for the models that think also sampled at temperature 1, next
to both controls. Each seed's folders are kept under --work, so that an interrupted run goes on.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from published import publish

from music_flamingo import stages
from music_flamingo.core.manifest import read_manifest
from music_flamingo.core.params import load_params, merge, stage_json
from music_flamingo.core.ports import Table
from music_flamingo.core.stage import execute
from music_flamingo.records import Prediction, Track, Truth
from music_flamingo.scoring.extract import extract_answer, has_full_form
from music_flamingo.scoring.normalise import same_answer

ROOT = Path(__file__).resolve().parents[1]
UPSTREAM = ("tracks", "truth", "facts", "skills", "speech")
LEARNING = ("backbone", "sft", "reason", "warmup", "grpo", "evaluate")
SEEDS = (20, 21, 22)
THINKING = ("warmup", "grpo")
ALL_FAMILIES = "mean"


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


def learn(params: Mapping, data: Path, work: Path) -> None:
    """From backbone to evaluation in `work`; what is there already is not done again."""
    work.mkdir(parents=True, exist_ok=True)
    for port in UPSTREAM:
        link = work / port
        if not link.exists():
            link.symlink_to((data / port).resolve(), target_is_directory=True)
    for name in LEARNING:
        stage = stages.load(name)
        inputs, outputs = ({port: work / port for port in ports} for ports in (stage.inputs, stage.outputs))
        execute(stage, stage_json(params, name), inputs, outputs)


def greedy_cells(work: Path) -> list[Cell]:
    """From the predictions of the evaluate stage: accuracy by family and condition, and how many keep the form."""
    cells = []
    made = list(Table(work / "predictions", Prediction, read_manifest(work / "predictions")))
    for model in ("sft", *THINKING):
        for condition in ("audio", "shuffled", "none"):
            mine = [p for p in made if p.model == model and p.condition == condition]
            cells += _by_family(f"{model} {condition}", [(p.family, p.correct) for p in mine])
        heard = [p for p in made if p.model == model and p.condition == "audio"]
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
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "learning")
    parser.add_argument("--params", type=Path, default=ROOT / "params.yaml")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="STAGE.NAME=VALUE")
    options = parser.parse_args()
    params, cells = load_params(options.params, settings=tuple(options.settings)), {}
    for seed in options.seeds:
        work = options.work / str(seed)
        learn(seeded(params, seed), options.data, work)
        cells[seed] = greedy_cells(work) + sampled_cells(params, work, seed)
    seed_names = ", ".join(f"seed {seed}" for seed in cells)
    lead = f"Accuracy (%) on held-out works against the scores' truth: mean ({seed_names})."
    publish("learning", "Learning to hear", [lead, "", *table(cells).splitlines()])


if __name__ == "__main__":
    main()
