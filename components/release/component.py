"""Pass or refuse the model, and sign what passed."""

from kfp.dsl import Dataset, Input, Model, Output, component

from components.images import TRAIN_IMAGE


@component(base_image=TRAIN_IMAGE, install_kfp_package=False)
def release(
    config: str,
    scores: Input[Dataset],
    grpo_model: Input[Model],
    release: Output[Model],
) -> None:
    """Pass or refuse the model, and sign what passed.

    Args:
        config: The stage's parameters as JSON text (`mf params release` prints them).
    """
    from pathlib import Path

    from music_flamingo.core.stage import execute
    from music_flamingo.stages import load

    execute(
        load("release"),
        config,
        {"scores": Path(scores.path), "grpo_model": Path(grpo_model.path)},
        {"release": Path(release.path)},
    )
