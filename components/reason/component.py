"""Write chains of thought for hard questions and check each step with the model."""

from kfp.dsl import Dataset, Input, Model, Output, component

from components.images import ANNOTATE_IMAGE


@component(base_image=ANNOTATE_IMAGE, install_kfp_package=False)
def reason(
    config: str,
    skills: Input[Dataset],
    facts: Input[Dataset],
    tracks: Input[Dataset],
    sft_model: Input[Model],
    think: Output[Dataset],
    think_rejects: Output[Dataset],
) -> None:
    """Write chains of thought for hard questions and check each step with the model.

    Args:
        config: The stage's parameters as JSON text (`mf params reason` prints them).
    """
    from music_flamingo.runs.kfp_step import run_step

    run_step(
        "reason",
        config,
        {"skills": skills, "facts": facts, "tracks": tracks, "sft_model": sft_model},
        {"think": think, "think_rejects": think_rejects},
    )
