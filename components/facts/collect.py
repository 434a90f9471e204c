"""Put the parts that branches made of `facts` together: the port of one process."""

from kfp.dsl import Artifact, Dataset, Input, Output, component

from components.images import ANNOTATE_IMAGE


@component(base_image=ANNOTATE_IMAGE, install_kfp_package=False)
def collect_facts(
    config: str,
    tracks: Input[Dataset],
    originals: Input[Artifact],
    parts: Input[list[Dataset]],
    facts: Output[Dataset],
) -> None:
    """Put the parts that branches made of `facts` together: the port of one process.

    Args:
        config: The stage's parameters as JSON text, as the branches had them.
    """
    from music_flamingo.runs.kfp_step import collect_step

    collect_step(
        "facts",
        config,
        {"tracks": tracks, "originals": originals},
        {"facts": facts},
        parts,
    )
