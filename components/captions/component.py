"""Describe every 30 s of each track: surface facts only."""

from kfp.dsl import Dataset, Input, Output, component

from components.images import ANNOTATE_IMAGE


@component(base_image=ANNOTATE_IMAGE, install_kfp_package=False)
def captions(
    config: str,
    tracks: Input[Dataset],
    facts: Input[Dataset],
    captions: Output[Dataset],
) -> None:
    """Describe every 30 s of each track: surface facts only.

    Args:
        config: The stage's parameters as JSON text (`mf params captions` prints them).
    """
    from pathlib import Path

    from music_flamingo.core.stage import execute
    from music_flamingo.stages import load

    execute(
        load("captions"),
        config,
        {"tracks": Path(tracks.path), "facts": Path(facts.path)},
        {"captions": Path(captions.path)},
    )
