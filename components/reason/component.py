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
    from pathlib import Path

    from music_flamingo.core.stage import execute
    from music_flamingo.stages import load

    execute(
        load("reason"),
        config,
        {
            "skills": Path(skills.path),
            "facts": Path(facts.path),
            "tracks": Path(tracks.path),
            "sft_model": Path(sft_model.path),
        },
        {"think": Path(think.path), "think_rejects": Path(think_rejects.path)},
    )
