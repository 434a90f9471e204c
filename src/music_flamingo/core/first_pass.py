"""First passes: what a stage does to each shard alone, done by branches before the stage itself looks at all of them.

A branch writes the files that the first pass leaves of its range into a port of its own, under the key of the stage on
that part of its inputs. The stage takes them in under its own key, as if an interrupted run had left them, and goes on
from there: its ports and their digests are those of one process.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from music_flamingo.core import manifest as manifests
from music_flamingo.core.branches import copy_missing
from music_flamingo.core.errors import ConfigError, CorruptDataError
from music_flamingo.core.manifest import WORK_NAME, Manifest
from music_flamingo.core.shards import parse_range
from music_flamingo.core.stage import Stage, execute, open_input, parse_config, read_inputs

log = logging.getLogger(__name__)

PORT = "first_pass"
"""The port of a branch that made a first pass."""
PARTS = "_first_pass"
"""Folder next to the ports, in which `mf run STAGE --shards` leaves its parts."""


def run_first_pass(stage: Stage, config_json: str, inputs: Mapping[str, Path], root: Path, shards: str) -> bool:
    """Make the first pass of `stage` over a range of shards (`8-15`) into the port `root`; False where it is there.

    Raises ConfigError for a stage without a first pass.
    """
    if stage.first_pass is None:
        raise ConfigError(f"stage `{stage.name}` has no first pass: run it whole, or in the pipeline's branches.")
    config = parse_config(stage, config_json)
    read = read_inputs(stage, inputs, parse_range(shards))
    digests = {name: manifest.digest for name, manifest in read.items()}
    key = stage.key(config, digests)
    if manifests.finished_key(root) == key:
        return False
    for name, manifest in read.items():
        manifests.verify_files(inputs[name], manifest)
    manifests.begin(root, key)
    stage.first_pass(config, *(open_input(port, inputs[name], read[name]) for name, port in stage.inputs.items()), root)
    files = manifests.list_files(root)
    made = Manifest(
        stage=stage.name,
        port=PORT,
        record="folder",
        key=key,
        config=config.identity(),
        inputs={**digests, PORT: shards},
        files=files,
        num_records=None,
        status={},
        metrics={},
        digest=manifests.files_digest(files),
    )
    manifests.complete(root, made)
    return True


def execute_after(
    stage: Stage,
    config_json: str,
    inputs: Mapping[str, Path],
    outputs: Mapping[str, Path],
    parts: Sequence[Path],
    config_now: Callable[[], str] | None = None,
) -> bool:
    """Run a stage whose first pass lies in `parts`; False where its outputs were there. What no part has is made here.

    Raises CorruptDataError for a part of other work than this, or of damaged bytes.
    """
    if parts:
        _take_all(stage, config_json, inputs, next(iter(outputs.values())), parts)
    return execute(stage, config_json, inputs, outputs, config_now=config_now)


def _take_all(stage: Stage, config_json: str, inputs: Mapping[str, Path], root: Path, parts: Sequence[Path]) -> None:
    config = parse_config(stage, config_json)
    key = stage.key(config, {name: m.digest for name, m in read_inputs(stage, inputs).items()})
    if manifests.finished_key(root) != key:
        taken = [(part, _checked(stage, config_json, inputs, part)) for part in parts]
        manifests.begin(root, key)
        for part, made in taken:
            _take(part, made, root / WORK_NAME)


def parts_beside(stage: Stage, config_json: str, inputs: Mapping[str, Path], data: Path) -> list[Path]:
    """Give the parts under `data` that belong to this very work; others are left aside, with a line in the log."""
    found = sorted(path.parent for path in (data / PARTS / stage.name).glob(f"*/{manifests.MANIFEST_NAME}"))
    fitting = []
    for part in found:
        try:
            _checked(stage, config_json, inputs, part)
        except CorruptDataError as error:
            log.warning("%s", error)
        else:
            fitting.append(part)
    return fitting


def _checked(stage: Stage, config_json: str, inputs: Mapping[str, Path], part: Path) -> Manifest:
    made = manifests.verify(part)
    shards = made.inputs.get(PORT, "")
    of_part = read_inputs(stage, inputs, parse_range(shards))
    key = stage.key(parse_config(stage, config_json), {name: m.digest for name, m in of_part.items()})
    if made.key != key:
        raise CorruptDataError(
            f"{part} holds the first pass of `{made.stage}` over the shards {shards}, made from other inputs, "
            f"parameters or code than `{stage.name}` is asked for. Make it again."
        )
    return made


def _take(part: Path, made: Manifest, work: Path) -> None:
    copy_missing(part, made, work)
    log.info("%s: the first pass over the shards %s is taken from %s", made.stage, made.inputs[PORT], part)
