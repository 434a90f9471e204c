"""warmup: learning to think aloud on MF-Think before GRPO (paper, section on post-training).

Targets are `<think>..</think><answer>..</answer>`; transcripts, where the mixture has speech, are said plainly. Leaves
model/, log.jsonl and plan.json as `sft` does.
"""

from typing import TYPE_CHECKING

from music_flamingo.core.ports import Folder, InputFolder, OutputFolder, Table
from music_flamingo.core.stage import Metrics, Stage
from music_flamingo.records import Chain, Track, Utterance
from music_flamingo.training.backbone.settings import SpeechTask
from music_flamingo.training.settings import SupervisedConfig

if TYPE_CHECKING:
    from music_flamingo.training.supervised import Lessons


class WarmupConfig(SupervisedConfig):
    """Chain-of-thought warm-up (paper: batch 128, rate 1e-5). Short: GRPO needs a model that still errs."""

    caption_families: tuple[str, ...]
    """Families whose answers are captions: one wording each, so that their answers are not counted as classes."""
    speech_tasks: dict[SpeechTask, float]
    """What is asked about utterances, where `mixture` gives `speech` a weight -> weight of its loss."""


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
    """Fine-tune on chains of thought before GRPO."""
    from music_flamingo.training.supervised import teach

    prepared = prepare(config, think, tracks, speech, sft_model)
    return teach("warmup", config, prepared, sft_model, warmup_model)


STAGE = Stage(
    name="warmup",
    config=WarmupConfig,
    inputs={"think": Chain, "tracks": Track, "speech": Utterance, "sft_model": Folder},
    outputs={"warmup_model": Folder},
    run=run,
    many_ranks=True,
)
