"""Put the parts that branches made of `captions` together: the port of one process."""

from kfp.dsl import Dataset, Input, Output, component

from components.images import ANNOTATE_IMAGE


@component(base_image=ANNOTATE_IMAGE, install_kfp_package=False)
def collect_captions(
    config: str,
    tracks: Input[Dataset],
    facts: Input[Dataset],
    parts: Input[list[Dataset]],
    captions: Output[Dataset],
) -> None:
    """Put the parts that branches made of `captions` together: the port of one process.

    Args:
        config: The stage's parameters as JSON text, as the branches had them.
    """
    from music_flamingo.runs.kfp_step import collect_step

    collect_step(
        "captions",
        config,
        {"tracks": tracks, "facts": facts},
        {"captions": captions},
        parts,
    )
