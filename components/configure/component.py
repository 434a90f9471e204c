"""Split the parameters of a run into one JSON text a stage, so that each is cached by its own and by its code."""

from typing import NamedTuple

from kfp.dsl import component

from components.images import ANNOTATE_IMAGE


@component(base_image=ANNOTATE_IMAGE, install_kfp_package=False)
def configure(
    params: str,
) -> NamedTuple(  # type: ignore[valid-type]
    "Configs",
    [
        # derived: stages (make derive)
        ("ingest", str),
        ("facts", str),
        ("captions", str),
        ("synthesize", str),
        ("validate", str),
        ("speech", str),
        ("backbone", str),
        ("sft", str),
        ("reason", str),
        ("warmup", str),
        ("grpo", str),
        ("evaluate", str),
        ("release", str),
        ("report", str),
        # end of stages
    ],
):
    """Split the parameters of a run into one JSON text a stage.

    Args:
        params: All parameters as JSON text: {"facts": {...}, ...}.
    """
    import json

    from music_flamingo.runs.configured import configured
    from music_flamingo.stages import ORDER

    sections = json.loads(params)
    return tuple(configured(sections, stage) for stage in ORDER)  # type: ignore[return-value]
