"""Make the first pass of `validate` over a range of shards, for `validate` to go on from."""

from kfp.dsl import Artifact, Dataset, Input, Output, component

from components.images import ANNOTATE_IMAGE


@component(base_image=ANNOTATE_IMAGE, install_kfp_package=False)
def check_shards(
    config: str,
    candidates: Input[Dataset],
    facts: Input[Dataset],
    tracks: Input[Dataset],
    first_pass: Output[Artifact],
    shards: str,
) -> None:
    """Make the first pass of `validate` over a range of shards, for `validate` to go on from.

    Args:
        config: The parameters of `validate` as JSON text.
        shards: The range, first and last: `8-15`.
    """
    from music_flamingo.runs.kfp_step import first_pass_step

    first_pass_step(
        "validate",
        config,
        {"candidates": candidates, "facts": facts, "tracks": tracks},
        {"first_pass": first_pass},
        shards,
    )
