"""The pipeline's commands: run stages, list stages and parameters, verify, serve, ask."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from music_flamingo.cli.options import Commands, add_command, parameter_options, resolved

if TYPE_CHECKING:
    from music_flamingo.stages.facts import MeasureUpload


def add_to(commands: Commands) -> None:
    """Add the pipeline's commands to the parser."""
    run = add_command(commands, "run", _run, "run one stage", "mf run facts")
    run.add_argument("stage", help="a stage; `mf stages` lists them")
    run.add_argument(
        "--shards", metavar="8-15", help="a range alone, of a stage that looks at each shard by itself first"
    )
    parameter_options(run)
    run.add_argument("--data", type=Path, default=Path("data"), help="the folder of the ports (default: data)")

    repro = add_command(
        commands, "repro", _repro, "run the whole pipeline by DVC, doing only what is missing", "mf repro"
    )
    repro.add_argument(
        "--profile",
        action="append",
        default=[],
        help="run a profile in runs/PROFILE, e.g. smoke, or a file; several are laid over each other",
    )
    repro.add_argument("--source", type=Path, default=None, help="a folder of your own songs")
    repro.add_argument("--set", dest="settings", action="append", default=[], metavar="STAGE.NAME=VALUE")
    repro.add_argument("--until", metavar="STAGE", help="stop after a stage; `validate` annotates and trains nothing")
    repro.add_argument("--workspace", type=Path, default=None, help="where to run (default: here, or runs/NAME-DIGEST)")

    shown = add_command(
        commands, "demo", _demo, "annotate one song and show its page, without training", "mf demo song.mp3"
    )
    shown.add_argument("song", type=Path, nargs="?", help="a recording; without it, a score is performed")

    add_command(commands, "runs", _runs, "list the runs, the latest first", "mf runs")

    kept = add_command(
        commands,
        "measurements",
        _measurements,
        "list what is kept of measured recordings, and remove what is of no use any more",
        "mf measurements --unused-days 30",
    )
    kept.add_argument("--data", type=Path, default=Path("data"), help="the folder of the ports (default: data)")
    kept.add_argument("--folder", type=Path, default=None, help="the folder that `measurements` names, where it does")
    kept.add_argument("--unused-days", type=float, default=None, help="remove what no run used for so many days")

    identity = add_command(
        commands,
        "identity",
        _identity,
        "list the code and data files that a stage's result depends on",
        "mf identity reason",
    )
    identity.add_argument(
        "stage", nargs="?", help="one stage: its definitions and files; without it every stage's digest"
    )
    identity.add_argument(
        "--write", action="store_true", help="write data/_identity, by which DVC sees a change of code"
    )
    identity.add_argument("--data", type=Path, default=Path("data"), help="the folder of the ports (default: data)")
    parameter_options(identity)

    add_command(commands, "stages", _stages, "list the stages and their ports", "mf stages")

    params = add_command(commands, "params", _params, "print the parameters in force", "mf params sft --profile smoke")
    params.add_argument("stage", nargs="?", help="one stage alone")
    parameter_options(params)

    verify = add_command(commands, "verify", _verify, "check every file of the ports against its manifest", "mf verify")
    verify.add_argument("--data", type=Path, default=Path("data"))
    verify.add_argument("--release", type=Path, help="check a release alone, as `mf serve` does before it loads one")
    _digest_option(verify)

    serve = add_command(commands, "serve", _serve, "serve a release over HTTP (KServe, OpenAI chat route)", "mf serve")
    serve.add_argument("--release", type=Path, default=Path("data/release"))
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine alone)")
    serve.add_argument("--port", type=int, default=8080)
    serve.add_argument("--api-keys", type=Path, metavar="FILE", help="a key a line; without it anybody may ask")
    serve.add_argument("--requests-per-minute", type=int, help="of one key, or one address (default: no limit)")
    serve.add_argument("--cache-mib", type=int, help="memory for recordings that were asked about (default: 256)")
    parameter_options(serve)
    serve.add_argument("--fetch-urls", action="store_true", help="open audio_url addresses, public ones alone")
    _digest_option(serve)

    ask = add_command(commands, "ask", _ask, "ask a question about a song", 'mf ask song.mp3 "Are drums heard?"')
    ask.add_argument("audio", type=Path)
    ask.add_argument("question")
    ask.add_argument("--release", type=Path, default=Path("data/release"), help="answer in this process")
    ask.add_argument("--endpoint", default=None, help="ask a running server, e.g. http://127.0.0.1:8080")
    parameter_options(ask)


def _digest_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sha256",
        default=os.environ.get("RELEASE_SHA256"),
        help="this release alone, by its checksums.json (default: RELEASE_SHA256, which `mf deploy` sets)",
    )


def _run(arguments: argparse.Namespace) -> int:
    from music_flamingo import stages
    from music_flamingo.core.driver import end_with_driver
    from music_flamingo.core.first_pass import PARTS, execute_after, parts_beside, run_first_pass
    from music_flamingo.core.params import stage_json
    from music_flamingo.core.ranks import is_first
    from music_flamingo.runs.identity_files import settle

    end_with_driver()
    stage = stages.load(arguments.stage)
    folder: Path = arguments.data

    def config() -> str:
        return stage_json(resolved(arguments), stage.name)

    inputs, outputs = {p: folder / p for p in stage.inputs}, {p: folder / p for p in stage.outputs}
    if arguments.shards:
        run_first_pass(stage, config(), inputs, folder / PARTS / stage.name / arguments.shards, arguments.shards)
        return 0
    parts = parts_beside(stage, config(), inputs, folder) if stage.first_pass else []
    execute_after(stage, config(), inputs, outputs, parts, config_now=config)
    if is_first():
        settle(stage, folder)
    return 0


def _identity(arguments: argparse.Namespace) -> int:
    from music_flamingo import stages
    from music_flamingo.runs.identity_files import write_all

    if arguments.write:
        for name in write_all(arguments.data, resolved(arguments)):
            print(f"{name}: dvc.lock takes it for done, its ports were made otherwise; it runs again")
    elif arguments.stage:
        parts = stages.load(arguments.stage).code().parts
        print("\n".join(f"{digest[:16]}  {part}" for part, digest in sorted(parts.items())))
    else:
        for name in stages.ORDER:
            code = stages.load(name).code()
            print(f"{code.digest[:16]}  {name:11s} {len(code.definitions)} definitions, {len(code.files)} data files")
    return 0


def _repro(arguments: argparse.Namespace) -> int:
    from music_flamingo.runs.workspace import reproduce

    profiles, settings = tuple(arguments.profile), tuple(arguments.settings)
    return reproduce(profiles, arguments.source, settings, arguments.workspace, arguments.until)


def _demo(arguments: argparse.Namespace) -> int:
    from music_flamingo.runs.demo import demo

    return demo(arguments.song)


def _runs(arguments: argparse.Namespace) -> int:
    from music_flamingo.runs.folders import list_runs
    from music_flamingo.runs.workspace import runs_folder

    found = list_runs(runs_folder())
    for run in found:
        print(run.line(max(len(r.folder.name) for r in found)))
    if not found:
        print(f"no runs in {runs_folder()}. The default run lies in data; `mf repro --profile smoke` makes another.")
    return 0


def _measurements(arguments: argparse.Namespace) -> int:
    from music_flamingo.core.measurements import FOLDER, kept_recipes, prune

    folder: Path = arguments.folder or arguments.data / FOLDER
    if arguments.unused_days is not None:
        count, num_bytes = prune(folder, arguments.unused_days)
        print(f"{count} measurements removed, {num_bytes / 2**20:.1f} MiB")
    if not (kept := kept_recipes(folder)):
        print(f"{folder} holds no measurements: nothing was measured there yet.")
    for recipe in kept:
        size = f"{recipe.count} measurements, {recipe.num_bytes / 2**20:.1f} MiB"
        print(f"{recipe.name:24s} {size}, last used {recipe.idle_days:.0f} days ago")
    return 0


def _stages(arguments: argparse.Namespace) -> int:
    from music_flamingo import stages

    for name in stages.ORDER:
        stage = stages.load(name)
        print(f"{name:11s} {', '.join(stage.inputs) or '(a source)'} -> {', '.join(stage.outputs)}")
    return 0


def _params(arguments: argparse.Namespace) -> int:
    import yaml

    from music_flamingo import stages
    from music_flamingo.core.params import stage_json
    from music_flamingo.core.stage import parse_config

    params = resolved(arguments)
    names = [arguments.stage] if arguments.stage else list(stages.ORDER)
    for name in names:
        parse_config(stages.load(name), stage_json(params, name))
    print(yaml.safe_dump({n: params[n] for n in names}, sort_keys=False, allow_unicode=True), end="")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from music_flamingo.core.errors import UserError
    from music_flamingo.core.manifest import MANIFEST_NAME, PROGRESS_NAME, verify

    if arguments.release:
        from music_flamingo.serving.bundle import open_release, require_digest

        if arguments.sha256:
            require_digest(arguments.release, arguments.sha256)
        print(f"{open_release(arguments.release).name}: every byte of {arguments.release} is as it was sealed")
        return 0
    finished = sorted(arguments.data.glob(f"*/{MANIFEST_NAME}"))
    if not finished:
        raise UserError(
            f"{arguments.data} holds no finished port: nothing was verified. Name a run's data, e.g. "
            "--data runs/smoke/data (`mf runs` lists the runs)."
        )
    for path in finished:
        manifest = verify(path.parent)
        counted = "" if manifest.num_records is None else f"  {manifest.num_records} records"
        print(f"{manifest.digest[:16]}  {manifest.port}{counted}")
    for path in sorted(arguments.data.glob(f"*/{PROGRESS_NAME}")):
        print(f"{'unfinished':16s}  {path.parent.name}")
    return 0


def _tools_of(arguments: argparse.Namespace) -> "MeasureUpload | None":
    """The measuring tools that the parameters name; None where `--params` names no file, as in a serving image."""
    if arguments.params is not None and not arguments.params.is_file():
        return None
    from music_flamingo.core.params import stage_json
    from music_flamingo.stages.facts import MeasureUpload

    return MeasureUpload(stage_json(resolved(arguments), "facts"))


def _serve(arguments: argparse.Namespace) -> int:
    from music_flamingo.serving.bundle import require_digest
    from music_flamingo.serving.server import Options, serve

    if arguments.sha256:
        require_digest(arguments.release, arguments.sha256)
    options = Options(
        host=arguments.host,
        port=arguments.port,
        api_keys=arguments.api_keys,
        requests_per_minute=arguments.requests_per_minute,
        cache_mib=arguments.cache_mib,
        fetch_urls=arguments.fetch_urls,
        measure=_tools_of(arguments),
    )
    serve(arguments.release, options)
    return 0


def _ask(arguments: argparse.Namespace) -> int:
    from music_flamingo.serving.client import ask

    tools = _tools_of(arguments)
    print(
        ask(
            arguments.audio,
            arguments.question,
            endpoint=arguments.endpoint,
            release=arguments.release,
            measure=tools,
        )
    )
    return 0
