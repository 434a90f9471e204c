"""Keep what agrees with the facts; file every reject under its reason."""

from kfp.dsl import Artifact, Dataset, Input, Output, component

from components.images import ANNOTATE_IMAGE


@component(base_image=ANNOTATE_IMAGE, install_kfp_package=False)
def validate(
    config: str,
    candidates: Input[Dataset],
    facts: Input[Dataset],
    tracks: Input[Dataset],
    parts: Input[list[Artifact]],
    skills: Output[Dataset],
    rejects: Output[Dataset],
    data_docs: Output[Artifact],
) -> None:
    """Keep what agrees with the facts; file every reject under its reason.

    Args:
        config: The stage's parameters as JSON text (`mf params validate` prints them).
        parts: What branches left of its first pass (`check_shards`).
    """
    from music_flamingo.runs.kfp_step import after_step

    after_step(
        "validate",
        config,
        {"candidates": candidates, "facts": facts, "tracks": tracks},
        {"skills": skills, "rejects": rejects, "data_docs": data_docs},
        parts,
    )
