"""`mf score`: predictions that were made elsewhere, scored as `mf evaluate` scores its own.

A file holds them as JSON (a list of objects, or an object of ids), as JSON lines or CSV, under the names that published
scorers read (`model_output`, `model_prediction`, `answer_prediction`). Thoughts that lie apart stay apart. Items
without a prediction count as unanswered; no model is asked, and recordings are not needed.
"""

import csv
import io
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from music_flamingo import __version__
from music_flamingo.core.errors import UserError
from music_flamingo.core.hashing import sha256_bytes
from music_flamingo.core.lines import lines_of, well_formed
from music_flamingo.core.shards import write_atomic
from music_flamingo.evaluation.asking import item_answers, questions_of
from music_flamingo.evaluation.benchmarks import Benchmark, BenchmarkItem, find, items_of
from music_flamingo.evaluation.benchmarks.provenance import known_wrong, question_files, version_of
from music_flamingo.evaluation.command import EvaluationRequest, publish_outcome
from music_flamingo.evaluation.grading import grade_all
from music_flamingo.evaluation.judges import prompts_of
from music_flamingo.evaluation.ledger import LedgerEntry
from music_flamingo.evaluation.outcome import RUN, EvaluationRun, Outcome

IDS = ("id", "item_id", "question_id", "qid", "key", "name", "uid")
OUTPUTS = ("model_output", "model_prediction", "answer_prediction", "prediction", "output", "response", "pred",
           "generated_text", "text", "filtered_resps", "resps")  # fmt: skip
THOUGHTS = ("thinking_prediction", "thoughts", "reasoning_content")
NOT_PREDICTED = "no prediction in the file"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImportedPrediction:
    """What a model said about one item, elsewhere."""

    item_id: str
    output: str
    thoughts: str = ""
    finish_reason: str = ""


def score_file(path: Path, request: EvaluationRequest) -> Outcome:
    """Score a file of predictions. Raises UserError where it cannot be read, or none is about an item."""
    benchmark = find(request.benchmark)
    if benchmark.judges:
        raise UserError(f"{benchmark.name} is graded by a judge: predictions of it cannot be scored without one.")
    data = _bytes(path)
    predictions = read_predictions(path)
    items = items_of(benchmark, request.data)[: request.limit]
    said = _matched(benchmark, items, predictions, path)
    questions = questions_of(benchmark, request.data, items, ("audio",), request.seed)
    answers = {("audio", q.item.id): _entry(q.item.id, said.get(q.item.id)) for q in questions}
    answered = item_answers(benchmark, questions, answers)
    files = question_files(benchmark, request.data)
    run = EvaluationRun(
        benchmark=benchmark.name,
        model=request.model_name or path.stem,
        model_digest=sha256_bytes(data),
        think=False,
        max_new_tokens=0,
        conditions=["audio"],
        seed=request.seed,
        resamples=request.resamples,
        limit=request.limit,
        num_items=len(items),
        published_counts=list(benchmark.counts),
        num_without_recording=0,
        prompts=prompts_of(benchmark),
        package_version=__version__,
        question_files=files,
        questions_version=version_of(files),
        predictions=path.name,
        num_without_prediction=sum(a.problem == NOT_PREDICTED for a in answered),
    )
    write_atomic(request.out / benchmark.name / RUN, run.model_dump_json(indent=1) + "\n")
    graded = grade_all(benchmark, answered, {}, known_wrong(benchmark, items, request.known_wrong))
    return publish_outcome(benchmark, request, run, items, graded, "")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def _entry(item_id: str, said: ImportedPrediction | None) -> LedgerEntry:
    words = said or ImportedPrediction(item_id, "")
    return LedgerEntry(
        key=item_id,
        item_id=item_id,
        condition="audio",
        output=words.output,
        problem="" if said else NOT_PREDICTED,
        thoughts=words.thoughts,
        finish_reason=words.finish_reason,
    )


def _matched(
    benchmark: Benchmark, items: Sequence[BenchmarkItem], predictions: Sequence[ImportedPrediction], path: Path
) -> dict[str, ImportedPrediction]:
    """What was predicted for each form that is asked: by its id, by the published id before `#`, or by the recording's.

    Published ids that come again are taken in their order.
    """
    by_id: dict[str, list[ImportedPrediction]] = {}
    for prediction in predictions:
        by_id.setdefault(prediction.item_id, []).append(prediction)
    found = {}
    for item in items:
        for asked in benchmark.asked(item):
            part = asked.id.removeprefix(item.id)
            names = (asked.id, item.id.partition("#")[0] + part, *(name + part for name in item.source_ids))
            name = next((n for n in names if by_id.get(n)), None)
            if name is not None:
                waiting = by_id[name]
                found[asked.id] = waiting.pop(0) if len(waiting) > 1 else waiting[0]
    if not found:
        raise UserError(
            f"{path}: none of its {len(predictions)} predictions is about an item of {benchmark.name} (such as "
            f"{items[0].id!r}; the file has {predictions[0].item_id!r})."
        )
    left = len(predictions) - len({id(p) for p in found.values()})
    if left:
        log.warning("%s: %d predictions are about no item of %s", path, left, benchmark.name)
    return found


def read_predictions(path: Path) -> list[ImportedPrediction]:
    """Read predictions from JSON, JSON lines or CSV. Raises UserError naming what is missing."""
    try:
        text = _bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8: {error}") from error
    rows = _rows(text, path)
    if not rows:
        raise UserError(f"{path} holds no prediction.")
    return [_prediction(row, path) for row in rows]


def _rows(text: str, path: Path) -> list[Mapping[str, Any]]:
    if path.suffix.lower() in (".csv", ".tsv"):
        return list(csv.DictReader(io.StringIO(text), delimiter="\t" if path.suffix.lower() == ".tsv" else ","))
    try:
        value = well_formed(json.loads(text))
    except ValueError:
        try:
            value = [well_formed(json.loads(line)) for line in lines_of(text) if line.strip()]
        except ValueError as error:
            raise UserError(f"{path} is neither JSON nor JSON lines: {error}") from error
    if isinstance(value, dict) and isinstance(value.get("results"), list):
        value = value["results"]
    if isinstance(value, dict) and {"doc", *IDS} & set(value) and set(OUTPUTS) & set(value):
        value = [value]  # a file of one line
    if isinstance(value, dict):
        value = [{"id": name, **(row if isinstance(row, dict) else {"output": row})} for name, row in value.items()]
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise UserError(f"{path} holds no predictions: a list of objects, or an object of ids.")
    return [row for row in value if row.get("condition", "audio") == "audio"]


def _prediction(row: Mapping[str, Any], path: Path) -> ImportedPrediction:
    flat = {**row["doc"], **row} if isinstance(row.get("doc"), dict) else row
    name = next((flat[n] for n in IDS if flat.get(n) not in (None, "")), None)
    field = next((n for n in OUTPUTS if n in flat), None)
    if name is None or field is None:
        raise UserError(
            f"{path}: a prediction has an id ({', '.join(IDS)}) and an output ({', '.join(OUTPUTS)}); "
            f"this one has {', '.join(map(str, row))}."
        )
    thoughts = next((str(flat[n]) for n in THOUGHTS if flat.get(n)), "")
    return ImportedPrediction(str(name), _words(flat[field]), thoughts, str(flat.get("finish_reason") or ""))


def _words(value: Any) -> str:
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else str(value)
