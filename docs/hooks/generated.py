"""Pages of the documentation that follow from the code: stages, parameters, the command line, decisions.

A hook of mkdocs: the pages exist in the built site alone, so nothing of them can be stale.
"""

import argparse
import ast
import inspect
import re
import textwrap
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from mkdocs.structure.files import File, Files
from pydantic import BaseModel

from music_flamingo import stages
from music_flamingo.cli import build_parser
from music_flamingo.core.ports import Folder
from music_flamingo.core.stage import Stage

ROOT = Path(__file__).resolve().parents[2]
Config = type[BaseModel]


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages to those that lie in docs/."""
    pages = {
        "reference/stages.md": stages_page(),
        "reference/parameters.md": parameters_page(),
        "reference/cli.md": cli_page(),
        "decisions/index.md": decisions_page(),
    }
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def stages_page() -> str:
    """Each stage in the order of the pipeline: what its module says, its inputs and outputs."""
    parts = [
        "# Stages",
        "In the order of one song's way. Printed by `mf stages`; a port's records are in [data](data.md).",
    ]
    for name in stages.ORDER:
        stage = stages.load(name)
        said = inspect.getdoc(inspect.getmodule(stage.run)) or ""
        parts += [f"## {name}", said.split(": ", 1)[-1]]
        parts += [f"**Inputs** {_ports(stage.inputs) or 'a source'}", f"**Outputs** {_ports(stage.outputs)}"]
    return "\n\n".join(parts) + "\n"


def _ports(ports: Any) -> str:
    return ", ".join(f"`{p}` ({'files' if issubclass(r, Folder) else r.__name__})" for p, r in ports.items())


def parameters_page() -> str:
    """Every parameter of every stage: type, range, the default's value, and the reason that its class gives."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    parts = [
        "# Parameters",
        "The default's values are those of params.yaml; a profile (`pipelines/profiles/`) is laid over it, and "
        "`--set STAGE.NAME=VALUE` over both. `mf params STAGE` prints what is in force.",
    ]
    shown: set[Config] = set()
    for name in stages.ORDER:
        parts += [f"## {name}", *_table(stages.load(name).config, values.get(name, {}))]
        parts += [text for config in _below(stages.load(name)) if config not in shown for text in _section(config)]
        shown |= set(_below(stages.load(name)))
    return "\n\n".join(parts) + "\n"


def _section(config: Config) -> list[str]:
    return [f"### {config.__name__}", _said(config), *_table(config, {})]


def _table(config: Config, values: dict[str, Any]) -> list[str]:
    reasons = _reasons(config)
    lines = ["| Parameter | Type | Default | Why |", "|---|---|---|---|"]
    for name, field in config.model_fields.items():
        kind = f"{_type(field.annotation)}{_range(field.metadata)}"
        default = _short(values[name]) if name in values else ""
        lines.append(f"| `{name}` | {kind} | {default} | {_cell(reasons.get(name, ''))} |")
    return ["\n".join(lines)] if config.model_fields else []


def _range(metadata: list[Any]) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [f"{signs[k]} {getattr(m, k)}" for m in metadata for k in signs if getattr(m, k, None) is not None]
    return f", {', '.join(found)}" if found else ""


def _short(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=1000).replace("\n...", "").strip()
    return f"`{_cell(text)}`" if len(text) < 60 else "see params.yaml"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _type(annotation: Any) -> str:
    if annotation is None:
        return ""
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation.__name__
    text = re.sub(r"Annotated\[([\w.]+), .*?\]\]?", r"\1", str(annotation))
    return _cell(re.sub(r"\b[a-z_]+\.(?:\w+\.)*", "", text))[:120]


def _reasons(config: Config) -> dict[str, str]:
    """Field -> the string literal below it, of the class and of those it inherits from."""
    found: dict[str, str] = {}
    for base in reversed(config.__mro__):
        if base is BaseModel or not issubclass(base, BaseModel):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, after in zip(body.body, body.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
            ):
                found[ast.unparse(field.target)] = str(after.value.value)
    return found


def _said(config: Config) -> str:
    return inspect.getdoc(config) or ""


def _below(stage: Stage) -> list[Config]:
    """The configuration classes inside of a stage's, each once, in the order of their fields."""
    found: dict[Config, None] = {}

    def walk(annotation: Any) -> None:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation not in found:
            found[annotation] = None
            for field in annotation.model_fields.values():
                walk(field.annotation)
        for inner in typing.get_args(annotation):
            walk(inner)

    for field in stage.config.model_fields.values():
        walk(field.annotation)
    return list(found)


def cli_page() -> str:
    """Each command's own help."""
    parts = ["# The command `mf`"]
    for name, parser in _commands(build_parser()):
        parts += [f"## mf {name}", f"```text\n{parser.format_help().strip()}\n```"]
    return "\n\n".join(parts) + "\n"


def _commands(parser: argparse.ArgumentParser, above: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, sub in action.choices.items():
                inner = list(_commands(sub, f"{above}{name} "))
                yield from inner or [(f"{above}{name}", sub)]


def decisions_page() -> str:
    """The list of decisions by their titles."""
    lines = [
        "# Decisions",
        "",
        "Each says the problem, the choice, what was given up, and the test that guards it.",
        "",
    ]
    for path in sorted((ROOT / "docs/decisions").glob("[0-9]*.md")):
        title = path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        lines.append(f"- [{title}]({path.name})")
    return "\n".join(lines) + "\n"
