"""Commands for a cluster: submit the pipeline, deploy a release, look an object store over."""

import argparse

from music_flamingo.cli.options import Commands, add_command, parameter_options, resolved


def add_to(commands: Commands) -> None:
    storage = add_command(
        commands,
        "storage",
        _storage,
        "say what is wrong with an object store: endpoint, credentials, bucket, clock",
        "mf storage check songs --endpoint https://minio.example:9000",
    )
    storage.add_argument("action", choices=["check"])
    storage.add_argument("bucket", nargs="?", help="a bucket (default: the one of ingest.source)")
    storage.add_argument("--endpoint", help="https://host:port (default: that of ingest.source)")
    storage.add_argument("--region", default="us-east-1")
    storage.add_argument("--access-key", default="env:S3_ACCESS_KEY", help="env:NAME or file:PATH, never the key")
    storage.add_argument("--secret-key", default="env:S3_SECRET_KEY", help="env:NAME or file:PATH, never the key")
    storage.add_argument("--write", action="store_true", help="also write, read and remove a small object")
    parameter_options(storage)


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
