"""Ask a model a benchmark's questions; answers on record are not asked again.

An answer's key is made of the model's digest, the words of the prompt and what is played, so a changed prompt, another
order of options, other weights or another recording ask anew, and nothing else does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from music_flamingo.core.errors import UserError
from music_flamingo.core.hashing import sha256_json
from music_flamingo.core.http import Failed
from music_flamingo.core.progress import Progress
from music_flamingo.evaluation.benchmarks.base import Benchmark, BenchmarkItem, permuted
from music_flamingo.evaluation.grading import ItemAnswer
from music_flamingo.evaluation.ledger import Ledger, LedgerEntry
from music_flamingo.evaluation.manner import AskingManner
from music_flamingo.evaluation.models import Model, ModelInput
from music_flamingo.evaluation.recordings import Condition, Digests, PlayedAudio, played

MAX_FAILED_IN_A_ROW = 3
"""Batches without a single answer before the run stops: the server is gone."""


@dataclass(frozen=True)
class BenchmarkQuestion:
    """An item under a condition, as it is put to a model."""

    whole: BenchmarkItem
    """The item of the benchmark."""
    item: BenchmarkItem
    """The same, or the one of its passes that is asked here."""
    condition: Condition
    prompt: str
    sound: PlayedAudio


def questions_of(
    benchmark: Benchmark,
    folder: Path,
    items: Sequence[BenchmarkItem],
    conditions: Sequence[Condition],
    seed: int,
    manner: AskingManner | None = None,
) -> list[BenchmarkQuestion]:
    """Every item under every condition, condition by condition, in the benchmark's own words or those of `manner`."""
    manner = manner or AskingManner()
    questions = []
    for condition in conditions:
        shown = [permuted(item, seed, "permuted") for item in items] if condition == "permuted" else list(items)
        for item, sound in zip(shown, played(folder, shown, condition, seed), strict=True):
            questions += [
                BenchmarkQuestion(item, asked, condition, manner.prompt(benchmark, asked), sound)
                for asked in benchmark.asked(item)
            ]
    return questions


def key_of(model: Model, question: BenchmarkQuestion, digests: Digests) -> str:
    """Cache key of an answer: the model's digest, the prompt's words, and the audio that is played."""
    sound = question.sound
    heard = digests.of(sound.paths) if question.condition != "none" else len(sound.paths)
    noise = [sound.seed, sound.item_id] if question.condition == "noise" else None
    silent = question.condition == "none"
    asked = [question.item.id, question.prompt, model.think, model.max_new_tokens]
    asked += [model.manner.sha256] if model.manner.sha256 else []
    asked += ["recordings apart"] if len(sound.paths) > 1 else []
    return sha256_json([model.digest, asked, heard, noise, silent])


def answer_all(
    model: Model, questions: Sequence[BenchmarkQuestion], ledger: Ledger[LedgerEntry], batch_size: int
) -> dict[tuple[str, str], LedgerEntry]:
    """(condition, item id) -> its answer. What an endpoint refuses counts as unanswered.

    Raises UserError when some are still missing, after all others are kept, and when every question was refused.
    """
    digests = Digests()
    keys = [key_of(model, question, digests) for question in questions]
    waiting: dict[str, BenchmarkQuestion] = {}
    for key, question in zip(keys, questions, strict=True):
        if key not in ledger.entries:
            waiting.setdefault(key, question)
    failures: list[Failed] = []
    refused: list[LedgerEntry] = []
    pending = list(waiting.items())
    with Progress("evaluate", len(pending), "answers") as progress:
        silent_batches = 0
        for start in range(0, len(pending), batch_size):
            batch = pending[start : start + batch_size]
            failed, not_taken = _answer_batch(model, batch, ledger)
            failures += failed
            refused += not_taken
            silent_batches = silent_batches + 1 if len(failed) + len(not_taken) == len(batch) else 0
            progress.advance(len(batch))
            if silent_batches == MAX_FAILED_IN_A_ROW:
                break
    if refused and not ledger.entries:
        raise UserError(f"the endpoint refused all {len(refused)} questions that it was asked: {refused[-1].problem}")
    if refused:
        ledger.add(refused)
    missing = sum(key not in ledger.entries for key in keys)
    if missing:
        why = failures[-1].message if failures else "unknown"
        raise UserError(
            f"{missing} of {len(keys)} questions have no answer yet ({why}). What was answered is kept: the same "
            "command asks for the rest."
        )
    return {(q.condition, q.item.id): ledger.entries[key] for key, q in zip(keys, questions, strict=True)}


def item_answers(
    benchmark: Benchmark, questions: Sequence[BenchmarkQuestion], answers: Mapping[tuple[str, str], LedgerEntry]
) -> list[ItemAnswer]:
    """One answer for each item and condition; what the passes of an item said is joined."""
    passes: dict[tuple[str, str], list[BenchmarkQuestion]] = {}
    for question in questions:
        passes.setdefault((question.condition, question.whole.id), []).append(question)
    joined = []
    for (condition, _), asked in passes.items():
        said = [answers[condition, q.item.id] for q in asked]
        joined.append(
            ItemAnswer(
                asked[0].whole,
                condition,
                said[0].output if benchmark.passes is None else benchmark.join([s.output for s in said]),
                next((s.problem for s in said if s.problem), ""),
                "\n".join(s.thoughts for s in said if s.thoughts),
                "length" if any(s.finish_reason == "length" for s in said) else said[0].finish_reason,
            )
        )
    return joined


def _answer_batch(
    model: Model, batch: Sequence[tuple[str, BenchmarkQuestion]], ledger: Ledger[LedgerEntry]
) -> tuple[list[Failed], list[LedgerEntry]]:
    """(what is to be asked again, what the endpoint does not take); answers go into the ledger."""
    said = model.answer([ModelInput(question.prompt, question.sound) for _, question in batch])
    answers: list[LedgerEntry] = []
    failed: list[Failed] = []
    refused: list[LedgerEntry] = []
    for (key, question), words in zip(batch, said, strict=True):
        if isinstance(words, Failed):
            failed.append(words)
            continue
        (refused if words.refused else answers).append(
            LedgerEntry(
                key=key,
                item_id=question.item.id,
                condition=question.condition,
                output=words.text,
                problem=words.problem,
                thoughts=words.thoughts,
                finish_reason=words.finish_reason,
            )
        )
    if answers:
        ledger.add(answers)
    return failed, refused
