"""One GRPO run from tables to a model folder."""

import logging
import math
from collections.abc import Collection, Iterable, Sequence

import torch

from music_flamingo.core.ports import InputFolder, OutputFolder, Table
from music_flamingo.core.progress import Progress
from music_flamingo.core.stage import Metrics
from music_flamingo.model.files import load_model, save_model
from music_flamingo.model.listener import Ask, Listener
from music_flamingo.records import Example, Track
from music_flamingo.training import grpo
from music_flamingo.training.grpo import Prompt
from music_flamingo.training.items import Curriculum, curriculum, item_of_example
from music_flamingo.training.log import log_lines, write_log, write_plan
from music_flamingo.training.plan import WindowRule
from music_flamingo.training.prompts import draw_prompts, interleave, most_doubtful
from music_flamingo.training.settings import Reinforcing
from music_flamingo.training.sounds import SoundBank, num_samples_of, read_tracks
from music_flamingo.training.teach import last_means

log = logging.getLogger(__name__)


def reinforce(
    stage: str,
    config: Reinforcing,
    examples: Iterable[Example],
    hard: Collection[str],
    tracks: Table[Track],
    start: InputFolder,
    out: OutputFolder,
) -> Metrics:
    """Train the model of `start`; leaves model/, log.jsonl and plan.json. `hard`: ids of the examples in MF-Think."""
    torch.set_num_threads(config.threads)
    model, processor = load_model(start.root)
    taught = curriculum((item_of_example(e, think=True) for e in examples), config.families, stage)
    for family, reason in sorted(taught.left_out.items()):
        log.warning("%s: family %s is left out: %s", stage, family, reason)
    heard = read_tracks(tracks, {item.track_id for item in taught.items})
    bank = SoundBank(processor, heard)
    listener = Listener(model, processor)
    prompts = plan_prompts(config, taught, hard, num_samples_of(heard), listener, bank)
    history = grpo.train(model, processor, prompts, bank, config, work=out.work / "checkpoints", label=stage)
    lines = log_lines(history)
    save_model(model, processor, out.root)
    write_log(out.root, lines)
    plan = {
        "families": taught.counts,
        "left_out": dict(taught.left_out),
        "num_tracks": len(heard),
        "num_prompts": len(prompts),
        "num_prompts_of_think": sum(prompt.item.id in hard for prompt in prompts),
        "windows": config.windows.model_dump(),
    }
    write_plan(out.root, plan)
    names = ("reward", "reward_format", "reward_accuracy", "reward_structured", "kl", "entropy")
    return {**plan, "steps": len(lines), **last_means(lines, *names)}


def plan_prompts(
    config: Reinforcing,
    taught: Curriculum,
    hard: Collection[str],
    num_samples: dict[str, int],
    listener: Listener,
    bank: SoundBank,
) -> list[Prompt]:
    """The questions of the whole run in order, `steps` times `prompts_per_step`."""
    windows = config.windows
    max_samples = round(windows.max_s * listener.hearing.sample_rate_hz)
    wanted = config.steps * config.prompts_per_step * config.optimiser.accumulation
    candidates = draw_prompts(
        taught.items,
        hard,
        config.families,
        num_samples,
        listener.hearing,
        WindowRule(windows.rule, max_samples, windows.per_track),
        count=math.ceil(wanted * config.candidates),
        seed=config.seed,
    )
    with Progress("grpo: choosing", sum(map(len, candidates.values())), "questions") as progress:
        kept = {}
        for family, drawn in candidates.items():
            keep = math.ceil(len(drawn) / config.candidates)
            sure = sureness(listener, bank, drawn, config.batch_size) if keep < len(drawn) else [0.0] * len(drawn)
            kept[family] = most_doubtful(drawn, sure, keep)
            progress.advance(len(drawn))
    return interleave(kept, config.seed)[:wanted]


def sureness(listener: Listener, bank: SoundBank, prompts: Sequence[Prompt], batch_size: int) -> list[float]:
    """The probability of the likeliest option, answered plainly; 0 for questions without options."""
    asks = [Ask(bank.samples(p.window), p.item.question, p.item.options, think=False) for p in prompts]
    closed = [i for i, p in enumerate(prompts) if p.item.options]
    probabilities = listener.option_probabilities([asks[i] for i in closed], batch_size=batch_size)
    sure = [0.0] * len(prompts)
    for i, values in zip(closed, probabilities, strict=True):
        sure[i] = max(values)
    return sure
