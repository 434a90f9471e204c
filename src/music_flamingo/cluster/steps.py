"""Run a pipeline's training stage: in this pod, or by a multi-pod job where the step has one.

The pipeline says so by the variable MF_JOB (JobSettings as JSON); without it the stage runs here, through `execute`.
A job's pods cannot see the step's own ports, so the step lays them on the shared volume first, under the key of the
work: what it is, on which inputs, with which parameters and code. The job runs `mf run STAGE` there, on the same port
folders; a later start of the same work, in this run or another, finds its checkpoints and goes on. What is finished
comes back by a copy, which is checked against its manifest.

A folder whose ports have been fetched stays KEPT_S for the same work in another run, and is then deleted by whichever
step fetches next. One that was never fetched has checkpoints that somebody may go on from: it stays.
"""

import logging
import os
import shutil
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

import yaml

from music_flamingo.cluster.jobs import KEPT_FAILED_S, SHARED_PATH, JobSettings, StageJob
from music_flamingo.core import manifest as manifests
from music_flamingo.core import telemetry
from music_flamingo.core.shards import write_atomic
from music_flamingo.core.stage import Stage, execute, parse_config

log = logging.getLogger(__name__)

JOB_VARIABLE = "MF_JOB"
RUN_VARIABLE = telemetry.RUN
LOG_NAME = "rank0.log"
PARAMS_NAME = "params.yaml"
FETCHED = "fetched"
"""Written into a work's folder when its ports have arrived at the step; its time is when."""
LEAVING = ".leaving-"
KEPT_S = KEPT_FAILED_S
"""As long as the job itself is kept."""

Ports = Mapping[str, Path]


def run_step(stage: Stage, config_json: str, inputs: Ports, outputs: Ports) -> None:
    """The stage on these port folders, here or by a job."""
    text = os.environ.get(JOB_VARIABLE)
    if not text:
        execute(stage, config_json, inputs, outputs)
        return
    from music_flamingo.cluster.api import connect, own_namespace
    from music_flamingo.cluster.launcher import Launcher, own_pod

    settings = JobSettings.model_validate_json(text)
    folder = lay_out(stage, config_json, inputs, Path(SHARED_PATH))
    work = StageJob(stage.name, os.environ.get(RUN_VARIABLE, folder.name), command(stage, folder))
    with telemetry.span(f"job {stage.name}", kind=settings.kind):
        settings = settings.model_copy(update={"environment": {**settings.environment, **telemetry.for_children()}})
        Launcher(connect(), own_namespace(), settings, kept_log=folder / LOG_NAME).run(work, own_pod())
    fetch(folder, outputs)
    sweep(folder.parent)


def command(stage: Stage, folder: Path) -> tuple[str, ...]:
    """What `torchrun` runs; nodes, ranks and the meeting point come from the operator's PET_ variables."""
    run = ("-m", "music_flamingo.cli", "run", stage.name)
    return (*run, "--params", str(folder / PARAMS_NAME), "--data", str(folder))


def lay_out(stage: Stage, config_json: str, inputs: Ports, shared: Path) -> Path:
    """The folder of this work on the shared volume, with its inputs and parameters; gives the folder."""
    config = parse_config(stage, config_json)
    read = {name: manifests.read_manifest(inputs[name]) for name in stage.inputs}
    key = stage.key(config, {name: m.digest for name, m in read.items()})
    folder = shared / f"{stage.name}-{key[:16]}"
    # wanted again: no other step may sweep it
    (folder / FETCHED).unlink(missing_ok=True)
    for name in stage.inputs:
        _copy_port(inputs[name], folder / name)
    # as YAML, not JSON: YAML reads JSON's 1e-05 as text
    write_atomic(folder / PARAMS_NAME, yaml.safe_dump({stage.name: _plain(config_json)}, sort_keys=True))
    return folder


def fetch(folder: Path, outputs: Ports) -> None:
    """The finished ports of a job's folder. Raises MissingInputError for one that is not finished."""
    for name, target in outputs.items():
        _copy_port(folder / name, target)
    (folder / FETCHED).touch()


def sweep(shared: Path) -> None:
    """Delete the folders whose ports were fetched more than KEPT_S ago, and what a killed sweep left of others."""
    for mark in shared.glob(f"*-*/{FETCHED}"):
        try:
            if time.time() - mark.stat().st_mtime > KEPT_S:
                # away from its name at once: a step that wants it in this moment lays out a new one
                mark.parent.rename(shared / f"{LEAVING}{uuid.uuid4()}")
                log.info("deleting %s: its ports were fetched long ago", mark.parent)
        except FileNotFoundError:
            log.info("%s went while it was looked at: another step sweeps", mark.parent)
    for left in shared.glob(f"{LEAVING}*"):
        shutil.rmtree(left, ignore_errors=True)


def _copy_port(source: Path, target: Path) -> None:
    """Copy a finished port unless it is there, its manifest last; CorruptDataError when a byte got lost."""
    manifest = manifests.read_manifest(source)
    if (target / manifests.MANIFEST_NAME).is_file() and manifests.read_manifest(target).digest == manifest.digest:
        return
    log.info("copying %s (%d files) to %s", source.name, len(manifest.files), target)
    shutil.rmtree(target, ignore_errors=True)
    for entry in manifest.files:
        (target / entry.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / entry.path, target / entry.path)
    # a port without files is a port
    target.mkdir(parents=True, exist_ok=True)
    write_atomic(target / manifests.MANIFEST_NAME, (source / manifests.MANIFEST_NAME).read_text())
    manifests.verify(target)


def _plain(config_json: str) -> object:
    import json

    return json.loads(config_json)
