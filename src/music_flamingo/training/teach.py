"""One supervised run from tables to a model folder: what the stages `sft` and `warmup` share."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from music_flamingo.core.ports import InputFolder, OutputFolder, Table
from music_flamingo.core.ranks import is_first
from music_flamingo.core.stage import Metrics
from music_flamingo.model.context import Hearing
from music_flamingo.model.files import load_model, load_processor, save_model
from music_flamingo.records import Track
from music_flamingo.training import sft
from music_flamingo.training.batches import Branches, LessonCollator
from music_flamingo.training.distributed import join, leave
from music_flamingo.training.items import Curriculum, Item, curriculum
from music_flamingo.training.log import Line, log_lines, write_log, write_plan
from music_flamingo.training.plan import Lesson, WindowRule, plan_lessons
from music_flamingo.training.settings import Teaching
from music_flamingo.training.sounds import Recordings, SoundBank

log = logging.getLogger(__name__)

LAST_STEPS = 20
"""Loss and accuracy in the metrics are means over this many last steps."""


@dataclass(frozen=True)
class Lessons:
    """All that a supervised run sees, before any weight is loaded: what `teach` trains on and `mf inspect` shows."""

    taught: Curriculum
    heard: tuple[str, ...]
    """Ids of the tracks that are asked about."""
    recordings: Recordings
    hearing: Hearing
    lessons: list[Lesson]
    collator: LessonCollator


def prepare(
    stage: str, config: Teaching, items: Iterable[Item], tracks: Table[Track], start: InputFolder, *, min_answers: int
) -> Lessons:
    """The lessons of the whole run, in order, for the model of `start`. `min_answers`: see `curriculum`."""
    model_config, processor = load_processor(start.root)
    taught = curriculum(items, config.families, stage, min_answers=min_answers)
    for family, reason in sorted(taught.left_out.items()):
        log.warning("%s: family %s is left out: %s", stage, family, reason)
    recordings = Recordings([tracks])
    heard = tuple(sorted({item.track_id for item in taught.items}))
    hearing = Hearing.of(processor, model_config)
    lessons = _plan(config, taught, hearing, heard, recordings)
    branches, bank = Branches(processor, taught.items, config.branch_weight), SoundBank(processor, recordings)
    collator = LessonCollator(processor, lessons, bank, branches, config.packing, config.turns)
    return Lessons(taught, heard, recordings, hearing, lessons, collator)


def teach(stage: str, config: Teaching, prepared: Lessons, start: InputFolder, out: OutputFolder) -> Metrics:
    """Train the model of `start` on the lessons; leaves model/, log.jsonl and plan.json in `out`."""
    torch.set_num_threads(config.threads)
    join(config.hardware)
    _, processor = load_processor(start.root)
    model, history = sft.train(
        lambda: load_model(start.root)[0],
        processor,
        prepared.lessons,
        prepared.collator,
        config.optimiser,
        batch_size=config.batch_size,
        checkpoint_every=config.checkpoint_every,
        seed=config.seed,
        work=out.work / "checkpoints",
        label=stage,
        tuning=config.tuning,
        hardware=config.hardware,
        tracking=config.tracking,
    )
    leave()
    lines = log_lines(history)
    plan = {
        "families": prepared.taught.counts,
        "left_out": dict(prepared.taught.left_out),
        "num_tracks": len(prepared.heard),
        "windows": config.windows.model_dump(),
    }
    if is_first():
        save_model(model, processor, out.root)
        write_log(out.root, lines)
        write_plan(out.root, plan)
    return {**plan, "steps": len(lines), **last_means(lines, "loss", "accuracy")}


def _plan(
    config: Teaching, taught: Curriculum, hearing: Hearing, heard: Sequence[str], recordings: Recordings
) -> list[Lesson]:
    windows = config.windows
    return plan_lessons(
        taught.items,
        {track: recordings.length(track) for track in heard},
        hearing,
        WindowRule(windows.rule, round(windows.max_s * hearing.sample_rate_hz), windows.per_track),
        num_lessons=config.steps * config.batch_size,
        max_turns=config.max_turns,
        seed=config.seed,
        weights={track: recordings.weight(track) for track in heard},
    )


def last_means(lines: list[Line], *names: str) -> dict[str, float]:
    """Mean of each named value over the last steps of a log, where it was logged."""
    means = {}
    for name in names:
        values = [line[name] for line in lines[-LAST_STEPS:] if line.get(name) is not None]
        if values:
            means[name] = round(sum(values) / len(values), 4)
    return means
