"""Ask about held-out pieces, graded by the score's truth, next to two controls."""

from kfp.dsl import Dataset, Input, Model, Output, component

from components.images import TRAIN_IMAGE


@component(base_image=TRAIN_IMAGE, install_kfp_package=False)
def evaluate(
    config: str,
    truth: Input[Dataset],
    tracks: Input[Dataset],
    sft_model: Input[Model],
    warmup_model: Input[Model],
    grpo_model: Input[Model],
    predictions: Output[Dataset],
    scores: Output[Dataset],
) -> None:
    """Ask about held-out pieces, graded by the score's truth, next to two controls.

    Args:
        config: The stage's parameters as JSON text (`mf params evaluate` prints them).
    """
    from pathlib import Path

    from music_flamingo.core.stage import execute
    from music_flamingo.stages import load

    execute(
        load("evaluate"),
        config,
        {
            "truth": Path(truth.path),
            "tracks": Path(tracks.path),
            "sft_model": Path(sft_model.path),
            "warmup_model": Path(warmup_model.path),
            "grpo_model": Path(grpo_model.path),
        },
        {"predictions": Path(predictions.path), "scores": Path(scores.path)},
    )
