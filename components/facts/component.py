"""Measure beats, downbeats, tempo, meter, key, chords, sections, dynamics and sound on the originals."""

from kfp.dsl import Artifact, Dataset, Input, Output, component

from components.images import ANNOTATE_IMAGE


@component(base_image=ANNOTATE_IMAGE, install_kfp_package=False)
def facts(
    config: str,
    tracks: Input[Dataset],
    originals: Input[Artifact],
    facts: Output[Dataset],
    shards: str = "",
) -> None:
    """Measure beats, downbeats, tempo, meter, key, chords, sections, dynamics and sound on the originals.

    Args:
        config: The stage's parameters as JSON text (`mf params facts` prints them).
        shards: A branch works on these alone: `8-15`. All, where it is empty.
    """
    from music_flamingo.runs.kfp_step import run_step

    run_step(
        "facts",
        config,
        {"tracks": tracks, "originals": originals},
        {"facts": facts},
        shards,
    )
