"""Ask about held-out pieces, graded by the score's truth, next to two controls."""

from kfp.dsl import Dataset, Input, Model, Output, component

from components.images import TRAIN_IMAGE


@component(base_image=TRAIN_IMAGE, install_kfp_package=False)
def evaluate(
    config: str,
    truth: Input[Dataset],
    facts: Input[Dataset],
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
    from music_flamingo.runs.kfp_step import run_step

    run_step(
        "evaluate",
        config,
        {
            "truth": truth,
            "facts": facts,
            "tracks": tracks,
            "sft_model": sft_model,
            "warmup_model": warmup_model,
            "grpo_model": grpo_model,
        },
        {"predictions": predictions, "scores": scores},
    )
