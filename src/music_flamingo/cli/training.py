"""Commands around training: what a run would see."""

import argparse
from pathlib import Path

from music_flamingo.cli.options import Commands, add_command, parameter_options, resolved


def add_to(commands: Commands) -> None:
    inspect = add_command(
        commands,
        "inspect",
        _inspect,
        "show a batch as the model will see it (tokens, what is trained on, sound, positions), and what is wrong in it",
        "mf inspect sft",
    )
    inspect.add_argument("stage", help="sft, warmup or grpo")
    parameter_options(inspect)
    inspect.add_argument("--data", type=Path, default=Path("data"), help="the folder of the ports (default: data)")
    inspect.add_argument("--step", type=int, default=1, help="which step's batch (default: the first)")
    inspect.add_argument("--limit", type=int, default=4, help="samples shown; all are checked (default: 4)")
    inspect.add_argument("--html", type=Path, metavar="FILE", help="write a page too")


def _inspect(arguments: argparse.Namespace) -> int:
    """0, or 1 where something is wrong."""
    from music_flamingo.inspecting.look import look
    from music_flamingo.inspecting.pages import as_text, write_page

    seen = look(arguments.stage, resolved(arguments), arguments.data, arguments.step)
    print(as_text(seen, arguments.limit))
    if arguments.html is not None:
        write_page(arguments.html, seen, arguments.limit)
        print(f"\nPage: {arguments.html.resolve().as_uri()}")
    return 1 if seen.mistakes else 0
