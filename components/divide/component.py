"""Divide the shards of a catalogue among branches."""

from kfp.dsl import Dataset, Input, component

from components.images import ANNOTATE_IMAGE


@component(base_image=ANNOTATE_IMAGE, install_kfp_package=False)
def divide(
    port: Input[Dataset],
    branches: int,
) -> list[str]:
    """Divide the shards of a catalogue among branches.

    Args:
        port: Any table of the catalogue, for its shards' numbers; `truth` is a small one.
        branches: How many at most (1 to 32); fewer where there are fewer shards.

    Returns:
        A range a branch: ["0-7", "8-15"].
    """
    from pathlib import Path

    from music_flamingo.core import branches as core

    return core.divide(Path(port.path), branches)
