"""Put the exam of composite questions to a run's models: which job asks what of whom, and what the answers come to."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from music_flamingo.core.errors import ConfigError
from music_flamingo.core.ports import Table
from music_flamingo.evaluation.answering import AnswerJob
from music_flamingo.evaluation.controls import shuffled_tracks
from music_flamingo.evaluation.items import Reference
from music_flamingo.evaluation.thinking import (
    JOINED,
    SINGLE,
    ThinkingExam,
    ThinkingResults,
    choose_composites,
    joined_by_logic,
    single_items,
    thinking_results,
)
from music_flamingo.records import Prediction, Track
from music_flamingo.records.prediction import Condition
from music_flamingo.scoring.families import NamedPart
from music_flamingo.scoring.families.combinations import ASKED
from music_flamingo.training.controls import CONTROLS_FOLDER, DIRECT, LONGER

MIN_WORKS = 2
"""With fewer there is no other work's audio to play."""
EXAMINED = "grpo"
"""The model that is also asked with another work's audio."""


@dataclass(frozen=True)
class Asking:
    """How a run's models are asked."""

    batch_size: int
    max_new_tokens: int
    seed: int


def refuse_taught(exam: ThinkingExam, grpo_model: Path) -> None:
    """Raise ConfigError where training asked about a combination that the exam takes for one never taught together."""
    from music_flamingo.training.log import PLAN_NAME

    plan = grpo_model / PLAN_NAME
    if exam.held_out is None or not plan.is_file():
        return
    for combination in json.loads(plan.read_text()).get(ASKED, []):
        if exam.held_out.holds_out(NamedPart(family, value) for family, value in combination):
            named = ", ".join(f"{family} {value}" for family, value in combination)
            raise ConfigError(
                f"training asked about {named} together, and evaluate.thinking.held_out counts this as never taught. "
                "Give evaluate.thinking.held_out and synthesize.composites.held_out the same share and seed, or null."
            )


def thinking_jobs(
    exam: ThinkingExam, known: Sequence[Reference], roots: Mapping[str, Path], tracks: Table[Track], asking: Asking
) -> list[AnswerJob]:
    """Composite questions to each model and control, greedy and drawn at temperature 1; to the last model with other
    audio too; the single questions to the SFT model. Empty where fewer than two works are known well enough.

    `roots`: the folders of `sft`, `warmup` (with its controls) and `grpo`.
    """
    items = choose_composites(known, exam, asking.seed)
    if len({item.work_id for item in items}) < MIN_WORKS:
        return []
    own = tuple(item.track_id for item in items)
    single = tuple(single_items(items))

    def job(
        model: str,
        folder: Path,
        think: bool,
        *,
        temperature: float = 0.0,
        condition: Condition = "audio",
        heard: Sequence[str] = own,
    ) -> AnswerJob:
        return AnswerJob(
            model=model,
            folder=folder,
            think=think,
            condition=condition,
            items=single if model == SINGLE else tuple(items),
            heard_track_ids=tuple(heard),
            tracks=tracks,
            batch_size=asking.batch_size,
            max_new_tokens=asking.max_new_tokens,
            seed=asking.seed,
            temperature=temperature,
        )

    folders = _folders(roots)
    return [
        *(job(name, folder, think) for name, (folder, think) in folders.items()),
        *(job(name, folder, think, temperature=1.0) for name, (folder, think) in folders.items()),
        job(EXAMINED, roots[EXAMINED], True, condition="shuffled", heard=shuffled_tracks(items, asking.seed)),
        job(SINGLE, roots["sft"], False, heard=[item.track_id for item in single]),
    ]


def _folders(roots: Mapping[str, Path]) -> dict[str, tuple[Path, bool]]:
    """Model -> (its folder, whether it thinks): warm-up and GRPO, and the controls that were trained."""
    folders = {name: (roots[name], True) for name in ("warmup", "grpo")}
    for name in (DIRECT, LONGER):
        if (folder := roots["warmup"] / CONTROLS_FOLDER / name).is_dir():
            folders[name] = folder, name == LONGER
    return folders


def score_thinking(
    jobs: Sequence[AnswerJob],
    said: Sequence[Sequence[Prediction]],
    exam: ThinkingExam | None,
    resamples: int,
    seed: int,
) -> ThinkingResults | None:
    """Score the jobs of `thinking_jobs`, with the ceiling by single answers; None where there were none."""
    if not jobs or exam is None:
        return None
    answers = {(job.model, job.condition, job.drawn): of_job for job, of_job in zip(jobs, said, strict=True)}
    single = answers.pop((SINGLE, "audio", "greedy"))
    answers[JOINED, "audio", "greedy"] = joined_by_logic(answers[EXAMINED, "audio", "greedy"], single)
    return thinking_results(answers, resamples, seed, exam.held_out)
