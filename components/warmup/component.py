"""Fine-tune the model on the chains of thought of MF-Think."""

from kfp.dsl import Dataset, Input, Model, Output, component

from components.images import TRAIN_IMAGE


@component(base_image=TRAIN_IMAGE, install_kfp_package=False)
def warmup(
    config: str,
    think: Input[Dataset],
    tracks: Input[Dataset],
    speech: Input[Dataset],
    sft_model: Input[Model],
    warmup_model: Output[Model],
) -> None:
    """Fine-tune the model on the chains of thought of MF-Think.

    Args:
        config: The stage's parameters as JSON text (`mf params warmup` prints them).
    """
    from music_flamingo.runs.kfp_step import run_step

    run_step(
        "warmup",
        config,
        {"think": think, "tracks": tracks, "speech": speech, "sft_model": sft_model},
        {"warmup_model": warmup_model},
    )
