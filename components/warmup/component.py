"""Teach the model to think aloud on MF-Think."""

from kfp.dsl import Dataset, Input, Model, Output, component

from components.images import TRAIN_IMAGE


@component(base_image=TRAIN_IMAGE, install_kfp_package=False)
def warmup(
    config: str,
    think: Input[Dataset],
    tracks: Input[Dataset],
    sft_model: Input[Model],
    warmup_model: Output[Model],
) -> None:
    """Teach the model to think aloud on MF-Think.

    Args:
        config: The stage's parameters as JSON text (`mf params warmup` prints them).
    """
    from pathlib import Path

    from music_flamingo.cluster.steps import run_step
    from music_flamingo.stages import load

    run_step(
        load("warmup"),
        config,
        {
            "think": Path(think.path),
            "tracks": Path(tracks.path),
            "sft_model": Path(sft_model.path),
        },
        {"warmup_model": Path(warmup_model.path)},
    )
