"""evaluate: what each stage of training hears on pieces nobody trained on (the small twin of the paper's ablation).

Questions come from scoring/families, their answers from the scores' truth and never from MIR output. The models
after SFT (asked plainly), warm-up and GRPO (asked to think) are each heard under three conditions: the true audio,
another work's audio, silence; the last one, which is released, with noise too. They listen to the middle of a track,
as in serving. Answers are greedy; one that cannot be parsed is wrong.

Composite questions, whose answer follows from several of those, are an exam of their own (evaluation/thinking): warm-up
and GRPO, their controls where the warm-up trained them, and the ceiling by single answers; greedy and sampled.

A source without truth (a folder of songs) is examined by trusted facts of held-out recordings, which nobody was trained
on: agreement with the tools, next to the same controls, marked `graded_by: facts`. Where these allow no question either
there are no scores, and the summary says so.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence

from pydantic import Field, field_validator

from music_flamingo.core.parallel import pool_map
from music_flamingo.core.ports import Folder, InputFolder, Table, Writer
from music_flamingo.core.progress import Progress
from music_flamingo.core.ranges import Count, Seed
from music_flamingo.core.record import read_parquet
from music_flamingo.core.shards import shard_path
from music_flamingo.core.stage import NOT_IDENTITY, Metrics, Stage, StageConfig, StageTitle
from music_flamingo.evaluation.answering import AnswerJob, answer_job
from music_flamingo.evaluation.captions import choose_captions
from music_flamingo.evaluation.controls import shuffled_tracks
from music_flamingo.evaluation.items import ExamItem, Reference, choose_items
from music_flamingo.evaluation.summary import (
    ALL,
    CONDITIONS,
    NO_TRUTH,
    Corpus,
    Evaluation,
    chance_of,
    differences,
    score_all,
    write_evaluation,
)
from music_flamingo.evaluation.tables import markdown_table
from music_flamingo.evaluation.thinking import ThinkingExam
from music_flamingo.evaluation.thinking_exam import MIN_WORKS, Asking, refuse_taught, score_thinking, thinking_jobs
from music_flamingo.evaluation.thinking_tables import headline, thinking_table
from music_flamingo.records import Facts, Prediction, Score, Track, Truth, trusted
from music_flamingo.records.prediction import Condition
from music_flamingo.scoring.families import FAMILIES, FamilyNames

THINKS = {"sft": False, "warmup": True, "grpo": True}
"""Model -> whether it is asked to think first, as it was trained."""

RELEASED = "grpo"
"""The model that is also asked with noise: a further control of all three would cost a third more time."""

log = logging.getLogger(__name__)


class EvaluateConfig(StageConfig):
    """Parameters of `evaluate`."""

    families: FamilyNames
    """Families of scoring/families that are asked about."""
    caption_request: str | None
    """The words in which training asked for a one-sentence caption; null: none is asked for."""
    per_family: Count
    """Questions a family, as evenly over its answers as the held-out pieces allow."""
    batch_size: Count
    max_new_tokens: Count
    """Room for a chain and its answer; what runs longer is cut off and counts as unparsed."""
    thinking: ThinkingExam | None
    """Composite questions; null: none are asked."""
    resamples: Count
    """Bootstrap resamples; 2,000 put the ends of a 95 % interval within about a point."""
    seed: Seed
    workers: Count = Field(json_schema_extra=NOT_IDENTITY)

    @field_validator("families")
    @classmethod
    def _known(cls, families: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in families if name not in FAMILIES]
        if unknown or len(set(families)) != len(families):
            raise ValueError(f"families are distinct and among {', '.join(FAMILIES)}")
        return families


def run(
    config: EvaluateConfig,
    truth: Table[Truth],
    facts: Table[Facts],
    tracks: Table[Track],
    sft_model: InputFolder,
    warmup_model: InputFolder,
    grpo_model: InputFolder,
    predictions: Writer[Prediction],
    scores: Writer[Score],
) -> Metrics:
    """Ask every model about held-out pieces with audio and both controls, and score the answers."""
    corpus, test_ids = _corpus(tracks)
    known: list[Reference] = [t for t in truth.ok() if t.id in test_ids]
    has_truth = len(truth) > 0
    if not has_truth:
        known = [trusted(f) for f in facts.ok() if f.id in test_ids]
    items = _items(config, known)
    if not items:
        note = NO_TRUTH if not has_truth else "no held-out piece could be asked about: evaluation skipped"
        log.warning("evaluate: %s", note)
        return _write(predictions, scores, {}, [], Evaluation(note=note, chance={}, differences=[], corpus=corpus))
    models = {"sft": sft_model, "warmup": warmup_model, "grpo": grpo_model}
    jobs = _jobs(config, items, models, tracks)
    exam = _thinking_jobs(config, known, models, tracks)
    said = _answer_all([*jobs, *exam], predictions, config.workers)
    answers = {(job.model, job.condition): of_job for job, of_job in zip(jobs, said, strict=False)}
    rows = score_all(answers, config.resamples, config.seed)
    evaluation = Evaluation(
        note="",
        chance=chance_of(answers["grpo", "audio"]),
        differences=differences(answers, config.resamples, config.seed),
        corpus=corpus,
        graded_by="truth" if has_truth else "facts",
        thinking=score_thinking(exam, said[len(jobs) :], config.thinking, config.resamples, config.seed),
    )
    log.info("\n%s", markdown_table(rows, evaluation.chance))
    if evaluation.thinking:
        log.info("\n%s", thinking_table(evaluation.thinking))
    return _write(predictions, scores, answers, rows, evaluation)


def _items(config: EvaluateConfig, known: Sequence[Reference]) -> list[ExamItem]:
    """Single questions, and captions where a truth knows what is to be said. Facts of a single work ask nothing: there
    is no other recording to play in its place."""
    items = choose_items(known, config.families, config.per_family, config.seed)
    truths = [t for t in known if isinstance(t, Truth)]
    if not truths:
        works = {name: {i.work_id for i in items if i.family == name} for name in config.families}
        return [item for item in items if len(works[item.family]) >= MIN_WORKS]
    if config.caption_request is not None:
        items += choose_captions(truths, config.caption_request, config.per_family, config.seed)
    return items


def _jobs(
    config: EvaluateConfig, items: Sequence[ExamItem], models: Mapping[str, InputFolder], tracks: Table[Track]
) -> list[AnswerJob]:
    """One for each model and condition, in the order of their shards."""
    own = tuple(item.track_id for item in items)
    heard: dict[Condition, tuple[str, ...]] = {
        "audio": own,
        "shuffled": tuple(shuffled_tracks(items, config.seed)),
        "noise": own,
        "none": own,
    }
    return [
        AnswerJob(
            model=name,
            folder=folder.root,
            think=THINKS[name],
            condition=condition,
            items=tuple(items),
            heard_track_ids=heard[condition],
            tracks=tracks,
            batch_size=config.batch_size,
            max_new_tokens=config.max_new_tokens,
            seed=config.seed,
        )
        for name, folder in models.items()
        for condition in CONDITIONS
        if condition != "noise" or name == RELEASED
    ]


def _thinking_jobs(
    config: EvaluateConfig, known: Sequence[Reference], models: Mapping[str, InputFolder], tracks: Table[Track]
) -> list[AnswerJob]:
    if config.thinking is None:
        return []
    refuse_taught(config.thinking, models["grpo"].root)
    asking = Asking(config.batch_size, config.max_new_tokens, config.seed)
    return thinking_jobs(config.thinking, known, {name: folder.root for name, folder in models.items()}, tracks, asking)


def _answer_all(jobs: Sequence[AnswerJob], predictions: Writer[Prediction], workers: int) -> list[list[Prediction]]:
    """Shard k holds job k's predictions; shards that an interrupted run left are read, not asked again."""
    pending = [index for index in range(len(jobs)) if not predictions.has(index)]
    total = sum(len(jobs[index].items) for index in pending)
    with Progress("evaluate", total, "answers") as progress, pool_map(min(workers, len(pending))) as run_map:
        for index, made in zip(pending, run_map(answer_job, [jobs[i] for i in pending]), strict=True):
            predictions.write(index, made)
            progress.advance(len(made))
    return [_shard(predictions, index) for index in range(len(jobs))]


def _shard(predictions: Writer[Prediction], index: int) -> list[Prediction]:
    return list(read_parquet(shard_path(predictions.root, index), Prediction))


def _corpus(tracks: Table[Track]) -> tuple[Corpus, set[str]]:
    """Counts of the usable tracks, and the ids of the held-out ones."""
    rows = [
        r for r in tracks.columns("id", "status", "split", "work_id", "tradition").to_pylist() if r["status"] == "ok"
    ]
    held_out = [r for r in rows if r["split"] == "test"]
    train = [r for r in rows if r["split"] == "train"]
    traditions = {r["work_id"]: r["tradition"] or "unknown" for r in rows}
    corpus = Corpus(
        train_tracks=len(train),
        train_works=len({r["work_id"] for r in train}),
        test_tracks=len(held_out),
        test_works=len({r["work_id"] for r in held_out}),
        works_by_tradition=dict(sorted(Counter(traditions.values()).items())),
    )
    return corpus, {r["id"] for r in held_out}


def _write(
    predictions: Writer[Prediction],
    scores: Writer[Score],
    answers: Mapping[tuple[str, Condition], Sequence[Prediction]],
    rows: Sequence[Score],
    evaluation: Evaluation,
) -> Metrics:
    if not answers:
        predictions.write(0, [])
    write_evaluation(scores.root, evaluation)
    scores.write(0, rows)
    overall = {s.model: s for s in rows if s.family == ALL and s.condition == "audio"}
    metrics: Metrics = {"note": evaluation.note} if evaluation.note else {}
    if rows and evaluation.graded_by == "facts":
        metrics["graded_by"] = "facts"
    if overall:
        metrics["questions"] = overall["grpo"].num_items
        metrics["held_out_works"] = overall["grpo"].num_works
        if evaluation.thinking:
            metrics["thinking"] = headline(evaluation.thinking)
        metrics["accuracy_percent"] = {model: round(100 * s.accuracy, 1) for model, s in overall.items()}
    return metrics


STAGE = Stage(
    name="evaluate",
    title=StageTitle("Judgement", "Evaluate", "Held-out pieces, with their audio, with another's, and with none."),
    config=EvaluateConfig,
    inputs={
        "truth": Truth,
        "facts": Facts,
        "tracks": Track,
        "sft_model": Folder,
        "warmup_model": Folder,
        "grpo_model": Folder,
    },
    outputs={"predictions": Prediction, "scores": Score},
    run=run,
)
