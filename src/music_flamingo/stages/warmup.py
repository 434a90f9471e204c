"""warmup: learning to think aloud on MF-Think before GRPO (paper, section on post-training).

Targets are `<think>..</think><answer>..</answer>`; transcripts, where the mixture has speech, are said plainly. Leaves
model/, log.jsonl and plan.json as `sft` does. On request two controls are trained as well, into controls/: `direct`
answers the composite questions of the chains without thinking, `longer` goes on with the warm-up where GRPO would
begin. What thinking and GRPO are worth is what they do beyond these.
"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from music_flamingo.core.parallel import alongside
from music_flamingo.core.ports import Folder, InputFolder, OutputFolder, Table
from music_flamingo.core.ranges import Count, NonNegative
from music_flamingo.core.ranks import num_ranks
from music_flamingo.core.stage import NOT_IDENTITY, Metrics, Stage, StageTitle
from music_flamingo.records import Chain, Track, Utterance
from music_flamingo.scoring.families import COMPOSITES
from music_flamingo.training.backbone.settings import SpeechTask
from music_flamingo.training.controls import ALONE, DIRECT, LONGER, control_folder
from music_flamingo.training.optimiser import TrainingSettings
from music_flamingo.training.settings import SupervisedConfig

if TYPE_CHECKING:
    from music_flamingo.training.supervised import Lessons


class ControlSteps(TrainingSettings):
    """How long the controls train: as much computing as what they are compared with."""

    direct: Count
    """Steps of answering plainly, from the SFT model: shorter targets, so more steps than the warm-up has."""
    longer: Count
    """Further steps of the warm-up, for as much computing as GRPO takes."""
    longer_threads: Count
    """Threads of those: they come last, when `direct` has left its core."""
    own_process: bool = Field(json_schema_extra=NOT_IDENTITY)
    """Train `direct` in a process of its own while the others train: another core, and as much memory again."""


class WarmupConfig(SupervisedConfig):
    """Chain-of-thought warm-up (paper: batch 128, rate 1e-5). Short: GRPO needs a model that still errs."""

    caption_families: tuple[str, ...]
    """Families whose answers are captions: one wording each, so that their answers are not counted as classes."""
    speech_tasks: dict[SpeechTask, NonNegative]
    """What is asked about utterances, where `mixture` gives `speech` a weight -> weight of its loss."""
    controls: ControlSteps | None
    """Null where they would cost too much."""


def prepare(
    config: WarmupConfig,
    think: Table[Chain],
    tracks: Table[Track],
    speech: Table[Utterance],
    sft_model: InputFolder,
) -> "Lessons":
    """All lessons of the run; `mf inspect warmup` shows them."""
    from music_flamingo.training.data.items import item_of_chain
    from music_flamingo.training.data.mixture import MixtureSource
    from music_flamingo.training.data.speech import speech_source
    from music_flamingo.training.supervised import prepare

    items = (
        item_of_chain(chain, is_caption=chain.family in config.caption_families)
        for chain in think.ok()
        if chain.split == "train"
    )
    # what is learned here is the form, so a family with one answer teaches as well
    sources = [MixtureSource("think", items, tracks, config.families), speech_source(speech, config.speech_tasks)]
    return prepare("warmup", config, sources, sft_model, min_answers=1)


def run(
    config: WarmupConfig,
    think: Table[Chain],
    tracks: Table[Track],
    speech: Table[Utterance],
    sft_model: InputFolder,
    warmup_model: OutputFolder,
) -> Metrics:
    """Fine-tune on chains of thought before GRPO; the controls as well, where they are wanted."""
    from music_flamingo.training.supervised import train_supervised

    def think_aloud(label: str, config: WarmupConfig, start: Path, out: Path, work: Path) -> Metrics:
        prepared = prepare(config, think, tracks, speech, sft_model)
        return train_supervised(label, config, prepared, start, out, work)

    own, steps = warmup_model.root, config.controls
    if steps is None:
        return think_aloud("warmup", config, sft_model.root, own, warmup_model.work)
    direct = partial(_train_direct, config, steps, think, tracks, sft_model, warmup_model)
    with alongside(direct, own_process=steps.own_process and num_ranks() == 1):
        metrics = think_aloud("warmup", config, sft_model.root, own, warmup_model.work)
        further = {"steps": steps.longer, "seed": config.seed + 1, "threads": steps.longer_threads}
        longer = config.model_copy(update=further)
        think_aloud(LONGER, longer, own, control_folder(own, LONGER), warmup_model.work / LONGER)
    return metrics


def _train_direct(
    config: WarmupConfig,
    steps: ControlSteps,
    think: Table[Chain],
    tracks: Table[Track],
    sft_model: InputFolder,
    warmup_model: OutputFolder,
) -> None:
    from music_flamingo.training.data.items import plain_item_of_chain
    from music_flamingo.training.data.mixture import MixtureSource
    from music_flamingo.training.supervised import prepare, train_supervised

    chains = (c for c in think.ok() if c.split == "train" and c.family in COMPOSITES)
    families = {name: weight for name, weight in config.families.items() if name in COMPOSITES}
    plain = [MixtureSource("think", map(plain_item_of_chain, chains), tracks, families)]
    direct = config.model_copy(update={"steps": steps.direct, "families": families, "mixture": ALONE})
    out, work = control_folder(warmup_model.root, DIRECT), warmup_model.work / DIRECT
    prepared = prepare(DIRECT, direct, plain, sft_model, min_answers=1)
    train_supervised(DIRECT, direct, prepared, sft_model.root, out, work)


STAGE = Stage(
    name="warmup",
    title=StageTitle("Training", "Warm-up", "The model learns to think aloud before it answers."),
    config=WarmupConfig,
    inputs={"think": Chain, "tracks": Track, "speech": Utterance, "sft_model": Folder},
    outputs={"warmup_model": Folder},
    run=run,
    many_ranks=True,
)
