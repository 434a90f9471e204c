"""Training commands: inspect a batch, plan a run."""

import argparse
from pathlib import Path

from music_flamingo.cli.options import Commands, add_command, assumptions, parameter_options, resolved


def add_to(commands: Commands) -> None:
    """Add the training commands to the parser."""
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

    plan = add_command(
        commands,
        "plan",
        _plan,
        "say what a run will need: the model, steps, tokens, memory, GPU-hours, teachers' calls and money",
        "mf plan paper",
    )
    plan.add_argument(
        "overlay", nargs="?", metavar="PROFILE", help="a profile: a name or a file (default: params.yaml)"
    )
    parameter_options(plan)
    plan.add_argument("--data", type=Path, default=Path("data"), help="ports that are counted where they are there")
    plan.add_argument("--sample", type=int, default=32, help="tracks whose prompts are rendered (default: 32)")
    plan.add_argument("--part", choices=["training", "teachers"], help="one half alone")


def _plan(arguments: argparse.Namespace) -> int:
    from music_flamingo.core.errors import MissingInputError, UserError

    if arguments.sample < 1:
        raise UserError(f"--sample is at least 1, not {arguments.sample}.")
    if arguments.overlay is not None:
        arguments.profile.append(arguments.overlay)
    if arguments.part != "teachers":
        from music_flamingo.planning.training import plan_training

        print("\n".join(plan_training(resolved(arguments), assumptions(arguments), arguments.data)))
    if arguments.part is None:
        print()
    if arguments.part != "training":
        from music_flamingo.planning.teachers import plan

        try:
            print("\n".join(plan(resolved(arguments), arguments.data, arguments.sample)))
        except MissingInputError as error:
            if arguments.part == "teachers":
                raise
            print(f"teachers: planned from tracks and facts, which are not there yet ({error})")
    return 0


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
