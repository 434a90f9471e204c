"""Run GRPO once, from tables to a model folder."""

import logging
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from music_flamingo.core.ports import InputFolder, OutputFolder, Table
from music_flamingo.core.progress import Progress
from music_flamingo.core.ranks import is_first
from music_flamingo.core.stage import Metrics
from music_flamingo.model.chat import Turn, tokenise
from music_flamingo.model.context import MARKS, Hearing
from music_flamingo.model.files import load_model, load_processor, save_trained
from music_flamingo.model.listener import Ask, Listener
from music_flamingo.records import Example, Track
from music_flamingo.records.chain import HeardClaim
from music_flamingo.rewards.judge import PARTS, can_be_scored
from music_flamingo.scoring.families.combinations import ASKED, combinations_asked
from music_flamingo.training.backend import grpo_backend
from music_flamingo.training.data.audio import Recordings, SoundBank
from music_flamingo.training.data.items import Curriculum, TrainingItem, curriculum, item_of_example
from music_flamingo.training.data.samples import WindowRule
from music_flamingo.training.grpo.prompts import (
    AskedFirst,
    asked_first,
    draw_prompts,
    interleave,
    most_doubtful,
    within_reach,
)
from music_flamingo.training.grpo.rollouts import collect
from music_flamingo.training.grpo.tasks import GrpoPrompt, rules_of, task_of
from music_flamingo.training.log import log_lines, write_log, write_plan
from music_flamingo.training.scale.distributed import device_of, from_first, join, leave, starting_model
from music_flamingo.training.settings import GrpoConfig
from music_flamingo.training.supervised import last_means

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Questions:
    """What GRPO may ask, before any weight is loaded: what `train_grpo` draws from and `mf inspect` shows."""

    processor: Any
    taught: Curriculum
    heard: tuple[str, ...]
    """Ids of the tracks that are asked about."""
    recordings: Recordings
    hearing: Hearing
    bank: SoundBank
    hard: Collection[str]
    """Ids of the examples in MF-Think."""
    first: AskedFirst
    """Ids of the examples that are asked before the rest."""
    num_unscorable: int
    """Examples that no part of the reward can be computed for: they are not asked."""
    must_hear: Mapping[str, tuple[int, int]]
    """Samples that an item (by id) must hear; of others any segment will do."""
    quarantined: Mapping[str, int]
    """Why items are not asked that neither window nor context has room for -> how many."""


def prepare(
    stage: str,
    config: GrpoConfig,
    examples: Iterable[Example],
    hard: Mapping[str, tuple[HeardClaim, ...]],
    tracks: Table[Track],
    start: InputFolder,
) -> Questions:
    """Select and order the questions that GRPO asks, with audio and prompts; unscorable ones are dropped.

    `hard`: the examples of MF-Think by id, each with what was measured when.
    """
    model_config, processor = load_processor(start.root)
    items = [replace(item_of_example(e, think=True), heard=hard.get(e.id, ())) for e in examples]
    scorable = [item for item in items if can_be_scored(task_of(item), rules_of(config))]
    if unscorable := len(items) - len(scorable):
        log.warning("%s: %d examples are left out: no reward applies to them", stage, unscorable)
    recordings, hearing = Recordings([tracks]), Hearing.of(processor, model_config)
    lengths = {i.track_id: recordings.length(i.track_id) for i in scorable if i.track_id in recordings}
    room = _room(config, processor, hearing)
    items, must_hear, quarantined = within_reach(scorable, lengths, hearing, _windows(config, hearing), room)
    for reason, count in sorted(quarantined.items()):
        log.warning("%s: %d questions are quarantined: %s", stage, count, reason)
    taught = curriculum(items, config.families, stage)
    for family, reason in sorted(taught.left_out.items()):
        log.warning("%s: family %s is left out: %s", stage, family, reason)
    heard, bank = tuple(sorted({item.track_id for item in taught.items})), SoundBank(processor, recordings)
    return Questions(
        processor,
        taught,
        heard,
        recordings,
        hearing,
        bank,
        hard,
        asked_first(items, hard, config.ask_first),
        unscorable,
        must_hear,
        dict(sorted(quarantined.items())),
    )


def _windows(config: GrpoConfig, hearing: Hearing) -> WindowRule:
    windows, rule = config.windows, config.context
    max_samples = round(windows.max_s * hearing.sample_rate_hz)
    return WindowRule(windows.rule, max_samples, windows.per_track, rule.on_overflow, rule.whole_above)


def _room(config: GrpoConfig, processor: Any, hearing: Hearing) -> Callable[[TrainingItem], int]:
    return lambda item: hearing.room_for_audio(
        len(tokenise(processor, (Turn(item.prompt, None),), 0).ids) - MARKS + config.max_completion_tokens
    )


def train_grpo(
    stage: str,
    config: GrpoConfig,
    questions: Questions,
    start: InputFolder,
    out: OutputFolder,
) -> Metrics:
    """Train the model of `start`; leaves model/, log.jsonl, rollouts.jsonl and plan.json."""
    torch.set_num_threads(config.threads)
    join(config.hardware)
    prompts = from_first(lambda: plan_prompts(config, questions, _listener(config, start)))
    work = out.work / "checkpoints"
    processor = questions.processor
    model, history = grpo_backend()(
        lambda: starting_model(start.root, config.tuning, config.hardware),
        processor,
        prompts,
        questions.bank,
        config,
        work=work,
        label=stage,
    )
    leave()
    lines = log_lines(history)
    plan = {
        "families": questions.taught.counts,
        "left_out": dict(questions.taught.left_out),
        "num_tracks": len(questions.heard),
        "num_prompts": len(prompts),
        "num_prompts_of_think": sum(prompt.item.id in questions.hard for prompt in prompts),
        "num_unscorable": questions.num_unscorable,
        "num_window_by_references": len(questions.must_hear),
        "quarantined": dict(sorted(questions.quarantined.items())),
        "windows": config.windows.model_dump(),
    }
    if is_first():
        plan["num_rollouts"] = collect(work, out.root)
        save_trained(model, processor, out.root, start.root)
        write_log(out.root, lines)
        asked = ((item.family, item.question) for item in questions.taught.items)
        write_plan(out.root, {**plan, ASKED: combinations_asked(asked)})
    names = ("reward", *(f"reward_{part}" for part in PARTS), "kl", "entropy")
    counted = {f"num_{name}": int(sum(line.get(name, 0) for line in lines)) for name in ("redrawn", "passed_over")}
    return {**plan, **counted, "steps": len(lines), **last_means(lines, *names)}


def _listener(config: GrpoConfig, start: InputFolder) -> Listener | None:
    """Where more is drawn than is asked: who says which questions are doubtful."""
    if config.candidates <= 1:
        return None
    model, processor = load_model(start.root)
    return Listener(model.to(device_of(config.hardware)), processor)


def plan_prompts(config: GrpoConfig, questions: Questions, listener: Listener | None) -> list[GrpoPrompt]:
    """The questions of the whole run in order, `prompts_per_step` for each draw.

    Without a listener nobody says which candidates are doubtful, and the first ones drawn are kept.
    """
    wanted = config.steps // config.updates_per_draw * config.prompts_per_step
    candidates = draw_prompts(
        questions.taught.items,
        questions.first,
        config.families,
        {track: questions.recordings.length(track) for track in questions.heard},
        questions.hearing,
        _windows(config, questions.hearing),
        weights={track: questions.recordings.weight(track) for track in questions.heard},
        must_hear=questions.must_hear,
        count=math.ceil(wanted * config.candidates),
        seed=config.seed,
    )
    with Progress("grpo: choosing", sum(map(len, candidates.values())), "questions") as progress:
        kept = {}
        for family, drawn in candidates.items():
            keep = math.ceil(len(drawn) / config.candidates)
            sure = [0.0] * len(drawn)
            if listener is not None and keep < len(drawn):
                sure = sureness(listener, questions.bank, drawn, config.batch_size)
            kept[family] = most_doubtful(drawn, sure, keep)
            progress.advance(len(drawn))
    return interleave(kept, config.seed)[:wanted]


def sureness(listener: Listener, bank: SoundBank, prompts: Sequence[GrpoPrompt], batch_size: int) -> list[float]:
    """The probability of the likeliest option, answered plainly; 0 for questions without options."""
    asks = [Ask(bank.samples(p.window), p.item.question, p.item.options, think=False) for p in prompts]
    closed = [i for i, p in enumerate(prompts) if p.item.options]
    probabilities = listener.option_probabilities([asks[i] for i in closed], batch_size=batch_size)
    sure = [0.0] * len(prompts)
    for i, values in zip(closed, probabilities, strict=True):
        sure[i] = max(values)
    return sure
