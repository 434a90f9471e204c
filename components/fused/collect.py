"""Put the parts that branches made of `facts`, `captions` and `candidates` together: the ports of one process."""

from kfp.dsl import Artifact, Dataset, Input, Output, component

from components.images import ANNOTATE_IMAGE


@component(base_image=ANNOTATE_IMAGE, install_kfp_package=False)
def collect_annotation(
    facts_config: str,
    captions_config: str,
    synthesize_config: str,
    tracks: Input[Dataset],
    originals: Input[Artifact],
    facts_parts: Input[list[Dataset]],
    captions_parts: Input[list[Dataset]],
    candidates_parts: Input[list[Dataset]],
    facts: Output[Dataset],
    captions: Output[Dataset],
    candidates: Output[Dataset],
) -> None:
    """Put the parts that branches made of `facts`, `captions` and `candidates` together: the ports of one process.

    Args:
        facts_config: The parameters of `facts` as JSON text, as the branches had them.
        captions_config: Those of `captions`.
        synthesize_config: Those of `synthesize`.
    """
    from music_flamingo.runs.kfp_step import collect_step

    collect_step("facts", facts_config, {"tracks": tracks, "originals": originals}, {"facts": facts}, facts_parts)
    collect_step(
        "captions", captions_config, {"tracks": tracks, "facts": facts}, {"captions": captions}, captions_parts
    )
    collect_step(
        "synthesize",
        synthesize_config,
        {"tracks": tracks, "facts": facts, "captions": captions},
        {"candidates": candidates},
        candidates_parts,
    )
