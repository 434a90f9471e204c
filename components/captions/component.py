"""Describe every 30 s of each track: surface facts only."""

from kfp.dsl import Dataset, Input, Output, component

from components.images import ANNOTATE_IMAGE


@component(base_image=ANNOTATE_IMAGE, install_kfp_package=False)
def captions(
    config: str,
    tracks: Input[Dataset],
    facts: Input[Dataset],
    captions: Output[Dataset],
    shards: str = "",
) -> None:
    """Describe every 30 s of each track: surface facts only.

    Args:
        config: The stage's parameters as JSON text (`mf params captions` prints them).
        shards: A branch works on these alone: `8-15`. All, where it is empty.
    """
    from music_flamingo.runs.kfp_step import run_step

    run_step(
        "captions",
        config,
        {"tracks": tracks, "facts": facts},
        {"captions": captions},
        shards,
    )
