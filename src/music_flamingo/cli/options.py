"""Shared by all commands: adding a command, and the options that several take."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_command(
    commands: Commands,
    name: str,
    command: Callable[[argparse.Namespace], int],
    summary: str,
    example: str,
) -> argparse.ArgumentParser:
    """Add a subcommand whose help opens with `example`, a line that runs."""
    parser = commands.add_parser(
        name,
        help=summary,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        # argparse reads % in a help, and not in a description
        description=f"{example}\n\n{summary[0].upper()}{summary[1:]}.".replace("%%", "%"),
    )
    parser.set_defaults(command=command)
    return parser


def parameter_options(parser: argparse.ArgumentParser) -> None:
    """Add the options --params and --profile."""
    parser.add_argument("--params", type=Path, help="parameters (default: params.yaml here, else the project's)")
    parser.add_argument("--profile", action="append", default=[], help="a profile laid over them: a name or a file")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="STAGE.NAME=VALUE")


def resolved(arguments: argparse.Namespace) -> dict[str, object]:
    """Resolve all parameters from file and profiles."""
    from music_flamingo.core.params import load_params
    from music_flamingo.runs.workspace import profile_path

    overlays = tuple(profile_path(name) for name in arguments.profile)
    return load_params(_params_file(arguments.params), overlays, tuple(arguments.settings))


def assumptions(arguments: argparse.Namespace) -> dict[str, object]:
    """What `mf plan` assumes, under the same profiles and settings."""
    from music_flamingo.core.params import load_assumptions
    from music_flamingo.runs.workspace import profile_path

    overlays = tuple(profile_path(name) for name in arguments.profile)
    return load_assumptions(_params_file(arguments.params), overlays, tuple(arguments.settings))


def _params_file(given: Path | None) -> Path:
    """`--params`, else params.yaml of the working directory, else the one that came with the package."""
    from music_flamingo.runs.workspace import repository

    if given is not None:
        return given
    here = Path("params.yaml")
    return here if here.is_file() else repository() / here
