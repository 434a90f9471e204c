"""Blind listening tests: export captions without their models' names, import and summarise the ratings.

    mf ratings export evaluations/a evaluations/b -o test     test/sheet.csv for listeners, test/key.json to keep
    mf ratings import test sheet-anna.csv sheet-bao.csv       means with intervals, and how far listeners agree

A sheet has a line for each caption, in an order drawn by seed: code, audio, question, caption, and empty columns
rater, overall, coverage, correctness, comment. Scores are whole numbers from 1 (worst) to 10 (best); an empty one was
not given. The paper's own test is of this form (experts, 1 to 10).
"""

import csv
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from music_flamingo.core.errors import MissingInputError, UserError
from music_flamingo.core.hashing import sha256_json
from music_flamingo.core.record import RecordPart
from music_flamingo.core.shards import write_atomic
from music_flamingo.evaluation import rates
from music_flamingo.evaluation.agreement import agreement
from music_flamingo.evaluation.grading import Graded
from music_flamingo.evaluation.outcome import read_items, read_run

SCALES = ("overall", "coverage", "correctness")
LOW, HIGH = 1, 10
SHEET, KEY = "sheet.csv", "key.json"
COLUMNS = ("code", "audio", "question", "caption", "rater", *SCALES, "comment")


class Coded(RecordPart):
    """What a code on the sheet stands for."""

    code: str
    model: str
    item_id: str


class Rating(RecordPart):
    """One listener's score of one caption on one scale."""

    rater: str
    model: str
    item_id: str
    scale: str
    score: int


class ModelRating(RecordPart):
    """One model on one scale."""

    model: str
    scale: str
    num_items: int
    num_ratings: int
    mean: float
    low: float
    high: float


class Agreed(RecordPart):
    """How far raters agree on one scale, over all captions of all models."""

    scale: str
    num_captions: int
    num_raters: int
    alpha: float | None
    icc_single: float | None
    icc_mean: float | None


# --- out --------------------------------------------------------------------------------------------------------------


def export_sheet(evaluated: Sequence[Path], out: Path, limit: int | None, seed: int) -> int:
    """Write sheet and key for the same items of every model; gives the number of captions.

    Raises UserError when the folders have no item in common or are of different benchmarks.
    """
    runs = [read_run(folder) for folder in evaluated]
    if len({run.benchmark for run in runs}) != 1:
        named = ", ".join(sorted({run.benchmark for run in runs}))
        raise UserError(f"a listening test is about one benchmark, not {named}.")
    models = [f"{run.model} {run.model_digest[:8]}" for run in runs]
    items = [{g.item_id: g for g in read_items(folder) if g.condition == "audio"} for folder in evaluated]
    shared = sorted(set(items[0]).intersection(*items[1:]), key=lambda item_id: sha256_json([seed, item_id]))[:limit]
    if not shared:
        raise UserError("these evaluations have no item in common.")
    rows = [(Coded(code=sha256_json([seed, model, i])[:8], model=model, item_id=i), by_id[i])
            for i in shared for model, by_id in zip(models, items, strict=True)]  # fmt: skip
    rows.sort(key=lambda row: row[0].code)
    out.mkdir(parents=True, exist_ok=True)
    _write_sheet(out / SHEET, rows)
    write_atomic(out / KEY, json.dumps([coded.model_dump() for coded, _ in rows], ensure_ascii=False, indent=1) + "\n")
    return len(rows)


def _write_sheet(path: Path, rows: Sequence[tuple[Coded, Graded]]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:  # spreadsheets take it for UTF-8 by its mark
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        for coded, graded in rows:
            caption = _as_text(graded.parsed or "")
            writer.writerow({"code": coded.code, "audio": " ".join(graded.audio), "question": graded.question,
                             "caption": caption})  # fmt: skip


def _as_text(caption: str) -> str:
    """A spreadsheet runs what begins with these; a model may write anything."""
    return f"'{caption}" if caption.startswith(("=", "+", "-", "@", "\t", "\r")) else caption


# --- in ---------------------------------------------------------------------------------------------------------------


def read_ratings(folder: Path, sheets: Sequence[Path]) -> list[Rating]:
    """All scores of filled sheets. Raises UserError naming file, line and what is wrong."""
    if not (folder / KEY).is_file():
        raise MissingInputError(f"{folder} holds no {KEY}: it is written by `mf ratings export`, next to the sheet.")
    coded = {c["code"]: Coded.model_validate(c) for c in json.loads((folder / KEY).read_text(encoding="utf-8"))}
    ratings = [rating for sheet in sheets for rating in _read_sheet(sheet, coded)]
    given = Counter((r.rater, r.model, r.item_id, r.scale) for r in ratings)
    for (rater, _, item_id, scale), times in given.items():
        if times > 1:
            raise UserError(
                f"{rater} scored {scale} of {item_id} {times} times: give each sheet once, and name raters."
            )
    if not ratings:
        raise UserError("the sheets hold no score yet.")
    return ratings


def _read_sheet(path: Path, coded: dict[str, Coded]) -> list[Rating]:
    if not path.is_file():
        raise MissingInputError(f"{path} does not exist: give the sheets that listeners sent back.")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    ratings = []
    for number, row in enumerate(rows, 2):
        at = f"{path}, line {number}"
        if row.get("code") not in coded:
            raise UserError(f"{at}: the code {row.get('code')!r} is not in the key: is it a sheet of this test?")
        what = coded[row["code"]]
        for scale in SCALES:
            if (text := (row.get(scale) or "").strip()) != "":
                rater = (row.get("rater") or "").strip() or path.stem
                score = _score(text, f"{at}, {scale}")
                ratings.append(Rating(rater=rater, model=what.model, item_id=what.item_id, scale=scale, score=score))
    return ratings


def _score(text: str, at: str) -> int:
    if not text.isdecimal() or not LOW <= int(text) <= HIGH:
        raise UserError(f"{at}: {text!r} is no whole number from {LOW} to {HIGH}.")
    return int(text)


def model_ratings(ratings: Sequence[Rating], resamples: int, seed: int) -> list[ModelRating]:
    """Means over all ratings, items drawn together with all their ratings."""
    found = []
    for model in sorted({r.model for r in ratings}):
        for scale in SCALES:
            mine = [r for r in ratings if (r.model, r.scale) == (model, scale)]
            interval = rates.rate_interval([rates.WeightedItem(r.item_id, r.score, 1.0) for r in mine], resamples, seed)
            if interval is not None:
                found.append(
                    ModelRating(
                        model=model,
                        scale=scale,
                        num_items=len({r.item_id for r in mine}),
                        num_ratings=len(mine),
                        mean=interval.value,
                        low=interval.low,
                        high=interval.high,
                    )
                )
    return found


def rater_agreement(ratings: Sequence[Rating]) -> list[Agreed]:
    """Agreement of the listeners on each scale."""
    raters = sorted({r.rater for r in ratings})
    agreed = []
    for scale in SCALES:
        mine = [r for r in ratings if r.scale == scale]
        captions = sorted({(r.model, r.item_id) for r in mine})
        table_UR = np.full((len(captions), len(raters)), np.nan)
        for r in mine:
            table_UR[captions.index((r.model, r.item_id)), raters.index(r.rater)] = r.score
        if mine:
            told = agreement(table_UR)
            agreed.append(
                Agreed(
                    scale=scale,
                    num_captions=told.num_items,
                    num_raters=told.num_raters,
                    alpha=told.alpha,
                    icc_single=told.icc_single,
                    icc_mean=told.icc_mean,
                )
            )
    return agreed


def ratings_markdown(models: Sequence[ModelRating], agreed: Sequence[Agreed]) -> str:
    """Format mean ratings and agreement as Markdown tables."""
    lines = ["| model | scale | captions | ratings | mean [95 %] |", "|---|---|---:|---:|---:|"]
    lines += [f"| {m.model} | {m.scale} | {m.num_items} | {m.num_ratings} | {m.mean:.2f} [{m.low:.2f}, {m.high:.2f}] |"
              for m in models]  # fmt: skip
    lines += ["", "| scale | captions | raters | Krippendorff's alpha | ICC(2,1) | ICC(2,k) |"]
    lines += ["|---|---:|---:|---:|---:|---:|"]
    lines += [
        f"| {a.scale} | {a.num_captions} | {a.num_raters} | {_or_dash(a.alpha)} | {_or_dash(a.icc_single)} | "
        f"{_or_dash(a.icc_mean)} |"
        for a in agreed
    ]
    return "\n".join(lines) + "\n"


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
