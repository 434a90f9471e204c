"""python -m pipelines.derive: write what follows from the stages, and from nothing else, anew.

dvc.yaml; each stage's component, README.md and `__init__.py`; the outputs of `configure`; the components that a wheel
carries; the stages' titles in the report; the table of ports in docs/reference/data.md. Parts of a file lie between
marks, `derived: NAME` and `end of NAME`. tests/contract/test_derived.py holds that nothing here is stale.
"""

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from music_flamingo import stages
from music_flamingo.core.ports import Folder
from music_flamingo.core.shards import write_atomic
from music_flamingo.runs.graph import graph_text
from pipelines.component_code import component_files

ROOT = Path(__file__).resolve().parents[1]
CONFIGURE = Path("components/configure/component.py")
PACKAGE = Path("pyproject.toml")
PORTS = Path("docs/reference/data.md")
TITLES = Path("src/music_flamingo/report/stages.json")
NOT_SAID = "TO SAY: what it holds"
"""Stands in the table of ports until a person has said it."""


def derived(root: Path = ROOT) -> dict[Path, str]:
    """File -> what it should hold, relative to the repository."""
    files = {Path("dvc.yaml"): graph_text(), TITLES: _titles()}
    for name in stages.ORDER:
        folder = Path("components") / name
        code = component_files(name, root / folder)
        files |= {folder / file: text for file, text in code.items()}
        files[folder / "README.md"] = _readme(name, code["component.py"])
        files[folder / "__init__.py"] = _exports(name)
    files[CONFIGURE] = _between(root / CONFIGURE, "stages", [f'        ("{name}", str),' for name in stages.ORDER])
    files[PACKAGE] = _between(root / PACKAGE, "components", list(_carried(root)))
    files[PORTS] = _between(root / PORTS, "ports", list(_table((root / PORTS).read_text())))
    return files


def stale(root: Path = ROOT) -> list[Path]:
    """The files that do not hold what they should."""
    return [p for p, text in derived(root).items() if not (root / p).is_file() or (root / p).read_text() != text]


def _titles() -> str:
    """The stages that the report shows: it lies below them, and may not import them."""
    titles = ((name, stages.load(name).title) for name in stages.ORDER)
    return json.dumps([{"name": name, **vars(title)} for name, title in titles if title], indent=1) + "\n"


def _readme(name: str, component: str) -> str:
    stage, summary = stages.load(name), ast.get_docstring(ast.parse(component)) or ""
    image = re.search(r"base_image=(\w+)_IMAGE", component)
    assert image, f"components/{name}/component.py names no image"
    takes = _listed(stage.inputs) or ("a source named by its parameters" if _has_source(name) else "nothing")
    return "\n".join(
        [
            f"# {name}\n",
            f"{summary}\n",
            f"- Takes: {takes}",
            f"- Gives: {_listed(stage.outputs)}",
            f"- Image: {image[1].lower()}",
            f"- Parameters: the section `{name}:` of params.yaml; `mf params {name}` prints what is in force",
            f"- By hand: `mf run {name}`",
            f"- Code: [src/music_flamingo/stages/{name}.py](../../src/music_flamingo/stages/{name}.py)\n",
        ]
    )


def _listed(ports: object) -> str:
    return ", ".join(f"`{port}`" for port in ports)  # type: ignore[attr-defined]


def _has_source(name: str) -> bool:
    return "source" in stages.load(name).config.model_fields or "sources" in stages.load(name).config.model_fields


def _exports(name: str) -> str:
    """`components.NAME` gives the component, and for a branched stage the one that collects."""
    found = [f"collect_{name}", name] if name in stages.BRANCHED else [name]
    module = {name: "component", f"collect_{name}": "collect"}
    if (first := stages.load(name).first_pass) is not None:
        found, module = [first.__name__, name], {**module, first.__name__: first.__name__}
    lines = [f"from components.{name}.{module[n]} import {n}" for n in found]
    names = ", ".join(f'"{n}"' for n in sorted(found))
    return "\n".join([*lines, "", f"__all__ = [{names}]", ""])


def _carried(root: Path) -> Iterator[str]:
    there = {path.parent.name for path in (root / "components").glob("*/component.py")}
    for folder in sorted(there | set(stages.ORDER)):
        yield f'"share/music-flamingo/components/{folder}" = ["components/{folder}/*.py"]'


def _table(text: str) -> Iterator[str]:
    """A row for each port; what it holds is taken from the row that a person wrote."""
    rows = [
        [cell.strip() for cell in line.strip("| ").split(" | ", 3)] for line in text.splitlines() if line[:3] == "| `"
    ]
    holds = {row[0].strip("`"): row[3] for row in rows if len(row) == 4}
    yield "| port | given by | record | holds |"
    yield "| --- | --- | --- | --- |"
    for name in stages.ORDER:
        for port, record in stages.load(name).outputs.items():
            kind = "files" if issubclass(record, Folder) else record.__name__
            yield f"| `{port}` | {name} | {kind} | {holds.get(port, NOT_SAID)} |"


def _between(path: Path, name: str, lines: list[str]) -> str:
    """A file's text with what lies between its marks replaced."""
    text = path.read_text()
    marks = re.compile(rf"(^[^\n]*derived: {name}[^\n]*\n)(.*?)(^[^\n]*end of {name}\b)", re.DOTALL | re.MULTILINE)
    assert len(marks.findall(text)) == 1, f"{path} must have the marks `derived: {name}`, `end of {name}` once"
    return marks.sub(lambda found: found[1] + "".join(f"{line}\n" for line in lines) + found[3], text)


def main() -> int:
    """Write what is stale and name it."""
    for path in stale():
        (ROOT / path).parent.mkdir(exist_ok=True)
        write_atomic(ROOT / path, derived()[path])
        print(f"{path} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
