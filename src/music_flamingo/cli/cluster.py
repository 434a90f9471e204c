"""Commands for a cluster: submit the pipeline, deploy a release, diagnose an object store."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from music_flamingo.cli.options import Commands, add_command, parameter_options, resolved

if TYPE_CHECKING:
    from music_flamingo.cluster.deploy import Deployment
    from music_flamingo.sources.object_store import S3Access


def add_to(commands: Commands) -> None:
    """Add the cluster commands to the parser."""
    storage = add_command(
        commands,
        "storage",
        _storage,
        "say what is wrong with an object store: endpoint, credentials, bucket, clock",
        "mf storage check songs --endpoint https://minio.example:9000",
    )
    storage.add_argument("action", choices=["check"])
    storage.add_argument("bucket", nargs="?", help="a bucket (default: the one of ingest.source)")
    _store_options(storage, "https://host:port (default: that of ingest.source)")
    storage.add_argument("--write", action="store_true", help="also write, read and remove a small object")
    parameter_options(storage)

    submit = add_command(
        commands,
        "submit",
        _submit,
        "compile the whole pipeline for a profile, upload it to Kubeflow Pipelines, run it and follow it",
        "mf submit --profile smoke --dry-run",
    )
    parameter_options(submit)
    submit.add_argument("--dry-run", action="store_true", help="print what it asks for, cost and what is cached")
    submit.add_argument("--host", default=os.environ.get("KFP_HOST"), help="URL of Kubeflow Pipelines (or KFP_HOST)")
    submit.add_argument("--namespace", default=None, help="of the user, where several share the server")
    submit.add_argument("--account", default=None, help="service account of the steps (default: that of the server)")
    submit.add_argument("--experiment", default="music-flamingo")
    submit.add_argument("--branches", type=int, default=8, help="pods side by side on the shards (default: 8)")
    submit.add_argument(
        "--fuse", action="store_true", help="neighbouring light stages share a step: fewer pods, equal results"
    )
    submit.add_argument("--no-follow", action="store_true", help="end when the run is submitted")
    submit.add_argument("--follow", metavar="RUN", help="submit nothing: follow this run")
    cost = submit.add_argument_group("cost, in any currency, of one hour")
    cost.add_argument("--price-cpu", type=float, default=0.0)
    cost.add_argument("--price-gib", type=float, default=0.0, help="of memory")
    cost.add_argument("--price-gpu", type=float, default=0.0)
    cost.add_argument("--timings", type=Path, help="a run's data/_timing: how long each stage takes")

    doctor = add_command(
        commands,
        "doctor",
        _doctor,
        "say what a cluster lacks for a profile before anything is submitted, each with the line that mends it",
        "mf doctor --profile smoke --namespace music-flamingo",
    )
    parameter_options(doctor)
    doctor.add_argument("--namespace", default=None, help="default: the pod's own, or NAMESPACE of the environment")
    doctor.add_argument("--account", default="music-flamingo-runner", help="service account of the steps")

    drill = add_command(
        commands,
        "drill",
        _drill,
        "take a worker away from a running training job, as a pre-emption would, and say what that cost",
        "mf drill --namespace music-flamingo",
    )
    drill.add_argument("--namespace", default=None, help="default: the pod's own, or NAMESPACE of the environment")
    drill.add_argument("--job", help="its name, where several run")
    drill.add_argument("--within-s", type=float, default=1800.0, help="it has to train again by then (default: 1800)")

    publish = add_command(
        commands,
        "publish",
        _publish,
        "upload a release into an object store under its digest, and sign it",
        "mf publish data/release s3://music-flamingo/releases --endpoint https://minio.example:9000 --sign release.pem",
    )
    publish.add_argument("release", type=Path)
    publish.add_argument("uri", help="s3://BUCKET/FOLDER; the release comes below it, under its digest")
    _store_options(publish, "https://host:port", required=True)
    publish.add_argument(
        "--sign", type=Path, metavar="KEY", help="Ed25519 private key (openssl genpkey -algorithm ed25519)"
    )

    deploy = add_command(
        commands,
        "deploy",
        _deploy,
        "give an InferenceService to a release by 10, 50, 100 %% of the requests, or roll it back",
        "mf deploy s3://music-flamingo/releases/0f3c9a21 --endpoint https://minio:9000 --public-key release.pub",
    )
    deploy.add_argument("uri", nargs="?", help="the release, as `mf publish` printed it")
    deploy.add_argument("--rollback", action="store_true", help="take a canary away, or go back to the release before")
    deploy.add_argument("--name", default="music-flamingo", help="the InferenceService (default: music-flamingo)")
    deploy.add_argument("--namespace", default=None, help="default: the pod's own, or NAMESPACE of the environment")
    _store_options(deploy, "https://host:port of the object store")
    deploy.add_argument("--public-key", type=Path, metavar="KEY", help="Ed25519 key that must have signed the release")
    deploy.add_argument("--unsigned", action="store_true", help="deploy without looking at a signature")
    gate = deploy.add_argument_group("gate, at each share")
    gate.add_argument("--hold-s", type=float, default=300.0, help="watched for so long (default: 300)")
    gate.add_argument("--min-requests", type=int, default=50, help="judged by at least so many (default: 50)")
    gate.add_argument("--max-error-rate", type=float, default=0.01, help="default: 0.01")
    gate.add_argument("--max-p95-s", type=float, default=10.0, help="seconds within which 95 %% answer (default: 10)")
    gate.add_argument("--prometheus", metavar="URL", help="read metrics there (default: of the pods themselves)")
    deploy.add_argument("--registry", metavar="URL", help="register the version in Kubeflow's model registry")


def _compiled_for(arguments: argparse.Namespace) -> tuple[Path, str | None, str]:
    """(where the pipelines lie, profile, the profile's name); they can be imported from now on."""
    import sys

    from music_flamingo.core.errors import UserError
    from music_flamingo.runs.workspace import repository

    # the pipelines are no part of the package: they lie in the checkout, or in share/ where pip put them
    home = repository()
    sys.path.insert(0, str(home))
    if len(arguments.profile) > 1:
        command = arguments.command
        raise UserError(
            f"mf {command} takes one --profile: a pipeline is compiled for one. Lay others over it by --set."
        )
    profile = arguments.profile[0] if arguments.profile else None
    return home, profile, Path(profile).stem if profile else "default"


def _doctor(arguments: argparse.Namespace) -> int:
    from music_flamingo.cluster.api import connect, own_namespace
    from music_flamingo.cluster.doctor import Patient
    from music_flamingo.cluster.looking import Looking
    from music_flamingo.cluster.workload import read_workload

    home, profile, name = _compiled_for(arguments)
    from pipelines.submit import compile_for

    looking = Looking(connect())
    workload = read_workload(compile_for(profile, home / "build" / "pipelines" / name))
    patient = Patient(looking, arguments.namespace or own_namespace(), workload, arguments.account)
    missing = 0
    for finding in patient.findings():
        print(finding.line(), flush=True)
        missing += finding.state == "missing"
    return 1 if missing else 0


def _drill(arguments: argparse.Namespace) -> int:
    from music_flamingo.cluster.api import connect, own_namespace
    from music_flamingo.cluster.drill import Drill

    drill = Drill(connect(), arguments.namespace or own_namespace(), arguments.within_s)
    print(drill.run(arguments.job).line())
    return 0


def _submit(arguments: argparse.Namespace) -> int:
    home, profile, name = _compiled_for(arguments)
    if arguments.fuse:
        os.environ["FUSE"] = "1"
    from pipelines import outline, submit

    request = submit.Request(
        params=resolved(arguments),
        profile=profile,
        host=arguments.host,
        namespace=arguments.namespace,
        account=arguments.account,
        experiment=arguments.experiment,
        branches=arguments.branches,
        dry_run=arguments.dry_run,
        follow=not arguments.no_follow,
        prices=outline.Prices(arguments.price_cpu, arguments.price_gib, arguments.price_gpu),
        timings=arguments.timings,
        build=home / "build" / "pipelines" / name,
        record=home / "runs" / "submitted" / f"{name}.json",
    )
    if arguments.follow:
        return 0 if submit.follow(submit.connect(request), arguments.follow, print) else 1
    return int(submit.submit(request))


def _store_options(parser: argparse.ArgumentParser, endpoint: str, required: bool = False) -> None:
    parser.add_argument("--endpoint", help=endpoint, required=required)
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--access-key", default="env:S3_ACCESS_KEY", help="env:NAME or file:PATH, never the key")
    parser.add_argument("--secret-key", default="env:S3_SECRET_KEY", help="env:NAME or file:PATH, never the key")


def _access(arguments: argparse.Namespace) -> "S3Access":
    from pydantic import ValidationError

    from music_flamingo.core.errors import UserError
    from music_flamingo.sources.object_store import S3Access

    names = ("endpoint", "region", "access_key", "secret_key")
    try:
        return S3Access(**{name: getattr(arguments, name) for name in names})
    except ValidationError as error:
        raise UserError(f"--endpoint {arguments.endpoint!r}: it reads https://host:port.") from error


def _publish(arguments: argparse.Namespace) -> int:
    from music_flamingo.cluster.releases import parse_uri, publish

    print(publish(_access(arguments), arguments.release, parse_uri(arguments.uri), arguments.sign).uri)
    return 0


def _deploy(arguments: argparse.Namespace) -> int:
    import signal

    from music_flamingo.cluster.registry import Registry
    from music_flamingo.cluster.releases import parse_uri, verify
    from music_flamingo.core.errors import UserError

    # SIGTERM as Ctrl-C: the canary is taken away before this ends
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if arguments.rollback:
        _deployment(arguments).roll_back()
        return 0
    if not arguments.uri:
        raise UserError("give a release, s3://BUCKET/FOLDER as `mf publish` printed it, or --rollback.")
    if bool(arguments.public_key) == arguments.unsigned:
        raise UserError("give --public-key KEY, which must have signed the release, or else --unsigned.")
    release = parse_uri(arguments.uri)
    sha256 = verify(_access(arguments), release, arguments.public_key)
    _deployment(arguments).roll_out(release.uri, sha256)
    if arguments.registry:
        signed = {"sha256": sha256, "signed": str(not arguments.unsigned).lower()}
        Registry(arguments.registry).register(arguments.name, sha256[:16], release.uri, signed)
    return 0


def _deployment(arguments: argparse.Namespace) -> "Deployment":
    from music_flamingo.cluster.api import connect, own_namespace
    from music_flamingo.cluster.deploy import CanaryGate, Deployment
    from music_flamingo.cluster.scraping import through_api, through_prometheus

    api, namespace = connect(), arguments.namespace or own_namespace()
    gate = CanaryGate(
        hold_s=arguments.hold_s,
        min_requests=arguments.min_requests,
        max_error_rate=arguments.max_error_rate,
        max_p95_s=arguments.max_p95_s,
    )
    url = arguments.prometheus
    measure = through_prometheus(url, namespace) if url else through_api(api, namespace)
    return Deployment(api, namespace, arguments.name, gate, measure)


def _storage(arguments: argparse.Namespace) -> int:
    from music_flamingo.cluster.storage import Checked, check
    from music_flamingo.core.errors import UserError

    given = {
        "endpoint": arguments.endpoint,
        "region": arguments.region,
        "access_key": arguments.access_key,
        "secret_key": arguments.secret_key,
        "bucket": arguments.bucket,
    }
    if arguments.endpoint is None:
        source = _of_ingest(arguments)
        given |= {"endpoint": source["access"]["endpoint"], **source["access"]}
        given["bucket"] = arguments.bucket or source["bucket"]
    if given["bucket"] is None:
        raise UserError("give a bucket: mf storage check BUCKET --endpoint https://host:port")
    wrong = False
    for finding in check(Checked(**given, writes=arguments.write)):
        print(finding.line(), flush=True)
        wrong |= finding.wrong
    return 1 if wrong else 0


def _of_ingest(arguments: argparse.Namespace) -> dict[str, dict[str, str]]:
    from music_flamingo.core.errors import UserError

    params = resolved(arguments)
    ingest = params.get("ingest")
    source = ingest.get("source") if isinstance(ingest, dict) else None
    if not isinstance(source, dict) or source.get("kind") != "s3":
        raise UserError(
            "give --endpoint, or a profile whose ingest.source has the kind s3: mf storage check --profile catalogue"
        )
    return source
