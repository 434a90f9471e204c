"""Make or load the audio language model that training starts from, and let it learn from speech."""

from kfp.dsl import Dataset, Input, Model, Output, component

from components.images import TRAIN_IMAGE


@component(base_image=TRAIN_IMAGE, install_kfp_package=False)
def backbone(
    config: str,
    skills: Input[Dataset],
    speech: Input[Dataset],
    backbone_model: Output[Model],
) -> None:
    """Make or load the audio language model that training starts from, and let it learn from speech.

    Args:
        config: The stage's parameters as JSON text (`mf params backbone` prints them).
    """
    from music_flamingo.runs.kfp_step import run_step

    run_step(
        "backbone",
        config,
        {"skills": skills, "speech": speech},
        {"backbone_model": backbone_model},
    )
