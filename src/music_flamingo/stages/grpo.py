"""grpo: group relative policy optimisation on MF-Think and MF-Skills (paper, section on post-training).

G answers are drawn to each question; each earns format + accuracy (captions: format + structured) and is compared
with its group. Leaves model/, log.jsonl (reward, its parts, KL, entropy ... a step), rollouts.jsonl (answers drawn,
with what each earned) and plan.json.
"""

from typing import TYPE_CHECKING

from music_flamingo.core.ports import Folder, InputFolder, OutputFolder, Table
from music_flamingo.core.stage import Metrics, Stage, StageTitle
from music_flamingo.records import Chain, Example, Track
from music_flamingo.training.settings import GrpoConfig

if TYPE_CHECKING:
    from music_flamingo.training.grpo.run import Questions


def prepare(
    config: GrpoConfig,
    skills: Table[Example],
    think: Table[Chain],
    tracks: Table[Track],
    warmup_model: InputFolder,
) -> "Questions":
    """All that may be asked; `mf inspect grpo` shows the first of it."""
    from music_flamingo.training.grpo.run import prepare

    hard = {chain.example_id: tuple(chain.heard) for chain in think.ok()}
    examples = (e for e in skills.ok() if e.split == "train" and e.family in config.families)
    return prepare("grpo", config, examples, hard, tracks, warmup_model)


def run(
    config: GrpoConfig,
    skills: Table[Example],
    think: Table[Chain],
    tracks: Table[Track],
    warmup_model: InputFolder,
    grpo_model: OutputFolder,
) -> Metrics:
    """Train by GRPO, starting from the warmed-up model."""
    from music_flamingo.training.grpo.run import train_grpo

    questions = prepare(config, skills, think, tracks, warmup_model)
    return train_grpo("grpo", config, questions, warmup_model, grpo_model)


STAGE = Stage(
    name="grpo",
    title=StageTitle("Training", "GRPO", "Several answers to each question; the rewards push the better ones."),
    config=GrpoConfig,
    inputs={"skills": Example, "think": Chain, "tracks": Track, "warmup_model": Folder},
    outputs={"grpo_model": Folder},
    run=run,
    many_ranks=True,
)
