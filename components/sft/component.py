"""Fine-tune the backbone on MF-Skills."""

from kfp.dsl import Dataset, Input, Model, Output, component

from components.images import TRAIN_IMAGE


@component(base_image=TRAIN_IMAGE, install_kfp_package=False)
def sft(
    config: str,
    skills: Input[Dataset],
    tracks: Input[Dataset],
    speech: Input[Dataset],
    backbone_model: Input[Model],
    sft_model: Output[Model],
) -> None:
    """Fine-tune the backbone on MF-Skills.

    Args:
        config: The stage's parameters as JSON text (`mf params sft` prints them).
    """
    from music_flamingo.runs.kfp_step import run_step

    run_step(
        "sft",
        config,
        {"skills": skills, "tracks": tracks, "speech": speech, "backbone_model": backbone_model},
        {"sft_model": sft_model},
    )
