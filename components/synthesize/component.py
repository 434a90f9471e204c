"""Turn captions and facts into rich captions and questions in five skills."""

from kfp.dsl import Dataset, Input, Output, component

from components.images import ANNOTATE_IMAGE


@component(base_image=ANNOTATE_IMAGE, install_kfp_package=False)
def synthesize(
    config: str,
    tracks: Input[Dataset],
    facts: Input[Dataset],
    captions: Input[Dataset],
    candidates: Output[Dataset],
    shards: str = "",
) -> None:
    """Turn captions and facts into rich captions and questions in five skills.

    Args:
        config: The stage's parameters as JSON text (`mf params synthesize` prints them).
        shards: A branch works on these alone: `8-15`. All, where it is empty.
    """
    from music_flamingo.runs.kfp_step import run_step

    run_step(
        "synthesize",
        config,
        {"tracks": tracks, "facts": facts, "captions": captions},
        {"candidates": candidates},
        shards,
    )
