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
    from music_flamingo.runs.kfp_step import run_step

    run_step(
        "release",
        config,
        {"scores": scores, "grpo_model": grpo_model},
        {"release": release},
    )
