"""mf: the one command. Every subcommand's help opens with a line that runs."""

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from music_flamingo import __version__

QUIET_LIBRARIES = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "GX_ANALYTICS_ENABLED": "false",
    "DVC_NO_ANALYTICS": "1",
    "DO_NOT_TRACK": "1",
    "ACCELERATE_USE_CPU": "1",
    "DS_ACCELERATOR": "cpu",
}
"""No hub, no telemetry. What the environment already sets is kept."""


def main(argv: Sequence[str] | None = None) -> int:
    """Parse and run; gives the exit status. A UserError prints its message alone."""
    arguments = build_parser().parse_args(argv)
    for name, value in QUIET_LIBRARIES.items():
        os.environ.setdefault(name, value)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for noisy in ("httpx", "matplotlib", "great_expectations", "kfp", "datasets", "numba"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    from music_flamingo.core.errors import UserError

    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except UserError as error:
        print(f"mf: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nmf: interrupted; the same command goes on from here.", file=sys.stderr)
        return 130


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mf",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="mf repro\n\nFrom a catalogue of songs to a model that reasons about music.",
    )
    parser.add_argument("--version", action="version", version=f"mf {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = _add(commands, "run", _run, "run one stage", "mf run facts")
    run.add_argument("stage", help="a stage; `mf stages` lists them")
    _parameter_options(run)
    run.add_argument("--data", type=Path, default=Path("data"), help="the folder of the ports (default: data)")

    repro = _add(commands, "repro", _repro, "run the whole pipeline by DVC, doing only what is missing", "mf repro")
    repro.add_argument("--profile", default=None, help="run a profile in runs/PROFILE, e.g. smoke")
    repro.add_argument("--source", type=Path, default=None, help="a folder of your own songs")
    repro.add_argument("--set", dest="settings", action="append", default=[], metavar="STAGE.NAME=VALUE")
    repro.add_argument("--workspace", type=Path, default=None, help="where to run (default: here, or runs/NAME)")

    fingerprint = _add(
        commands,
        "fingerprint",
        _fingerprint,
        "list an evaluation set's recordings, so that ingest refuses them (ingest.held_out)",
        "mf fingerprint musiccaps/audio -o held_out.parquet",
    )
    fingerprint.add_argument("folder", type=Path)
    fingerprint.add_argument("-o", "--output", type=Path, required=True, help="a .parquet or .jsonl file")
    fingerprint.add_argument("--name", default=None, help="the evaluation set's name (default: the folder's)")
    _parameter_options(fingerprint)

    _add(commands, "stages", _stages, "list the stages and their ports", "mf stages")

    params = _add(commands, "params", _params, "print the parameters in force", "mf params sft --profile smoke")
    params.add_argument("stage", nargs="?", help="one stage alone")
    _parameter_options(params)

    plan = _add(commands, "plan", _plan, "say how many teacher calls, tokens and how much money are needed", "mf plan")
    _parameter_options(plan)
    plan.add_argument("--data", type=Path, default=Path("data"))
    plan.add_argument("--sample", type=int, default=32, help="tracks whose prompts are rendered (default: 32)")

    usage = _add(commands, "usage", _usage, "say what teachers were asked, tokens and cost by stage", "mf usage")
    usage.add_argument("--data", type=Path, default=Path("data"))

    teach = _add(
        commands,
        "serve-teacher",
        _serve_teacher,
        "serve the scripted teacher over OpenAI's chat completions, to try the protocol",
        "mf serve-teacher",
    )
    teach.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine alone)")
    teach.add_argument("--port", type=int, default=8000)
    teach.add_argument("--api-key-env", default=None, help="environment variable that holds the key to ask for")

    verify = _add(commands, "verify", _verify, "check every file of the ports against its manifest", "mf verify")
    verify.add_argument("--data", type=Path, default=Path("data"))

    explain = _add(
        commands,
        "explain",
        _explain,
        "tell how a track, caption, question, chain or prediction came to be, back to its source file",
        "mf explain bach-bwv66.6-p0/key",
    )
    explain.add_argument("id", help="the record's id")
    explain.add_argument("--data", type=Path, default=Path("data"))
    explain.add_argument("--configs", action="store_true", help="with the configuration of every stage on the way")

    review = _add(commands, "review", _review, "error rates from ratings made by ear", "mf review ratings.csv")
    review.add_argument("ratings", type=Path, help="CSV or JSONL exported from data_docs/review/index.html")
    review.add_argument("--docs", type=Path, default=Path("data/data_docs"), help="the data docs the sheet belongs to")

    serve = _add(commands, "serve", _serve, "serve a release over HTTP (KServe, OpenAI chat route)", "mf serve")
    serve.add_argument("--release", type=Path, default=Path("data/release"))
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine alone)")
    serve.add_argument("--port", type=int, default=8080)

    ask = _add(commands, "ask", _ask, "ask a question about a song", 'mf ask song.mp3 "Are drums heard?"')
    ask.add_argument("audio", type=Path)
    ask.add_argument("question")
    ask.add_argument("--release", type=Path, default=Path("data/release"), help="answer in this process")
    ask.add_argument("--endpoint", default=None, help="ask a running server, e.g. http://127.0.0.1:8080")

    _evaluation_commands(commands)
    return parser


def _evaluation_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    evaluate = _add(
        commands,
        "evaluate",
        _evaluate,
        "ask a model the questions of a published benchmark, and score its answers",
        "mf evaluate data/release --benchmark gtzan --data ~/gtzan",
    )
    evaluate.add_argument("model", nargs="?", help="a release, a folder with model/, or an endpoint (http://.../v1)")
    evaluate.add_argument("--benchmark", help="its name; --list shows them")
    evaluate.add_argument("--data", type=Path, help="the folder of its published files")
    evaluate.add_argument("--out", type=Path, default=Path("evaluations"), help="results (default: evaluations)")
    evaluate.add_argument("--list", action="store_true", help="list the benchmarks, with files, counts and licences")
    evaluate.add_argument("--facts", type=Path, metavar="DATA", help="instead: the tools of DATA/facts by DATA/truth")
    evaluate.add_argument("--rescore", action="store_true", help="score what was answered before; ask nobody")
    evaluate.add_argument("--limit", type=int, help="a trial: the first items alone")
    evaluate.add_argument("--skip-missing", action="store_true", help="leave out items whose recording is missing")
    ask = evaluate.add_argument_group("asking")
    ask.add_argument("--model-name", default="", help="of an endpoint: the model that it serves")
    ask.add_argument("--revision", default="", help="of an endpoint's model: part of what answers are kept under")
    ask.add_argument("--conditions", nargs="*", default=["none", "noise", "shuffled"], metavar="CONTROL",
                     choices=["permuted", "shuffled", "noise", "none"], help="controls beside the audio")  # fmt: skip
    ask.add_argument("--think", action=argparse.BooleanOptionalAction, default=None, help="ask for thoughts first")
    ask.add_argument("--max-new-tokens", type=int)
    ask.add_argument("--batch-size", type=int, default=16, help="what an interruption may cost (default: 16)")
    ask.add_argument("--seed", type=int, default=0, help="of controls, orders and resamples")
    ask.add_argument("--silence", action="store_true", help="of an endpoint: play silence where there is no audio")
    ask.add_argument("--api-key-env", metavar="NAME", help="environment variable with the endpoint's key")
    judge = evaluate.add_argument_group("judging")
    judge.add_argument("--judge", default="", metavar="URL", help="endpoint of the judging language model")
    judge.add_argument("--judge-model", default="")
    judge.add_argument("--judge-revision", default="")
    judge.add_argument("--judge-key-env", metavar="NAME")
    judge.add_argument("--embeddings", default="", metavar="URL", help="of MMAU-Pro's official score")
    judge.add_argument("--embeddings-model", default="nvidia/NV-Embed-v2")
    seen = evaluate.add_argument_group("training data")
    seen.add_argument("--training-data", type=Path, metavar="TRACKS", help="a run's `tracks` port, looked through")
    seen.add_argument("--training-ids", type=Path, metavar="FILE", help="ids of training recordings, one a line")
    seen.add_argument(
        "--allow-contaminated", action="store_true", help="score what the model was trained on, and say so"
    )

    compare = _add(commands, "compare", _compare, "two evaluated models, with a paired interval", "mf compare A B")
    compare.add_argument("first", type=Path, help="a folder that `mf evaluate` wrote")
    compare.add_argument("second", type=Path)

    ratings = _add(
        commands,
        "ratings",
        _ratings,
        "listening tests: a blind sheet for listeners, and their scores read back",
        "mf ratings export evaluations/songcaps -o listening",
    )
    ratings.add_argument("action", choices=["export", "import"])
    told = "export: evaluated folders of one benchmark; import: the test's folder, then filled sheets"
    ratings.add_argument("paths", nargs="+", type=Path, metavar="PATH", help=told)
    ratings.add_argument("-o", "--out", type=Path, default=Path("listening"), help="export: where to")
    ratings.add_argument("--limit", type=int, help="export: so many items, drawn by seed")
    ratings.add_argument("--seed", type=int, default=0)


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    command: Callable[[argparse.Namespace], int],
    summary: str,
    example: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=summary,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=f"{example}\n\n{summary[0].upper()}{summary[1:]}.",
    )
    parser.set_defaults(command=command)
    return parser


def _parameter_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="parameters (default: params.yaml)")
    parser.add_argument("--profile", action="append", default=[], help="a profile laid over them: a name or a file")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="STAGE.NAME=VALUE")


def _resolved(arguments: argparse.Namespace) -> dict[str, object]:
    from music_flamingo.core.params import load_params
    from music_flamingo.workspace import profile_path

    overlays = tuple(profile_path(name) for name in arguments.profile)
    return load_params(arguments.params, overlays, tuple(arguments.settings))


def _run(arguments: argparse.Namespace) -> int:
    from music_flamingo import stages
    from music_flamingo.core.params import stage_json
    from music_flamingo.core.stage import execute

    stage = stages.load(arguments.stage)
    config = stage_json(_resolved(arguments), stage.name)
    folder: Path = arguments.data
    execute(stage, config, {p: folder / p for p in stage.inputs}, {p: folder / p for p in stage.outputs})
    return 0


def _repro(arguments: argparse.Namespace) -> int:
    from music_flamingo.workspace import reproduce

    return reproduce(arguments.profile, arguments.source, tuple(arguments.settings), arguments.workspace)


def _fingerprint(arguments: argparse.Namespace) -> int:
    from music_flamingo import stages
    from music_flamingo.core.params import stage_json
    from music_flamingo.core.stage import parse_config
    from music_flamingo.quality.contamination import write_held_out
    from music_flamingo.sources.fingerprinting import fingerprint_folder
    from music_flamingo.stages.ingest import IngestConfig

    config = parse_config(stages.load("ingest"), stage_json(_resolved(arguments), "ingest"))
    assert isinstance(config, IngestConfig)
    name = arguments.name or arguments.folder.resolve().name
    held = list(fingerprint_folder(arguments.folder, name, config.limits, config.workers, config.fingerprint.kind))
    write_held_out(arguments.output, held)
    print(f"{arguments.output}: {len(held)} recordings of {name}, {sum(bool(h.fingerprint) for h in held)} with sound")
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

    params = _resolved(arguments)
    names = [arguments.stage] if arguments.stage else list(stages.ORDER)
    for name in names:
        parse_config(stages.load(name), stage_json(params, name))
    print(yaml.safe_dump({n: params[n] for n in names}, sort_keys=False, allow_unicode=True), end="")
    return 0


def _plan(arguments: argparse.Namespace) -> int:
    from music_flamingo.core.errors import UserError
    from music_flamingo.planning import plan

    if arguments.sample < 1:
        raise UserError(f"--sample is at least 1, not {arguments.sample}.")
    print("\n".join(plan(_resolved(arguments), arguments.data, arguments.sample)))
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


def _verify(arguments: argparse.Namespace) -> int:
    from music_flamingo.core.manifest import MANIFEST_NAME, verify

    for path in sorted(arguments.data.glob(f"*/{MANIFEST_NAME}")):
        manifest = verify(path.parent)
        counted = "" if manifest.num_records is None else f"  {manifest.num_records} records"
        print(f"{manifest.digest[:16]}  {manifest.port}{counted}")
    return 0


def _explain(arguments: argparse.Namespace) -> int:
    from music_flamingo.products.explain import explain

    print(explain(arguments.data, arguments.id, with_configs=arguments.configs))
    return 0


def _review(arguments: argparse.Namespace) -> int:
    from music_flamingo.quality.ratings import in_words, read_ratings, read_strata, review

    print(in_words(review(read_ratings(arguments.ratings), read_strata(arguments.docs / "review/strata.json"))))
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    from music_flamingo.serving.server import serve

    serve(arguments.release, arguments.host, arguments.port)
    return 0


def _ask(arguments: argparse.Namespace) -> int:
    from music_flamingo.serving.client import ask

    print(ask(arguments.audio, arguments.question, endpoint=arguments.endpoint, release=arguments.release))
    return 0


def _evaluate(arguments: argparse.Namespace) -> int:
    from music_flamingo.core.errors import UserError
    from music_flamingo.evaluation.command import Request, evaluate
    from music_flamingo.evaluation.outcome import outcome_markdown

    if arguments.list:
        from music_flamingo.evaluation.benchmarks import listing

        print(listing())
        return 0
    if arguments.facts:
        from music_flamingo.evaluation.facts_command import evaluate_facts
        from music_flamingo.evaluation.pages import write_all

        outcome = evaluate_facts(arguments.facts, arguments.out, resamples=2000, seed=arguments.seed)
        write_all(arguments.out, outcome, [], arguments.facts)
        print(outcome_markdown(outcome))
        return 0
    if not (arguments.model and arguments.benchmark and arguments.data):
        raise UserError("give a model, --benchmark and --data: mf evaluate data/release --benchmark gtzan --data PATH")
    given = {name: value for name, value in vars(arguments).items() if name in Request.__dataclass_fields__}
    conditions = ("audio", *arguments.conditions)
    outcome = evaluate(Request(**{**given, "conditions": conditions, "silence_for_none": arguments.silence}))
    print(outcome_markdown(outcome))
    print(f"Results: {arguments.out / arguments.benchmark}; page: {(arguments.out / 'index.html').resolve().as_uri()}")
    return 0


def _ratings(arguments: argparse.Namespace) -> int:
    from music_flamingo.evaluation import ratings

    if arguments.action == "export":
        count = ratings.export_sheet(arguments.paths, arguments.out, arguments.limit, arguments.seed)
        print(
            f"{arguments.out / ratings.SHEET}: {count} captions; keep {arguments.out / ratings.KEY} from the listeners"
        )
        return 0
    given = ratings.read_ratings(arguments.paths[0], arguments.paths[1:])
    means = ratings.model_ratings(given, resamples=2000, seed=arguments.seed)
    print(ratings.ratings_markdown(means, ratings.rater_agreement(given)))
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    from music_flamingo.evaluation.comparing import compare, comparison_markdown

    print(comparison_markdown(compare(arguments.first, arguments.second)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
