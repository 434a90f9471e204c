"""Make or read utterances with their words, for the backbone to learn to hear words on."""

from kfp.dsl import Dataset, Output, component

from components.images import ANNOTATE_IMAGE


@component(base_image=ANNOTATE_IMAGE, install_kfp_package=False)
def speech(
    config: str,
    speech: Output[Dataset],
) -> None:
    """Make or read utterances with their words, for the backbone to learn to hear words on.

    Args:
        config: The stage's parameters as JSON text (`mf params speech` prints them).
    """
    from music_flamingo.runs.kfp_step import run_step

    run_step(
        "speech",
        config,
        {},
        {"speech": speech},
    )
