"""`mf submit`: compile the whole pipeline for a profile, show what it asks for, upload it, run it and follow it.

The command line calls `submit` by name: this package lies in the repository and is no part of the installed one.
"""

import hashlib
import json
import logging
import os
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from music_flamingo import stages
from music_flamingo.core import telemetry
from music_flamingo.core.errors import UserError
from music_flamingo.core.params import stage_json
from music_flamingo.core.shards import write_atomic
from music_flamingo.core.stage import parse_config
from pipelines.outline import Prices, Step, describe, fingerprints, inputs_of, read_hours, read_outline

PIPELINE = "music-flamingo"
ENDED = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
MOST_BYTES = 1_000_000
"""Of a compiled pipeline; the API server stores it as one resource."""
FOLLOW_EVERY_S = 10.0
UNREACHABLE_S = 600.0
"""A run goes on while its server cannot be asked; following gives up after this time."""

Show = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """What `mf submit` was asked."""

    params: Mapping[str, Any]
    """Of all stages, resolved."""
    profile: str | None
    host: str | None
    namespace: str | None
    account: str | None
    """Service account of the steps; the server's own where none is named."""
    experiment: str
    branches: int
    dry_run: bool
    follow: bool
    prices: Prices
    timings: Path | None
    build: Path
    """Where the compiled pipeline goes."""
    record: Path
    """What was submitted of this profile before, and seen to succeed."""


def submit(request: Request, show: Show = print, every_s: float = FOLLOW_EVERY_S) -> int:
    """Gives the exit status: 0, or 1 for a run that did not succeed.

    Raises ConfigError for parameters that a stage cannot use, UserError for a server that cannot be reached.
    """
    for name in stages.ORDER:
        parse_config(stages.load(name), stage_json(request.params, name))
    package = compile_for(request.profile, request.build)
    steps = read_outline(package)
    before = json.loads(request.record.read_text()) if request.record.is_file() else {}
    hours = read_hours(request.timings) if request.timings else {}
    for line in describe(steps, request.params, before, request.prices, hours, request.branches):
        show(line)
    show(f"pipeline: {package} ({package.stat().st_size / 1024:.0f} KiB)")
    if request.dry_run:
        return 0
    client = connect(request)
    begun_s = time.time()
    run_id = _start(client, request, package, show)
    if not request.follow:
        return 0
    succeeded = follow(client, run_id, show, every_s)
    telemetry.run_ended(run_id, begun_s, succeeded=succeeded, profile=Path(request.profile or "default").stem)
    if succeeded:
        _remember(request, steps, run_id)
    return 0 if succeeded else 1


def compile_for(profile: str | None, folder: Path) -> Path:
    """The whole pipeline as YAML, compiled for a profile. Raises UserError where it is larger than a server takes."""
    # read when the pipeline's modules are imported, so before them
    os.environ["PROFILE"] = profile or ""
    from kfp.compiler import Compiler

    from pipelines.music_flamingo import music_flamingo

    package = folder / f"{PIPELINE}.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    Compiler().compile(music_flamingo, str(package))
    if package.stat().st_size > MOST_BYTES:
        size = package.stat().st_size
        raise UserError(f"{package} has {size} bytes; a server takes {MOST_BYTES}: shorten the profile.")
    return package


def follow(client: Any, run_id: str, show: Show, every_s: float = FOLLOW_EVERY_S) -> bool:
    """Show each change of each step until the run ends; gives whether it succeeded. Ctrl-C leaves the run alone."""
    seen: dict[str, str] = {}
    asked = time.monotonic()
    try:
        while True:
            run = _ask(lambda: client.get_run(run_id), asked)
            if run is not None:
                asked = time.monotonic()
                _show_changes(run, seen, show)
                if run.state in ENDED:
                    show(f"run {run_id}: {run.state}{_why(run)}")
                    return bool(run.state == "SUCCEEDED")
            time.sleep(every_s)
    except KeyboardInterrupt:
        show(f"\nno longer followed; the run {run_id} goes on. Look again with: mf submit --follow {run_id}")
        return False


def _show_changes(run: Any, seen: dict[str, str], show: Show) -> None:
    details = (run.run_details.task_details if run.run_details else None) or []
    for task in details:
        if task.state and seen.get(task.task_id) != task.state:
            seen[task.task_id] = task.state
            show(f"{task.display_name:24s} {task.state}{_why(task)}")


def _why(thing: Any) -> str:
    return f": {thing.error.message}" if getattr(thing, "error", None) and thing.error.message else ""


def connect(request: Request) -> Any:
    """A client of Kubeflow Pipelines. Raises UserError naming the host where nothing answers there."""
    from kfp import Client

    if not request.host:
        raise UserError("give --host URL (of Kubeflow Pipelines' API, or of the user interface), or --dry-run.")
    # kfp says on every call which servers it is for, and urllib3 each try: the error below says it once
    warnings.filterwarnings("ignore", message="This client only works with")
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    try:
        return Client(host=request.host, existing_token=os.environ.get("KFP_TOKEN"))
    except Exception as error:  # kfp raises what urllib3, the API client or its own retries end with
        raise UserError(
            f"Kubeflow Pipelines at {request.host} cannot be reached: {type(error).__name__}: {error}. Mend --host, or "
            "forward a port: kubectl -n kubeflow port-forward svc/ml-pipeline 8888:8888"
        ) from error


def _start(client: Any, request: Request, package: Path, show: Show) -> str:
    """Upload what is not there yet and start a run; gives its id."""
    from kfp_server_api import ApiException

    profile = Path(request.profile or "default").stem
    version = f"{profile}-{hashlib.sha256(package.read_bytes()).hexdigest()[:12]}"
    try:
        pipeline_id = client.get_pipeline_id(PIPELINE)
        if pipeline_id is None:
            pipeline_id = client.upload_pipeline(str(package), pipeline_name=PIPELINE).pipeline_id
        version_id = _version(client, pipeline_id, version, package, show)
        experiment = client.create_experiment(request.experiment, namespace=request.namespace)
        run = client.run_pipeline(
            experiment_id=experiment.experiment_id,
            job_name=f"{PIPELINE} {version}",
            params=_arguments(package, request),
            pipeline_id=pipeline_id,
            version_id=version_id,
            service_account=request.account,
        )
    except ApiException as error:
        raise UserError(f"Kubeflow Pipelines refuses: {error.status} {error.reason}: {_message(error)}") from error
    show(f"run {run.run_id}: submitted to {request.host}, experiment {request.experiment}")
    return str(run.run_id)


def _version(client: Any, pipeline_id: str, name: str, package: Path, show: Show) -> str:
    """The version of this name, which stands for its content; uploaded where it is not there."""
    for found in client.list_pipeline_versions(pipeline_id, page_size=100).pipeline_versions or []:
        if found.display_name == name:
            show(f"version {name} is there already")
            return str(found.pipeline_version_id)
    made = client.upload_pipeline_version(str(package), pipeline_version_name=name, pipeline_id=pipeline_id)
    return str(made.pipeline_version_id)


def _arguments(package: Path, request: Request) -> dict[str, Any]:
    """The pipeline's few words, as far as it knows them."""
    given = {
        "params": json.dumps(dict(request.params), sort_keys=True),
        "profile": Path(request.profile or "default").stem,
        "branches": request.branches,
    }
    return {name: value for name, value in given.items() if name in inputs_of(package)}


def _ask(question: Callable[[], Any], asked: float) -> Any:
    """The answer, or None while the server is away. Raises UserError when it is away for long or knows no such run."""
    from kfp_server_api import ApiException
    from urllib3.exceptions import HTTPError

    try:
        return question()
    except ApiException as error:
        if 400 <= (error.status or 500) < 500:
            raise UserError(f"the run cannot be followed: {error.status} {error.reason}: {_message(error)}") from error
        failed: Exception = error
    except HTTPError as error:
        failed = error
    if time.monotonic() - asked > UNREACHABLE_S:
        raise UserError(f"the server has not answered for {UNREACHABLE_S:g} s; the run goes on.") from failed
    return None


def _message(error: Any) -> str:
    try:
        return str(json.loads(error.body)["message"])[:500]
    except (ValueError, KeyError, TypeError):
        return str(error.body)[:300]


def _remember(request: Request, steps: list[Step], run_id: str) -> None:
    record = {"run_id": run_id, "fingerprints": fingerprints(steps, request.params)}
    write_atomic(request.record, json.dumps(record, indent=1, sort_keys=True) + "\n")
