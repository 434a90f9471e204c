"""Run a stage, or a branch of it, as a step of a Kubeflow pipeline: in a pod or by kfp.local.

The same door as everywhere, `execute`, with what a pod needs around it. What may be gone in a minute (a server that is
away, a worker that was killed) is tried again here, from the shards that the pod has already; all else fails at once,
and leaves its reason for the page about the run.
"""

import json
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from music_flamingo.cluster.steps import run_step as here_or_by_job
from music_flamingo.core.branches import collect
from music_flamingo.core.errors import TransientError
from music_flamingo.core.first_pass import execute_after, run_first_pass
from music_flamingo.core.manifest import finished_key
from music_flamingo.core.shards import parse_range
from music_flamingo.core.stage import execute
from music_flamingo.runs.configured import parameters_of
from music_flamingo.runs.store import write_beside
from music_flamingo.runs.summary_page import FAILURE_NAME
from music_flamingo.stages import load

log = logging.getLogger(__name__)

MOST_CHARACTERS = 4000
"""Of a failure's message on the run's page; the pod's log has it all."""
WAITS_S = (30.0, 120.0)
"""Before the second and the third try."""


class Artifact(Protocol):
    """An artifact of Kubeflow Pipelines: where it lies on this pod's disk and where in the store."""

    path: str
    uri: str


def run_step(
    name: str, config: str, inputs: Mapping[str, Artifact], outputs: Mapping[str, Artifact], shards: str = ""
) -> None:
    """Run the stage `name`, here or by a job of several pods; where `shards` is given (`8-15`), on these alone."""

    def work() -> None:
        own = parameters_of(config, name)
        if shards:
            execute(load(name), own, _paths(inputs), _paths(outputs), shards=parse_range(shards))
        else:
            here_or_by_job(load(name), own, _paths(inputs), _paths(outputs))

    _do(work, name, inputs, outputs, shards)


def first_pass_step(
    name: str, config: str, inputs: Mapping[str, Artifact], outputs: Mapping[str, Artifact], shards: str
) -> None:
    """Make the first pass of the stage `name` over a range of shards (`8-15`)."""

    def work() -> None:
        [root] = _paths(outputs).values()
        run_first_pass(load(name), parameters_of(config, name), _paths(inputs), root, shards)

    _do(work, name, inputs, outputs, shards)


def after_step(
    name: str,
    config: str,
    inputs: Mapping[str, Artifact],
    outputs: Mapping[str, Artifact],
    parts: Sequence[Artifact],
) -> None:
    """Run the stage `name`, whose first pass branches have made."""
    _from_parts(execute_after, name, config, inputs, outputs, parts)


def collect_step(
    name: str,
    config: str,
    inputs: Mapping[str, Artifact],
    outputs: Mapping[str, Artifact],
    parts: Sequence[Artifact],
) -> None:
    """Complete the port of the stage `name` from those of its branches."""
    _from_parts(collect, name, config, inputs, outputs, parts)


def _from_parts(
    door: Callable[..., bool],
    name: str,
    config: str,
    inputs: Mapping[str, Artifact],
    outputs: Mapping[str, Artifact],
    parts: Sequence[Artifact],
) -> None:
    def work() -> None:
        found = [Path(part.path) for part in parts]
        door(load(name), parameters_of(config, name), _paths(inputs), _paths(outputs), found)

    _do(work, name, inputs, outputs, "")


def _paths(artifacts: Mapping[str, Artifact]) -> dict[str, Path]:
    return {name: Path(artifact.path) for name, artifact in artifacts.items()}


def _do(
    work: Callable[[], None],
    name: str,
    inputs: Mapping[str, Artifact],
    outputs: Mapping[str, Artifact],
    shards: str,
) -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        _patiently(work)
    except Exception as error:
        _record(error, name, inputs, outputs, shards)
        raise


def _patiently(work: Callable[[], None]) -> None:
    """Do `work`, again after a pause where it fails for a reason that may pass."""
    for wait_s in WAITS_S:
        try:
            return work()
        except TransientError as error:
            log.warning("%s\nThis may pass: the next try is in %.0f s.", error, wait_s)
            time.sleep(wait_s)
    return work()


def _record(
    error: Exception, name: str, inputs: Mapping[str, Artifact], outputs: Mapping[str, Artifact], shards: str
) -> None:
    """Say why next to the ports, for the page that the run ends with: of a pod that failed nothing else is kept."""
    finished = [port for port, path in _paths(inputs).items() if finished_key(path)]
    reason = {
        "stage": name,
        "shards": shards,
        "kind": type(error).__name__,
        "message": str(error)[:MOST_CHARACTERS],
        "inputs": finished,
    }
    try:
        write_beside(next(iter(outputs.values())).uri, FAILURE_NAME, json.dumps(reason))
    except Exception as trouble:
        # the error itself must reach the log and Kubeflow, whatever the store says
        log.warning("the reason could not be written for the run's page: %s", trouble)
