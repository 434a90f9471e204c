"""Train the policy by GRPO: five answers a question, compared by their rewards, with KL to the reference."""

from kfp.dsl import Dataset, Input, Model, Output, component

from components.images import TRAIN_IMAGE


@component(base_image=TRAIN_IMAGE, install_kfp_package=False)
def grpo(
    config: str,
    skills: Input[Dataset],
    think: Input[Dataset],
    tracks: Input[Dataset],
    warmup_model: Input[Model],
    grpo_model: Output[Model],
) -> None:
    """Train the policy by GRPO: five answers a question, compared by their rewards, with KL to the reference.

    Args:
        config: The stage's parameters as JSON text (`mf params grpo` prints them).
    """
    from music_flamingo.runs.kfp_step import run_step

    run_step(
        "grpo",
        config,
        {"skills": skills, "think": think, "tracks": tracks, "warmup_model": warmup_model},
        {"grpo_model": grpo_model},
    )
