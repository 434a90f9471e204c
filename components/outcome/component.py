"""Write a page about how a run ended: which stages are done, what they gave, what failed and why."""

from kfp.dsl import HTML, Output, PipelineTaskFinalStatus, component

from components.images import ANNOTATE_IMAGE


@component(base_image=ANNOTATE_IMAGE, install_kfp_package=False)
def outcome(
    run: str,
    profile: str,
    status: PipelineTaskFinalStatus,
    page: Output[HTML],
) -> None:
    """Write a page about how a run ended: which stages are done, what they gave, what failed and why.

    Args:
        run: The run's id, under which all that its steps gave lies in the store.
        profile: The name of the profile that it was compiled for.
    """
    from pathlib import Path

    from music_flamingo.runs.summary_page import write_outcome

    write_outcome(run, profile, status.state, status.error_message or "", Path(page.path), page.uri)
