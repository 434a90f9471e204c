"""Commands around the annotation half: evaluation sets to keep out, teachers, lineage, review by ear."""

import argparse
from pathlib import Path

from music_flamingo.cli.options import Commands, add_command, parameter_options, resolved


def add_to(commands: Commands) -> None:
    """Add the annotation commands to the parser."""
    fingerprint = add_command(
        commands,
        "fingerprint",
        _fingerprint,
        "list an evaluation set's recordings, so that ingest refuses them (ingest.held_out)",
        "mf fingerprint musiccaps/audio -o held_out.parquet",
    )
    fingerprint.add_argument("folder", type=Path)
    fingerprint.add_argument("-o", "--output", type=Path, required=True, help="a .parquet or .jsonl file")
    fingerprint.add_argument("--name", default=None, help="the evaluation set's name (default: the folder's)")
    parameter_options(fingerprint)

    usage = add_command(commands, "usage", _usage, "say what teachers were asked, tokens and cost by stage", "mf usage")
    usage.add_argument("--data", type=Path, default=Path("data"))

    teach = add_command(
        commands,
        "serve-teacher",
        _serve_teacher,
        "serve the scripted teacher over OpenAI's chat completions, to try the protocol",
        "mf serve-teacher",
    )
    teach.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine alone)")
    teach.add_argument("--port", type=int, default=8000)
    teach.add_argument("--api-key-env", default=None, help="environment variable that holds the key to ask for")

    explain = add_command(
        commands,
        "explain",
        _explain,
        "tell how a track, caption, question, chain or prediction came to be, back to its source file",
        "mf explain bach-bwv66.6-p0/key",
    )
    explain.add_argument("id", help="the record's id")
    explain.add_argument("--data", type=Path, default=Path("data"))
    explain.add_argument("--configs", action="store_true", help="with the configuration of every stage on the way")

    check = add_command(
        commands,
        "check",
        _check,
        "say of each record what would become of it and why, claim by claim, without a run",
        "mf check data/facts replies.jsonl",
    )
    check.add_argument("facts", type=Path, help="the port of `facts`, one of its Parquet files, or JSON lines of facts")
    check.add_argument("records", type=Path, help="JSON lines: questions, replies, captions or chains")
    check.add_argument("--json", action="store_true", help="a JSON object a record in place of words")
    parameter_options(check)

    export = add_command(
        commands,
        "export",
        _export,
        "write facts, or MF-Skills and MF-Think, in the form of other tools",
        "mf export jams -o jams",
    )
    export.add_argument(
        "form",
        choices=("jams", "conversations", "ms-swift", "llama-factory"),
        help="jams: facts, a file a track, for mirdata, mir_eval, annotators; the others: questions and chains, as "
        "published (conversations), for ms-swift, for LLaMA-Factory",
    )
    export.add_argument("-o", "--output", type=Path, required=True, help="the folder to write into")
    export.add_argument(
        "--sound",
        choices=("copies", "originals"),
        default="copies",
        help="of questions: write the 16 kHz copies next to them, or name where the originals lie",
    )
    export.add_argument("--data", type=Path, default=Path("data"))

    sent = add_command(
        commands,
        "push",
        _push,
        "send MF-Skills, MF-Think or a release to a hub, verified, in one commit (HF_TOKEN)",
        "mf push data/skills OWNER/my-skills",
    )
    sent.set_defaults(asks_the_hub=True)
    sent.add_argument("port", type=Path, help="data/skills, data/think or data/release")
    sent.add_argument("repository", help="OWNER/NAME; made where it is missing, private")
    sent.add_argument("--public", action="store_true", help="make it public where it is made")
    sent.add_argument("--endpoint", default=None, help="another hub (default: HF_ENDPOINT, else huggingface.co)")

    take = add_command(
        commands,
        "import",
        _import,
        "read annotations made elsewhere as facts and captions with their origin",
        "mf import jams annotations -o annotated --songs music",
    )
    take.add_argument("form", choices=("jams", "jamendo", "musiccaps"), help="JAMS files, or a listing of these sets")
    take.add_argument("annotations", type=Path, help="the folder of JAMS files; the TSV or CSV of a listing")
    take.add_argument("-o", "--output", type=Path, required=True, help="gets facts.jsonl and captions.jsonl")
    whose = take.add_mutually_exclusive_group()
    whose.add_argument("--songs", type=Path, help="the folder of the recordings that they are about")
    whose.add_argument("--data", type=Path, help="a run that has taken the recordings in")
    take.add_argument("--confidence", type=float, default=1.0, help="of what states none (default: 1.0)")

    review = add_command(commands, "review", _review, "error rates from ratings made by ear", "mf review ratings.csv")
    review.add_argument("ratings", type=Path, help="CSV or JSONL exported from data_docs/review/index.html")
    review.add_argument("--docs", type=Path, default=Path("data/data_docs"), help="the data docs the sheet belongs to")


def _fingerprint(arguments: argparse.Namespace) -> int:
    from music_flamingo import stages
    from music_flamingo.core.params import stage_json
    from music_flamingo.core.stage import parse_config
    from music_flamingo.quality.contamination import write_held_out
    from music_flamingo.sources.fingerprinting import fingerprint_folder
    from music_flamingo.stages.ingest import IngestConfig

    config = parse_config(stages.load("ingest"), stage_json(resolved(arguments), "ingest"))
    assert isinstance(config, IngestConfig)
    name = arguments.name or arguments.folder.resolve().name
    held = list(fingerprint_folder(arguments.folder, name, config.limits, config.workers, config.fingerprint.kind))
    write_held_out(arguments.output, held)
    print(f"{arguments.output}: {len(held)} recordings of {name}, {sum(bool(h.fingerprint) for h in held)} with sound")
    return 0


def _usage(arguments: argparse.Namespace) -> int:
    from music_flamingo.teachers.usage import FOLDER, read_all, table

    usages = read_all(arguments.data)
    print(
        "\n".join(table(usages)) if usages else f"{arguments.data / FOLDER} is empty: no teacher was asked over HTTP."
    )
    return 0


def _serve_teacher(arguments: argparse.Namespace) -> int:
    from music_flamingo.teachers.server import serve

    serve(arguments.host, arguments.port, arguments.api_key_env)
    return 0


def _explain(arguments: argparse.Namespace) -> int:
    from music_flamingo.products.explain import explain

    print(explain(arguments.data, arguments.id, with_configs=arguments.configs))
    return 0


def _check(arguments: argparse.Namespace) -> int:
    import json

    from music_flamingo import stages
    from music_flamingo.core.params import stage_json
    from music_flamingo.core.stage import parse_config
    from music_flamingo.quality.trial import try_records
    from music_flamingo.stages.validate import ValidateConfig
    from music_flamingo.teachers.replies import found_json

    _require_facts(arguments.facts)
    config = parse_config(stages.load("validate"), stage_json(resolved(arguments), "validate"))
    assert isinstance(config, ValidateConfig)
    num_kept = num_records = 0
    for verdict in try_records(arguments.facts, arguments.records, config.limits, found_json):
        num_records += 1
        num_kept += verdict.reason is None
        print(json.dumps(verdict.as_json(), ensure_ascii=False) if arguments.json else "\n".join(verdict.lines()))
    if not arguments.json:
        print(f"{num_kept} of {num_records} records would be kept, as far as rules on one track decide.")
    return 0


def _require_facts(path: Path) -> None:
    """Raises UserError where there is nothing to hold records against, or another port than facts."""
    from music_flamingo.core.errors import UserError
    from music_flamingo.core.manifest import MANIFEST_NAME, read_manifest
    from music_flamingo.core.shards import shard_paths

    wanted = "the port of the stage `facts` (e.g. data/facts), one of its Parquet files, or JSON lines of facts"
    if not path.exists():
        raise UserError(f"{path} is not there. Give {wanted}.")
    port = path if path.is_dir() else path.parent
    name = read_manifest(port).port if path.suffix != ".jsonl" and (port / MANIFEST_NAME).is_file() else "facts"
    if name != "facts":
        raise UserError(f"{path} holds `{name}`, not facts. Give {wanted}.")
    if path.is_dir() and not shard_paths(path):
        raise UserError(f"{path} holds no facts. Give {wanted}.")


def _export(arguments: argparse.Namespace) -> int:
    if arguments.form == "jams":
        from music_flamingo.products.jams import export_jams

        print(f"{arguments.output}: {len(export_jams(arguments.data, arguments.output))} JAMS files")
        return 0
    from music_flamingo.products.conversations import export_conversations

    done = export_conversations(arguments.data, arguments.output, arguments.form, arguments.sound)
    for name, count in sorted(done.files.items()):
        print(f"{arguments.output / name}: {count}")
    for reason, count in sorted(done.left_out.items()):
        print(f"left out, {reason}: {count}")
    return 0


def _push(arguments: argparse.Namespace) -> int:
    from music_flamingo.products.publishing import publish

    done = publish(arguments.port, arguments.repository, not arguments.public, arguments.endpoint)
    print("\n".join(done.lines()))
    return 0


def _import(arguments: argparse.Namespace) -> int:
    from music_flamingo.sources.annotated import names_in_folder, names_in_run, write_annotated
    from music_flamingo.sources.annotated.jams_files import read_jams_folder
    from music_flamingo.sources.annotated.listings import read_jamendo, read_musiccaps

    readers = {"jams": read_jams_folder, "jamendo": read_jamendo, "musiccaps": read_musiccaps}
    names = names_in_folder(arguments.songs) if arguments.songs else None
    names = names_in_run(arguments.data) if arguments.data else names
    annotated = readers[arguments.form](arguments.annotations, arguments.confidence)
    print("\n".join(write_annotated(annotated, names, arguments.output).lines()))
    print(f"{arguments.output}: facts.jsonl for `facts.annotated`, captions.jsonl for `mf check`")
    return 0


def _review(arguments: argparse.Namespace) -> int:
    from music_flamingo.quality.ratings import in_words, read_ratings, read_strata, review

    print(in_words(review(read_ratings(arguments.ratings), read_strata(arguments.docs / "review/strata.json"))))
    return 0
