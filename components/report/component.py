"""Build the site that shows the whole run."""

from kfp.dsl import Artifact, Dataset, Input, Model, Output, component

from components.images import ANNOTATE_IMAGE


@component(base_image=ANNOTATE_IMAGE, install_kfp_package=False)
def report(
    config: str,
    tracks: Input[Dataset],
    facts: Input[Dataset],
    captions: Input[Dataset],
    candidates: Input[Dataset],
    skills: Input[Dataset],
    rejects: Input[Dataset],
    think: Input[Dataset],
    think_rejects: Input[Dataset],
    backbone_model: Input[Model],
    sft_model: Input[Model],
    warmup_model: Input[Model],
    grpo_model: Input[Model],
    predictions: Input[Dataset],
    scores: Input[Dataset],
    truth: Input[Dataset],
    release: Input[Model],
    data_docs: Input[Artifact],
    site: Output[Artifact],
) -> None:
    """Build the site that shows the whole run.

    Args:
        config: The stage's parameters as JSON text (`mf params report` prints them).
    """
    from music_flamingo.runs.kfp_step import run_step

    run_step(
        "report",
        config,
        {
            "tracks": tracks,
            "facts": facts,
            "captions": captions,
            "candidates": candidates,
            "skills": skills,
            "rejects": rejects,
            "think": think,
            "think_rejects": think_rejects,
            "backbone_model": backbone_model,
            "sft_model": sft_model,
            "warmup_model": warmup_model,
            "grpo_model": grpo_model,
            "predictions": predictions,
            "scores": scores,
            "truth": truth,
            "release": release,
            "data_docs": data_docs,
        },
        {"site": site},
    )
