"""Measure beats, downbeats, tempo, meter, key, chords, sections, dynamics and sound on the originals."""

from kfp.dsl import Artifact, Dataset, Input, Output, component

from components.images import ANNOTATE_IMAGE


@component(base_image=ANNOTATE_IMAGE, install_kfp_package=False)
def facts(
    config: str,
    tracks: Input[Dataset],
    originals: Input[Artifact],
    facts: Output[Dataset],
) -> None:
    """Measure beats, downbeats, tempo, meter, key, chords, sections, dynamics and sound on the originals.

    Args:
        config: The stage's parameters as JSON text (`mf params facts` prints them).
    """
    from pathlib import Path

    from music_flamingo.core.stage import execute
    from music_flamingo.stages import load

    execute(
        load("facts"),
        config,
        {"tracks": Path(tracks.path), "originals": Path(originals.path)},
        {"facts": Path(facts.path)},
    )
