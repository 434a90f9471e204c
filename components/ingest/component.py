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
    from pathlib import Path

    from music_flamingo.core.stage import execute
    from music_flamingo.stages import load

    execute(
        load("ingest"),
        config,
        {},
        {
            "tracks": Path(tracks.path),
            "truth": Path(truth.path),
            "originals": Path(originals.path),
        },
    )
