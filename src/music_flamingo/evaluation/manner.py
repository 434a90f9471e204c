"""Settings of prompting: the benchmark's own prompt, or a file's template, system message and sampling.

A file of plain text is a template; YAML or JSON may hold `template`, `system`, `temperature` and `top_p`. A template is
Jinja's, with `question`, `options` (`(A) Violin`, in order) and `choices` (the options' words alone).
"""

from functools import cached_property
from pathlib import Path

import yaml
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment
from pydantic import Field, ValidationError

from music_flamingo.core.errors import UserError
from music_flamingo.core.hashing import sha256_json
from music_flamingo.core.record import RecordPart
from music_flamingo.evaluation.benchmarks.base import LETTERS, Benchmark, BenchmarkItem

STRUCTURED = (".yaml", ".yml", ".json")


class AskingManner(RecordPart):
    """A template in place of the benchmark's prompt, a system text, and sampling; by default the benchmark's own."""

    template: str = ""
    system: str = ""
    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)

    @cached_property
    def sha256(self) -> str:
        """Digest of all four; empty for the defaults."""
        return "" if self == AskingManner() else sha256_json(self.model_dump())

    @property
    def sampling(self) -> dict[str, float]:
        """Fields of a request: the temperature, and top_p where it is not 1."""
        return {"temperature": self.temperature} | ({"top_p": self.top_p} if self.top_p < 1 else {})

    def prompt(self, benchmark: Benchmark, item: BenchmarkItem) -> str:
        """The text of the prompt, in addition to the audio. Raises UserError for a template that cannot be filled."""
        if not self.template:
            return benchmark.prompt(item)
        lettered = [f"({letter}) {option}" for letter, option in zip(LETTERS, item.options, strict=False)]
        environment = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
        try:
            template = environment.from_string(self.template)
            return template.render(question=item.question, options=lettered, choices=list(item.options)).strip()
        except TemplateError as error:
            raise UserError(
                f"the prompt's template cannot be filled: {error}. It knows question, options and choices."
            ) from error


def read_manner(path: Path | None) -> AskingManner:
    """Read a prompt file; the defaults for None. Raises UserError naming what is wrong in it."""
    if path is None:
        return AskingManner()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as a prompt: {error}") from error
    if path.suffix.lower() not in STRUCTURED:
        return AskingManner(template=_that_asks(text, path))
    try:
        manner = AskingManner.model_validate(yaml.safe_load(text) or {})
    except (yaml.YAMLError, ValidationError) as error:
        raise UserError(f"{path} holds template, system, temperature and top_p: {error}") from error
    if manner.template:
        _that_asks(manner.template, path)
    return manner


def _that_asks(template: str, path: Path) -> str:
    if "question" not in template:
        raise UserError(f"{path}: a template holds {{{{ question }}}}, where the benchmark's question stands.")
    return template
