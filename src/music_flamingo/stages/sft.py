"""sft: supervised fine-tuning on MF-Skills (paper, section on post-training; stage table).

Reads questions, answers and audio of the training split; leaves model/ (safetensors and processor), log.jsonl (one
line a step) and plan.json (what was taught, what was left out and why).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from music_flamingo.core.ports import Folder, InputFolder, OutputFolder, Table
from music_flamingo.core.stage import Metrics, Stage
from music_flamingo.records import Example, Track
from music_flamingo.training.settings import Teaching

if TYPE_CHECKING:
    from music_flamingo.training.teach import Lessons


class SftConfig(Teaching):
    """Supervised fine-tuning (paper: batch 128, rate 1.5e-5, cosine, warm-up 0.03, one epoch)."""


def prepare(
    config: SftConfig,
    skills: Table[Example],
    tracks: Table[Track],
    backbone_model: InputFolder,
    scratch: Path | None = None,
) -> "Lessons":
    """All lessons of the run; `mf inspect sft` shows them."""
    from music_flamingo.training.items import item_of_example
    from music_flamingo.training.mixture import Source
    from music_flamingo.training.teach import prepare

    items = (item_of_example(e, think=False) for e in skills.ok() if e.split == "train")
    sources = [Source("skills", items, tracks, config.families)]
    return prepare("sft", config, sources, backbone_model, min_answers=2, scratch=scratch)


def run(
    config: SftConfig,
    skills: Table[Example],
    tracks: Table[Track],
    backbone_model: InputFolder,
    sft_model: OutputFolder,
) -> Metrics:
    from music_flamingo.training.teach import teach

    prepared = prepare(config, skills, tracks, backbone_model, sft_model.work)
    return teach("sft", config, prepared, backbone_model, sft_model)


STAGE = Stage(
    name="sft",
    config=SftConfig,
    inputs={"skills": Example, "tracks": Track, "backbone_model": Folder},
    outputs={"sft_model": Folder},
    run=run,
    code=("core/record.py", "records", "audio", "prompts", "scoring", "model", "training", "stages/sft.py"),
    many_ranks=True,
)
