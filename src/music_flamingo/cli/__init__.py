"""mf: the one command. Every subcommand's help opens with a line that runs."""

import argparse
import locale
import logging
import os
import select
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from music_flamingo import __version__
from music_flamingo.cli import annotation, cluster, evaluation, pipeline, training
from music_flamingo.core.home import settle_home

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
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "ACCELERATE_USE_CPU": "1",
    "DS_ACCELERATOR": "cpu",
}
"""No hub, unless a command is there to ask it; no telemetry. What the environment already sets is kept."""


def main(argv: Sequence[str] | None = None) -> int:
    """Parse and run; gives the exit status. A UserError prints its message alone."""
    if argv is None and not sys.flags.utf8_mode and locale.getpreferredencoding(False).lower() not in ("utf-8", "utf8"):
        # names and files are UTF-8 whatever the locale says (Turkish Latin-5): once more, in Python's UTF-8 mode
        os.execv(sys.executable, [sys.executable, "-X", "utf8", "-m", "music_flamingo.cli", *sys.argv[1:]])
    arguments = build_parser().parse_args(argv)
    if getattr(arguments, "asks_the_hub", False):
        os.environ.setdefault("HF_HUB_OFFLINE", "0")
    for name, value in QUIET_LIBRARIES.items():
        os.environ.setdefault(name, value)
    settle_home(os.environ)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for noisy in ("httpx", "matplotlib", "great_expectations", "kfp", "datasets", "numba"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    from music_flamingo.core.errors import UserError, lacks_room

    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        status = command(arguments)
        sys.stdout.flush()
        return status
    except UserError as error:
        print(f"mf: {error}", file=sys.stderr)
        _leave_words(f"mf: {error}")
        return error.exit_status
    except KeyboardInterrupt:
        print("\nmf: interrupted; the same command goes on from here.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        if not _reader_has_left():
            raise
        return 128 + signal.SIGPIPE
    except Exception as error:
        if (room := lacks_room(error)) is None:
            raise
        print(f"mf: {room}", file=sys.stderr)
        return 2


def _reader_has_left() -> bool:
    """Who read standard output (`mf plan | head`) has enough; what is still to be written goes nowhere."""
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    has_left = any(event & select.POLLERR for _, event in output.poll(0))
    if has_left:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return has_left


def _leave_words(words: str) -> None:
    """Under torchrun the exit status is lost: a job reads here that another try is of no use (cluster/pods.py)."""
    if path := os.environ.get("MF_TERMINATION_LOG"):
        Path(path).write_text(words[:4000])


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of `mf` with all subcommands."""
    parser = argparse.ArgumentParser(
        prog="mf",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=(
            "mf demo song.mp3\n\nFrom a catalogue of songs to a model that reasons about music: one song annotated "
            "(`mf demo`),\na folder (`mf repro --source FOLDER --until validate`), the whole pipeline (`mf repro`)."
        ),
    )
    parser.add_argument("--version", action="version", version=f"mf {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    for group in (pipeline, annotation, training, evaluation, cluster):
        group.add_to(commands)
    return parser
