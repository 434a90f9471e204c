"""`mf evaluate`: run one benchmark on one model, then tabulate all benchmarks in the output folder.

OUT/<benchmark>/answers.jsonl     what the model said: kept for ever, so that scoring again asks nobody
OUT/<benchmark>/judgements.jsonl  what judges said
OUT/<benchmark>/items.jsonl       one JSON record an item and condition: question, output, grades
OUT/<benchmark>/results.{json,md} rates with intervals, groups, controls, position bias, next to the paper
OUT/<benchmark>/submission.json   where the benchmark's own server or scorer takes one
OUT/results.{json,md}             all benchmarks
OUT/index.html, OUT/<benchmark>/  the same to look at, with failures to listen to
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from music_flamingo import __version__
from music_flamingo.core.errors import UserError
from music_flamingo.core.http import Failed
from music_flamingo.core.shards import write_atomic
from music_flamingo.evaluation.asking import answer_all, item_answers, questions_of
from music_flamingo.evaluation.benchmarks import Benchmark, BenchmarkItem, find, items_of
from music_flamingo.evaluation.benchmarks.provenance import known_wrong, question_files, version_of
from music_flamingo.evaluation.contamination import contaminated, refuse, training_of
from music_flamingo.evaluation.endpoint_card import read_card
from music_flamingo.evaluation.grading import Graded, grade_all
from music_flamingo.evaluation.intervals import RESAMPLES
from music_flamingo.evaluation.judges import Judge, calls_for, judge_all, prompts_of
from music_flamingo.evaluation.leaderboard import write_leaderboard
from music_flamingo.evaluation.ledger import Judgement, Ledger, LedgerEntry
from music_flamingo.evaluation.manner import AskingManner, read_manner
from music_flamingo.evaluation.models import (
    TIMEOUT_S,
    EndpointModel,
    FolderModel,
    Model,
    ModelInput,
    ModelOutput,
    endpoint_of,
)
from music_flamingo.evaluation.outcome import (
    RUN,
    EvaluationRun,
    Outcome,
    outcome_of,
    read_run,
    write_outcome,
)
from music_flamingo.evaluation.pages import write_all
from music_flamingo.evaluation.recordings import Condition, broken_recordings, require_recordings

ANSWERS, JUDGEMENTS, SUBMISSION = "answers.jsonl", "judgements.jsonl", "submission.json"
RECORDINGS = "recordings.json"
DEFAULT_CONDITIONS: tuple[Condition, ...] = ("audio", "none", "noise", "shuffled")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluationRequest:
    """What the command line asks for."""

    model: str
    """A folder, or the address of an endpoint."""
    benchmark: str
    data: Path
    out: Path
    model_name: str = ""
    revision: str = ""
    conditions: tuple[Condition, ...] = DEFAULT_CONDITIONS
    seed: int = 0
    resamples: int = RESAMPLES
    limit: int | None = None
    batch_size: int = 16
    timeout_s: float = TIMEOUT_S
    think: bool | None = None
    max_new_tokens: int | None = None
    silence_for_none: bool = False
    api_key_env: str | None = None
    judge: str = ""
    judge_model: str = ""
    judge_revision: str = ""
    judge_key_env: str | None = None
    embeddings: str = ""
    embeddings_model: str = "nvidia/NV-Embed-v2"
    training_data: Path | None = None
    training_ids: Path | None = None
    allow_contaminated: bool = False
    skip_missing: bool = False
    rescore: bool = False
    prompt: Path | None = None
    """A template, or a file with template, system text and sampling, in place of the benchmark's prompt."""
    known_wrong: Path | None = None
    """Further items known to be wrong: a JSON object of ids and reasons."""


class Recorded:
    """A model or judge whose words are all on disk already."""

    def __init__(
        self,
        name: str,
        digest: str,
        think: bool = False,
        max_new_tokens: int = 0,
        manner: AskingManner | None = None,
    ) -> None:
        self.name, self.digest, self.think, self.max_new_tokens = name, digest, think, max_new_tokens
        self.manner = manner or AskingManner()

    def answer(self, batch: Sequence[ModelInput]) -> list[ModelOutput | Failed]:
        """Refuse every question that has no recorded answer, as Failed."""
        return [Failed("not_asked", "--rescore asks no model", 0) for _ in batch]

    def reply(self, call: object) -> str | Failed:
        """Refuse every call that has no recorded reply, as Failed."""
        return Failed("not_asked", "--rescore asks no judge", 0)


def evaluate(request: EvaluationRequest) -> Outcome:
    """Ask what is not answered yet, judge, grade, write everything. Raises UserError with the remedy."""
    benchmark = find(request.benchmark)
    folder = request.out / benchmark.name
    before = read_run(folder) if request.rescore else None
    if before is not None:
        request = replace(request, limit=before.limit, skip_missing=before.num_without_recording > 0)
    items, num_missing = _items(benchmark, request)
    items, broken = _sound_items(benchmark, request, items)
    conditions = _conditions(benchmark, request, items)
    training = before.contamination if before else _contamination(request, items)
    manner = manner_of(before) if before else read_manner(request.prompt)
    model, judge, embedder = _who(request, before, manner)
    files = question_files(benchmark, request.data)
    run = EvaluationRun(
        benchmark=benchmark.name,
        model=model.name,
        model_digest=model.digest,
        think=model.think,
        max_new_tokens=model.max_new_tokens,
        conditions=list(before.conditions if before else conditions),
        seed=before.seed if before else request.seed,
        resamples=request.resamples,
        limit=request.limit,
        num_items=len(items),
        published_counts=list(benchmark.counts),
        num_without_recording=num_missing,
        broken_recordings=broken,
        prompts=prompts_of(benchmark) | ({"the user's": manner.sha256} if manner.sha256 else {}),
        judge=judge.name if judge else "",
        judge_digest=judge.digest if judge else "",
        embedder=embedder.name if embedder else "",
        embedder_digest=embedder.digest if embedder else "",
        contamination=training,
        package_version=__version__,
        question_files=files,
        questions_version=version_of(files),
        prompt_template=manner.template,
        system=manner.system,
        temperature=manner.temperature,
        top_p=manner.top_p,
    )
    write_atomic(folder / RUN, run.model_dump_json(indent=1) + "\n")
    graded = _graded(benchmark, run, items, request, model, judge, embedder)
    shown = manner.prompt(benchmark, benchmark.asked(items[0])[0])
    return publish_outcome(benchmark, request, run, items, graded, shown)


def publish_outcome(
    benchmark: Benchmark,
    request: EvaluationRequest,
    run: EvaluationRun,
    items: Sequence[BenchmarkItem],
    graded: Sequence[Graded],
    prompt_shown: str,
) -> Outcome:
    """Compute the outcome of graded answers and write all that an evaluation writes."""
    folder = request.out / benchmark.name
    outcome = outcome_of(benchmark, run, graded, prompt_shown)
    write_outcome(folder, outcome, graded)
    write_leaderboard(folder, outcome, graded)
    _submission(benchmark, request, items, graded)
    write_all(request.out, outcome, graded, request.data)
    return outcome


def manner_of(run: EvaluationRun) -> AskingManner:
    """How an earlier run asked."""
    return AskingManner(template=run.prompt_template, system=run.system, temperature=run.temperature, top_p=run.top_p)


def _items(benchmark: Benchmark, request: EvaluationRequest) -> tuple[list[BenchmarkItem], int]:
    """(items to ask about, how many are left out because their recording is missing)."""
    items = items_of(benchmark, request.data)
    if benchmark.counts and len(items) not in benchmark.counts:
        log.warning(
            "%s: %d items, published are %s", benchmark.name, len(items), " or ".join(map(str, benchmark.counts))
        )
    items = items[: request.limit]
    if not request.skip_missing:
        require_recordings(request.data, items)
        return items, 0
    there = [item for item in items if all((request.data / path).is_file() for path in item.audio)]
    if not there:
        require_recordings(request.data, items)
    return there, len(items) - len(there)


def _sound_items(
    benchmark: Benchmark, request: EvaluationRequest, items: Sequence[BenchmarkItem]
) -> tuple[list[BenchmarkItem], dict[str, str]]:
    """(items whose recordings can be decoded, problems of the others): a broken one leaves item and control alike."""
    broken = broken_recordings(request.data, items, request.out / benchmark.name / RECORDINGS)
    sound = [item for item in items if not broken.keys() & set(item.audio)]
    if not sound:
        path, problem = next(iter(broken.items()))
        raise UserError(f"no recording of {benchmark.name} can be decoded, such as {path} ({problem}).")
    for path, problem in broken.items():
        log.warning("%s cannot be decoded (%s): its items are left out, under every condition", path, problem)
    return sound, broken


def _conditions(benchmark: Benchmark, request: EvaluationRequest, items: Sequence[BenchmarkItem]) -> list[Condition]:
    """`permuted` asks nothing new where there are no options, `shuffled` needs a second recording."""
    has_options = any(len(item.options) > 1 for item in items)
    has_other = len({item.audio for item in items}) > 1
    left_out = [c for c, possible in (("permuted", has_options), ("shuffled", has_other)) if not possible]
    return [c for c in dict.fromkeys(("audio", *request.conditions)) if c not in left_out]  # type: ignore[misc]


def _contamination(request: EvaluationRequest, items: Sequence[BenchmarkItem]) -> str:
    training = training_of(_training_tracks(request), request.training_ids)
    if training is None:
        return "not checked (none was named)"
    found = contaminated(request.data, items, training)
    if found and not request.allow_contaminated:
        refuse(found, len(items))
    looked = f"{len(training.names)} names and {len(training.recordings)} sounds"
    return f"{len(found)} of {len(items)} items in it, by {looked}"


def _training_tracks(request: EvaluationRequest) -> Path | None:
    """The named port, or the `tracks` port next to a model that lies among a run's ports."""
    beside = Path(request.model).parent / "tracks"
    return request.training_data or (beside if (beside / "_manifest.json").is_file() else None)


def _who(
    request: EvaluationRequest, before: EvaluationRun | None, manner: AskingManner
) -> tuple[Model, Judge | None, Judge | None]:
    if before is not None:
        judge = Recorded(before.judge, before.judge_digest) if before.judge else None
        embedder = Recorded(before.embedder, before.embedder_digest) if before.embedder else None
        model = Recorded(before.model, before.model_digest, before.think, before.max_new_tokens, manner)
        return model, judge, embedder  # type: ignore[return-value]
    judges = [
        Judge(url, name, revision=revision, api_key_env=request.judge_key_env) if url else None
        for url, name, revision in (
            (request.judge, request.judge_model, request.judge_revision),
            (request.embeddings, request.embeddings_model, ""),
        )
    ]
    return _model(request, manner), judges[0], judges[1]


def _model(request: EvaluationRequest, manner: AskingManner) -> Model:
    if not request.model.startswith(("http://", "https://")):
        if manner.system or manner.sampling != AskingManner().sampling:
            raise UserError(
                "a folder's model answers greedily and without a system text: --prompt may hold a template."
            )
        return FolderModel(Path(request.model), request.think, request.max_new_tokens)
    if not request.model_name:
        raise UserError(f"{request.model} is an endpoint: name the model it serves with --model-name.")
    card = read_card(endpoint_of(request.model, request.api_key_env, request.timeout_s), request.model_name)
    if request.think is None:
        log.info("evaluate: %s", card)
    return EndpointModel(
        request.model,
        request.model_name,
        revision=request.revision,
        think=request.think,
        max_new_tokens=request.max_new_tokens,
        api_key_env=request.api_key_env,
        silence_for_none=request.silence_for_none,
        seed=request.seed,
        timeout_s=request.timeout_s,
        manner=manner,
        card=card,
    )


def _graded(
    benchmark: Benchmark,
    run: EvaluationRun,
    items: Sequence[BenchmarkItem],
    request: EvaluationRequest,
    model: Model,
    judge: Judge | None,
    embedder: Judge | None,
) -> list[Graded]:
    folder = request.out / benchmark.name
    questions = questions_of(benchmark, request.data, items, run.conditions, run.seed, manner_of(run))
    answers = answer_all(model, questions, Ledger(folder / ANSWERS, LedgerEntry), request.batch_size)
    answered = item_answers(benchmark, questions, answers)
    if benchmark.judges and judge is None:
        log.warning("%s is graded by a judge: name one with --judge and --judge-model.", benchmark.name)
    calls = [call for a in answered for call in calls_for(benchmark, a.item, a.condition, a.output)]
    ledger = Ledger(folder / JUDGEMENTS, Judgement)
    replies = judge_all(judge, embedder, calls, ledger, request.batch_size)
    return grade_all(benchmark, answered, replies, known_wrong(benchmark, items, request.known_wrong))


def _submission(
    benchmark: Benchmark, request: EvaluationRequest, items: Sequence[BenchmarkItem], graded: Sequence[Graded]
) -> None:
    if benchmark.submission is not None:
        outputs = {g.item_id: g.output for g in graded if g.condition == "audio"}
        rows = benchmark.submission(request.data, items, outputs)
        path = request.out / benchmark.name / SUBMISSION
        write_atomic(path, json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
        log.info("%s: submission written to %s", benchmark.name, path)
