"""Fine-tune the backbone on MF-Skills."""

from kfp.dsl import Dataset, Input, Model, Output, component

from components.images import TRAIN_IMAGE


@component(base_image=TRAIN_IMAGE, install_kfp_package=False)
def sft(
    config: str,
    skills: Input[Dataset],
    tracks: Input[Dataset],
    backbone_model: Input[Model],
    sft_model: Output[Model],
) -> None:
    """Fine-tune the backbone on MF-Skills.

    Args:
        config: The stage's parameters as JSON text (`mf params sft` prints them).
    """
    from pathlib import Path

    from music_flamingo.cluster.steps import run_step
    from music_flamingo.stages import load

    run_step(
        load("sft"),
        config,
        {
            "skills": Path(skills.path),
            "tracks": Path(tracks.path),
            "backbone_model": Path(backbone_model.path),
        },
        {"sft_model": Path(sft_model.path)},
    )
