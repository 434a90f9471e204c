"""Reinforce what the rewards prefer: five samples a question, KL to the reference."""

from kfp.dsl import Dataset, Input, Model, Output, component

from components.images import TRAIN_IMAGE


@component(base_image=TRAIN_IMAGE, install_kfp_package=False)
def grpo(
    config: str,
    skills: Input[Dataset],
    think: Input[Dataset],
    tracks: Input[Dataset],
    warmup_model: Input[Model],
    grpo_model: Output[Model],
) -> None:
    """Reinforce what the rewards prefer: five samples a question, KL to the reference.

    Args:
        config: The stage's parameters as JSON text (`mf params grpo` prints them).
    """
    from pathlib import Path

    from music_flamingo.cluster.steps import run_step
    from music_flamingo.stages import load

    run_step(
        load("grpo"),
        config,
        {
            "skills": Path(skills.path),
            "think": Path(think.path),
            "tracks": Path(tracks.path),
            "warmup_model": Path(warmup_model.path),
        },
        {"grpo_model": Path(grpo_model.path)},
    )
