"""Describe a range of shards and write its questions, in one pod: `captions`, then `synthesize`."""

from kfp.dsl import Dataset, Input, Output, component

from components.images import ANNOTATE_IMAGE


@component(base_image=ANNOTATE_IMAGE, install_kfp_package=False)
def captions_synthesize(
    captions_config: str,
    synthesize_config: str,
    tracks: Input[Dataset],
    facts: Input[Dataset],
    captions: Output[Dataset],
    candidates: Output[Dataset],
    shards: str = "",
) -> None:
    """Describe a range of shards and write its questions, in one pod: `captions`, then `synthesize`.

    Args:
        captions_config: The parameters of `captions` as JSON text.
        synthesize_config: The parameters of `synthesize` as JSON text.
        shards: A branch works on these alone: `8-15`. All, where it is empty.
    """
    from music_flamingo.runs.kfp_step import run_step

    run_step("captions", captions_config, {"tracks": tracks, "facts": facts}, {"captions": captions}, shards)
    run_step(
        "synthesize",
        synthesize_config,
        {"tracks": tracks, "facts": facts, "captions": captions},
        {"candidates": candidates},
        shards,
    )
