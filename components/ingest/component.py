"""Find the songs of a source, decode and measure them, and pack the model's copy into shards."""

from kfp.dsl import Artifact, Dataset, Output, component

from components.images import ANNOTATE_IMAGE


@component(base_image=ANNOTATE_IMAGE, install_kfp_package=False)
def ingest(
    config: str,
    tracks: Output[Dataset],
    truth: Output[Dataset],
    originals: Output[Artifact],
) -> None:
    """Find the songs of a source, decode and measure them, and pack the model's copy into shards.

    Args:
        config: The stage's parameters as JSON text (`mf params ingest` prints them).
    """
    from music_flamingo.runs.kfp_step import run_step

    run_step(
        "ingest",
        config,
        {},
        {"tracks": tracks, "truth": truth, "originals": originals},
    )
