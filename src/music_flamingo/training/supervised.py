"""Run supervised training once, from tables to a model folder; shared by the stages `sft` and `warmup`."""

import logging
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from music_flamingo.core.ports import InputFolder
from music_flamingo.core.ranks import is_first
from music_flamingo.core.stage import Metrics
from music_flamingo.model.context import MARKS, Hearing
from music_flamingo.model.files import load_processor, save_trained
from music_flamingo.training.backend import supervised_backend
from music_flamingo.training.data.audio import Recordings, SoundBank
from music_flamingo.training.data.collator import Branches, LessonCollator
from music_flamingo.training.data.item_store import ItemStore
from music_flamingo.training.data.mixture import MixtureSource, TokenCounts, chosen, divided, mixed, shares, words_of
from music_flamingo.training.data.packing import Rows, filled
from music_flamingo.training.data.samples import WindowRule
from music_flamingo.training.data.schedule import TrainingSchedule
from music_flamingo.training.log import Line, log_lines, write_log, write_plan
from music_flamingo.training.scale.distributed import join, leave, starting_model
from music_flamingo.training.settings import SupervisedConfig

log = logging.getLogger(__name__)

LAST_STEPS = 20
"""Loss and accuracy in the metrics are means over this many last steps."""


@dataclass(frozen=True)
class Lessons:
    """All that a supervised run sees, before any weight is loaded: for training and for `mf inspect`."""

    item_store: ItemStore
    plan: TrainingSchedule
    sources: Sequence[str]
    """Their names, in the order of `plan.tables`."""
    recordings: Recordings
    hearing: Hearing
    lessons: TrainingSchedule | Rows
    """What a step takes `batch_size` of."""
    collator: LessonCollator


def prepare(
    stage: str,
    config: SupervisedConfig,
    sources: Sequence[MixtureSource],
    start: InputFolder,
    *,
    min_answers: int,
) -> Lessons:
    """The lessons of the whole run, in order, for the model of `start`. `min_answers`: see `ItemStore.write`."""
    model_config, processor = load_processor(start.root)
    taught = chosen(sources, config.mixture.sources, stage)
    families = {family: weight for source in taught for family, weight in source.families.items()}
    item_store = ItemStore.write([source.items for source in taught], families, stage, min_answers=min_answers)
    for family, reason in sorted(item_store.left_out.items()):
        log.warning("%s: family %s is left out: %s", stage, family, reason)
    tables = {source.recordings.root: source.recordings for source in taught}
    recordings = Recordings(list(tables.values()))
    hearing = _hearing(config, Hearing.of(processor, model_config))
    words = words_of(processor, item_store)
    rngs = [random.Random(config.seed) for _ in taught]
    by_source = divided(
        item_store, recordings.listing, hearing, _windows(config, hearing), words, rngs, config.max_turns
    )
    for source, of_source in zip(taught, by_source, strict=True):
        for reason, count in sorted(of_source.set_aside.items()):
            log.warning("%s: %d samples of %s are quarantined: %s", stage, count, source.name, reason)
    plan = TrainingSchedule(by_source, item_store)
    weights = [config.mixture.sources[source.name] for source in taught]
    parts = shares([of_source.num_samples for of_source in by_source], weights, config.mixture.temperature, stage)
    lessons = _fill(config, plan, mixed(plan, rngs, parts), hearing, words)
    even = {family for source in taught if source.is_even for family in source.families}
    branches = Branches(processor, (item for item in item_store if item.family not in even), config.branch_weight)
    packing = config.packing or config.fill is not None
    collator = LessonCollator(processor, lessons, SoundBank(processor, recordings), branches, packing, config.turns)
    return Lessons(item_store, plan, [source.name for source in taught], recordings, hearing, lessons, collator)


def _hearing(config: SupervisedConfig, hearing: Hearing) -> Hearing:
    """A lesson has no more room than a row."""
    limit = config.fill.max_tokens if config.fill else hearing.context_tokens
    return replace(hearing, context_tokens=min(hearing.context_tokens, limit))


def _windows(config: SupervisedConfig, hearing: Hearing) -> WindowRule:
    windows = config.windows
    return WindowRule(
        windows.rule,
        round(windows.max_s * hearing.sample_rate_hz),
        windows.per_track,
        config.context.on_overflow,
        config.context.whole_above,
    )


def _fill(
    config: SupervisedConfig, plan: TrainingSchedule, stream: Iterator[int], hearing: Hearing, words: TokenCounts
) -> TrainingSchedule | Rows:
    """Draw the lessons of all steps; in rows, where these have a budget."""
    wanted = config.steps * config.batch_size
    if config.fill is None:
        for _ in islice(stream, wanted):
            pass
        return plan

    def tokens(number: int) -> int:
        window = plan.window_of(number)
        sound = hearing.audio_tokens(window.end - window.start) + MARKS
        return sound + words.of_lesson(plan.rows_of(number), apart=config.turns == "isolated")

    rows = Rows(plan, config.fill.max_tokens)
    for row in islice(filled(stream, tokens, config.fill.max_tokens, config.fill.look_ahead), wanted):
        rows.add(*row)
    return rows


def train_supervised(
    stage: str, config: SupervisedConfig, prepared: Lessons, start: Path, out: Path, work: Path
) -> Metrics:
    """Train the model of `start` on the lessons; leaves model/, log.jsonl and plan.json in `out`.

    Checkpoints lie in `work`, from the last of which an interrupted run goes on.
    """
    torch.set_num_threads(config.threads)
    join(config.hardware)
    _, processor = load_processor(start)
    model, history = supervised_backend()(
        lambda: starting_model(start, config.tuning, config.hardware),
        processor,
        prepared.lessons,
        prepared.collator,
        config.optimiser,
        batch_size=config.batch_size,
        checkpoint_every=config.checkpoint_every,
        seed=config.seed,
        work=work / "checkpoints",
        label=stage,
        tuning=config.tuning,
        hardware=config.hardware,
        tracking=config.tracking,
    )
    leave()
    lines = log_lines(history)
    plan = planned(config, prepared)
    if is_first():
        save_trained(model, processor, out, start)
        write_log(out, lines)
        write_plan(out, plan)
    return {**plan, "steps": len(lines), **last_means(lines, "loss", "accuracy")}


def planned(config: SupervisedConfig, prepared: Lessons) -> dict[str, Any]:
    """What is taught, out of which sources, what is not and why."""
    plan, lessons = prepared.plan, prepared.lessons
    heard = {name for table in plan.tables for name in table.ids}
    facts: dict[str, Any] = {
        "families": prepared.item_store.counts,
        "left_out": dict(prepared.item_store.left_out),
        "num_tracks": len(heard),
        "windows": config.windows.model_dump(),
        "sources": {
            name: {
                "samples": table.num_samples,
                "lessons": plan.num_lessons_by_source[number],
                "epochs": round(plan.num_asked_by_source[number] / max(table.num_samples, 1), 2),
                "window_by_references": dict(sorted(table.own_windows.items())),
                "quarantined": dict(sorted(table.set_aside.items())),
            }
            for number, (name, table) in enumerate(zip(prepared.sources, plan.tables, strict=True))
        },
    }
    if isinstance(lessons, Rows):
        facts |= {"padding_waste": round(lessons.waste, 4), "lessons_per_row": round(lessons.lessons_per_row, 2)}
    return facts


def last_means(lines: list[Line], *names: str) -> dict[str, float]:
    """Mean of each named value over the last steps of a log, where it was logged."""
    means = {}
    for name in names:
        values = [line[name] for line in lines[-LAST_STEPS:] if line.get(name) is not None]
        if values:
            means[name] = round(sum(values) / len(values), 4)
    return means
