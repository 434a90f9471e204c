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
    from pathlib import Path

    from music_flamingo.core.stage import execute
    from music_flamingo.stages import load

    execute(
        load("report"),
        config,
        {
            "tracks": Path(tracks.path),
            "truth": Path(truth.path),
            "facts": Path(facts.path),
            "captions": Path(captions.path),
            "candidates": Path(candidates.path),
            "skills": Path(skills.path),
            "rejects": Path(rejects.path),
            "data_docs": Path(data_docs.path),
            "sft_model": Path(sft_model.path),
            "think": Path(think.path),
            "think_rejects": Path(think_rejects.path),
            "warmup_model": Path(warmup_model.path),
            "grpo_model": Path(grpo_model.path),
            "predictions": Path(predictions.path),
            "scores": Path(scores.path),
            "release": Path(release.path),
        },
        {"site": Path(site.path)},
    )
