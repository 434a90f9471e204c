"""Build the site that shows the whole run."""

from kfp.dsl import Artifact, Dataset, Input, Model, Output, component

from components.images import ANNOTATE_IMAGE


@component(base_image=ANNOTATE_IMAGE, install_kfp_package=False)
def report(
    config: str,
    tracks: Input[Dataset],
    truth: Input[Dataset],
    facts: Input[Dataset],
    captions: Input[Dataset],
    candidates: Input[Dataset],
    skills: Input[Dataset],
    rejects: Input[Dataset],
    data_docs: Input[Artifact],
    backbone_model: Input[Model],
    sft_model: Input[Model],
    think: Input[Dataset],
    think_rejects: Input[Dataset],
    warmup_model: Input[Model],
    grpo_model: Input[Model],
    predictions: Input[Dataset],
    scores: Input[Dataset],
    release: Input[Model],
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
            "truth": truth,
            "facts": facts,
            "captions": captions,
            "candidates": candidates,
            "skills": skills,
            "rejects": rejects,
            "data_docs": data_docs,
            "backbone_model": backbone_model,
            "sft_model": sft_model,
            "think": think,
            "think_rejects": think_rejects,
            "warmup_model": warmup_model,
            "grpo_model": grpo_model,
            "predictions": predictions,
            "scores": scores,
            "release": release,
        },
        {"site": site},
    )
