"""Load and render prompts. Untrusted text (lyrics, tags, titles) enters through the `tojson` filter alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from music_flamingo.core.hashing import sha256_file

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Prompt:
    id: str
    sha256: str


@cache
def load(prompt_id: str) -> Prompt:
    """The identity of prompt `<prompt_id>.j2`."""
    path = FOLDER / f"{prompt_id}.j2"
    if not path.is_file():
        raise FileNotFoundError(f"there is no prompt {prompt_id!r} in {FOLDER}")
    return Prompt(prompt_id, sha256_file(path))


def render(prompt_id: str, **values: Any) -> str:
    """The prompt's text. An unknown variable raises jinja2.UndefinedError."""
    return _environment().get_template(f"{load(prompt_id).id}.j2").render(**values).strip()


def render_question(question: str, options: Sequence[str], think: bool) -> str:
    """What the audio model reads beside the audio, in training, evaluation and serving alike.

    Options that the question already names are not listed again. With `think` the model is asked for
    `<think>..</think><answer>..</answer>` (paper, section on post-training).
    """
    named = all(option.lower() in question.lower() for option in options)
    return render("question", question=question, options=[] if named else list(options), think=think)


@cache
def _environment() -> Environment:
    return Environment(loader=FileSystemLoader(FOLDER), undefined=StrictUndefined, autoescape=False, trim_blocks=True)
