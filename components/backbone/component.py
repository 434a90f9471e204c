"""Make or load the audio language model that training starts from."""

from kfp.dsl import Dataset, Input, Model, Output, component

from components.images import TRAIN_IMAGE


@component(base_image=TRAIN_IMAGE, install_kfp_package=False)
def backbone(
    config: str,
    skills: Input[Dataset],
    backbone_model: Output[Model],
) -> None:
    """Make or load the audio language model that training starts from.

    Args:
        config: The stage's parameters as JSON text (`mf params backbone` prints them).
    """
    from pathlib import Path

    from music_flamingo.core.stage import execute
    from music_flamingo.stages import load

    execute(
        load("backbone"),
        config,
        {"skills": Path(skills.path)},
        {"backbone_model": Path(backbone_model.path)},
    )
