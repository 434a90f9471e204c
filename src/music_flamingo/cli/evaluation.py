"""Commands of evaluation: published benchmarks, two models compared, listening tests."""

import argparse
from pathlib import Path

from music_flamingo.cli.options import Commands, add_command


def add_to(commands: Commands) -> None:
    """Add the evaluation commands to the parser."""
    evaluate = add_command(
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
    ask.add_argument("--model-name", help="of an endpoint: the model that it serves")
    ask.add_argument("--revision", help="of an endpoint's model: part of what answers are kept under")
    ask.add_argument("--conditions", nargs="*", metavar="CONTROL",
                     choices=["permuted", "shuffled", "noise", "none"], help="controls to ask as well")  # fmt: skip
    ask.add_argument("--think", action=argparse.BooleanOptionalAction, default=None, help="ask for thoughts first")
    ask.add_argument("--max-new-tokens", type=int)
    ask.add_argument("--batch-size", type=int, help="what an interruption may cost (default: 16)")
    ask.add_argument("--timeout", dest="timeout_s", type=float, metavar="SECONDS",
                     help="of an endpoint: of one try (default: 180; five tries)")  # fmt: skip
    ask.add_argument("--seed", type=int, help="of controls, orders and resamples")
    ask.add_argument(
        "--silence",
        dest="silence_for_none",
        action="store_true",
        help="of an endpoint: play silence where there is no audio",
    )
    ask.add_argument("--api-key-env", metavar="NAME", help="environment variable with the endpoint's key")
    ask.add_argument("--prompt", type=Path, metavar="FILE",
                     help="a template; or YAML with template, system, temperature, top_p")  # fmt: skip
    evaluate.add_argument("--known-wrong", type=Path, metavar="FILE",
                          help="items known to be wrong (JSON, ids and reasons): scores with and without")  # fmt: skip
    judge = evaluate.add_argument_group("judging")
    judge.add_argument("--judge", metavar="URL", help="endpoint of the judging language model")
    judge.add_argument("--judge-model")
    judge.add_argument("--judge-revision")
    judge.add_argument("--judge-key-env", metavar="NAME")
    judge.add_argument("--embeddings", metavar="URL", help="of MMAU-Pro's official score")
    judge.add_argument("--embeddings-model", help="default: NV-Embed-v2, as published")
    seen = evaluate.add_argument_group("training data")
    seen.add_argument("--training-data", type=Path, metavar="TRACKS", help="a run's `tracks` port, looked through")
    seen.add_argument("--training-ids", type=Path, metavar="FILE", help="ids of training recordings, one a line")
    seen.add_argument(
        "--allow-contaminated", action="store_true", help="score what the model was trained on, and say so"
    )

    score = add_command(
        commands,
        "score",
        _score,
        "score predictions that were made elsewhere, as `mf evaluate` scores its own",
        "mf score predictions.json --benchmark mmar_music --data ~/MMAR",
    )
    score.add_argument("file", type=Path, help="JSON, JSON lines or CSV: ids and outputs")
    score.add_argument("--benchmark", required=True, help="its name; `mf evaluate --list` shows them")
    score.add_argument("--data", type=Path, required=True, help="the folder of its published files; no audio is needed")
    score.add_argument("--out", type=Path, default=Path("evaluations"), help="results (default: evaluations)")
    score.add_argument("--model-name", help="what made the predictions (default: the file's name)")
    score.add_argument("--limit", type=int, help="the first items alone")
    score.add_argument(
        "--known-wrong", type=Path, metavar="FILE", help="items known to be wrong (JSON, ids and reasons)"
    )

    compare = add_command(
        commands, "compare", _compare, "two evaluated models, with a paired interval", "mf compare A B"
    )
    compare.add_argument("first", type=Path, help="a folder that `mf evaluate` wrote")
    compare.add_argument("second", type=Path)
    compare.add_argument(
        "--unlike", action="store_true", help="compare runs with other prompts, limits or versions too"
    )

    ratings = add_command(
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


def _evaluate(arguments: argparse.Namespace) -> int:
    from music_flamingo.core.errors import UserError
    from music_flamingo.evaluation.command import EvaluationRequest, evaluate
    from music_flamingo.evaluation.outcome import outcome_markdown

    if arguments.list:
        from music_flamingo.evaluation.benchmarks import listing

        print(listing())
        return 0
    if arguments.facts:
        from music_flamingo.evaluation.facts_command import evaluate_facts
        from music_flamingo.evaluation.pages import write_all

        outcome = evaluate_facts(
            arguments.facts, arguments.out, EvaluationRequest.resamples, arguments.seed or EvaluationRequest.seed
        )
        write_all(arguments.out, outcome, [], arguments.facts)
        print(outcome_markdown(outcome))
        return 0
    if not (arguments.model and arguments.benchmark and arguments.data):
        raise UserError("give a model, --benchmark and --data: mf evaluate data/release --benchmark gtzan --data PATH")
    given = {name: value for name, value in vars(arguments).items() if name in EvaluationRequest.__dataclass_fields__}
    outcome = evaluate(EvaluationRequest(**{name: value for name, value in given.items() if value is not None}))
    print(outcome_markdown(outcome))
    print(f"Results: {arguments.out / arguments.benchmark}; page: {(arguments.out / 'index.html').resolve().as_uri()}")
    return 0


def _score(arguments: argparse.Namespace) -> int:
    from music_flamingo.evaluation.command import EvaluationRequest
    from music_flamingo.evaluation.importing import score_file
    from music_flamingo.evaluation.outcome import outcome_markdown

    given = {name: value for name, value in vars(arguments).items() if name in EvaluationRequest.__dataclass_fields__}
    request = EvaluationRequest(**{"model": "", **{name: value for name, value in given.items() if value is not None}})
    print(outcome_markdown(score_file(arguments.file, request)))
    print(f"Results: {arguments.out / arguments.benchmark}; page: {(arguments.out / 'index.html').resolve().as_uri()}")
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    from music_flamingo.evaluation.comparing import compare, comparison_markdown

    print(comparison_markdown(compare(arguments.first, arguments.second, allow_unlike=arguments.unlike)))
    return 0


def _ratings(arguments: argparse.Namespace) -> int:
    from music_flamingo.evaluation import ratings
    from music_flamingo.evaluation.intervals import RESAMPLES

    if arguments.action == "export":
        count = ratings.export_sheet(arguments.paths, arguments.out, arguments.limit, arguments.seed)
        print(
            f"{arguments.out / ratings.SHEET}: {count} captions; keep {arguments.out / ratings.KEY} from the listeners"
        )
        return 0
    given = ratings.read_ratings(arguments.paths[0], arguments.paths[1:])
    means = ratings.model_ratings(given, resamples=RESAMPLES, seed=arguments.seed)
    print(ratings.ratings_markdown(means, ratings.rater_agreement(given)))
    return 0
