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
) -> None:
    """Turn captions and facts into rich captions and questions in five skills.

    Args:
        config: The stage's parameters as JSON text (`mf params synthesize` prints them).
    """
    from pathlib import Path

    from music_flamingo.core.stage import execute
    from music_flamingo.stages import load

    execute(
        load("synthesize"),
        config,
        {"tracks": Path(tracks.path), "facts": Path(facts.path), "captions": Path(captions.path)},
        {"candidates": Path(candidates.path)},
    )
