"""Load and render prompts. Untrusted text (lyrics, tags, titles, a model's words) enters through `tojson` alone.

`tojson` writes one line of JSON in which strings keep the letters of every script, and all that could pass for markup
of a conversation, for structure or for nothing at all (brackets, line ends, zero-width and bidirectional marks) is
escaped as \\uXXXX: outside of strings a prompt holds none of it, inside it is spelled out. Reading the JSON gives every
character back.
"""

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.meta import find_referenced_templates

from music_flamingo.core.data_files import without_comments
from music_flamingo.core.hashing import sha256_bytes

FOLDER = Path(__file__).parent

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_MARKS = frozenset("<>[]{}|&`")
"""What chat templates and Markdown build their marks from."""
_INVISIBLE = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")
"""Unicode categories: control and format characters (bidirectional and zero-width ones), separators of lines."""


@dataclass(frozen=True)
class Prompt:
    """A prompt's id and the SHA-256 of its template."""

    id: str
    sha256: str


@cache
def load(prompt_id: str) -> Prompt:
    """The identity of prompt `<prompt_id>.j2`; the files that it includes are part of it, comments are not."""
    path = FOLDER / f"{prompt_id}.j2"
    if not path.is_file():
        raise FileNotFoundError(f"there is no prompt {prompt_id!r} in {FOLDER}")
    included = _included(path.name)
    if not included:
        return Prompt(prompt_id, _sha256(path))
    digests = [_sha256(FOLDER / name) for name in (path.name, *included)]
    return Prompt(prompt_id, sha256_bytes("\n".join(digests).encode()))


def _sha256(template: Path) -> str:
    return sha256_bytes(without_comments(template.read_text()).encode())


def render(prompt_id: str, **values: Any) -> str:
    """The prompt's text. An unknown variable raises jinja2.UndefinedError."""
    return _environment().get_template(f"{load(prompt_id).id}.j2").render(**values).strip()


def render_question(question: str, options: Sequence[str], think: bool) -> str:
    """The text that the audio model reads with the audio, in training, evaluation and serving alike.

    Options that the question already names are not listed again. With `think` the model is asked for
    `<think>..</think><answer>..</answer>` (paper, section on post-training).
    """
    named = all(option.lower() in question.lower() for option in options)
    return render("question", question=question, options=[] if named else list(options), think=think)


def render_step_check(statement: str) -> str:
    """The yes/no question by which the audio model checks one step of a chain, in the step's own words."""
    return render("step_check", statement=statement)


def to_json(value: Any) -> str:
    """One line of JSON, with every character of a string that could do more than be read escaped."""
    return _STRING.sub(lambda match: _guarded(match.group()), json.dumps(value, ensure_ascii=False, allow_nan=False))


def _guarded(literal: str) -> str:
    if literal.isascii() and literal.isprintable() and _MARKS.isdisjoint(literal):
        return literal
    return "".join(_escape(c) if c in _MARKS or unicodedata.category(c) in _INVISIBLE else c for c in literal)


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04x}"
    return f"\\u{0xD800 + ((code - 0x10000) >> 10):04x}\\u{0xDC00 + ((code - 0x10000) & 0x3FF):04x}"


def _included(name: str) -> list[str]:
    """The files that a template includes, and those that they include, each once, in order of appearance."""
    tree = _environment().parse((FOLDER / name).read_text())
    found = [other for other in find_referenced_templates(tree) if other is not None]
    return list(dict.fromkeys(part for other in found for part in (other, *_included(other))))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        keep_trailing_newline=True,  # an included file ends its last line
    )
    environment.filters["tojson"] = to_json
    return environment
