"""The code of a stage's components, from its ports: the interface that Kubeflow reads, and the door they go through.

A person writes two things of a component, and they are read from its file: its first line, and its image.
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from music_flamingo import stages
from music_flamingo.core.first_pass import PORT
from music_flamingo.core.ports import Folder
from music_flamingo.core.stage import PortType, Stage

NOT_SAID = "TO SAY: what it does."
"""The first line of a new component, until a person has written it."""
KINDS = ("Artifact", "Dataset", "Input", "Model", "Output")
"""What a component may import of kfp.dsl for its ports."""
FOLDERS_OF_DATA = ("speech",)
"""Ports of files that Kubeflow shows as data sets."""
LINE = 100
"""Mappings of ports up to this many letters stand on one line."""


def component_files(name: str, folder: Path) -> dict[str, str]:
    """File name -> its code, for the component of a stage and, where it is branched, the one that collects.

    `folder` holds the component as it is now, or nothing yet.
    """
    file = folder / "component.py"
    old = file.read_text() if file.is_file() else ""
    summary = (ast.get_docstring(ast.parse(old)) or NOT_SAID).strip()
    found = re.search(r"base_image=(\w+)", old)
    image = found[1] if found else "ANNOTATE_IMAGE"
    stage = stages.load(name)
    files = {"component.py": _component(stage, summary, image)}
    if name in stages.BRANCHED:
        files["collect.py"] = _collect(stage, image)
    if stage.first_pass is not None:
        files[f"{stage.first_pass.__name__}.py"] = _first_pass(stage, stage.first_pass.__name__, image)
    return files


def artifact(port: str, record: PortType) -> str:
    """Name the artifact class by which Kubeflow shows a port."""
    if not issubclass(record, Folder) or port in FOLDERS_OF_DATA:
        return "Dataset"
    return "Model" if port.endswith("_model") or port == "release" else "Artifact"


def _component(stage: Stage, summary: str, image: str) -> str:
    is_branched = stage.name in stages.BRANCHED
    args = [f"config: The stage's parameters as JSON text (`mf params {stage.name}` prints them)."]
    if is_branched:
        args.append("shards: A branch works on these alone: `8-15`. All, where it is empty.")
    if stage.first_pass is not None:
        args.append(f"parts: What branches left of its first pass (`{stage.first_pass.__name__}`).")
    return _module(
        summary,
        image,
        stage,
        name=stage.name,
        between=["    parts: Input[list[Artifact]],"] if stage.first_pass else [],
        last=['    shards: str = "",'] if is_branched else [],
        args=args,
        door="after_step" if stage.first_pass else "run_step",
        passed=["shards"] if is_branched else ["parts"] if stage.first_pass else [],
    )


def _first_pass(stage: Stage, name: str, image: str) -> str:
    return _module(
        f"Make the first pass of `{stage.name}` over a range of shards, for `{stage.name}` to go on from.",
        image,
        replace(stage, outputs={PORT: Folder}),
        name=name,
        between=[],
        last=["    shards: str,"],
        args=[f"config: The parameters of `{stage.name}` as JSON text.", "shards: The range, first and last: `8-15`."],
        door="first_pass_step",
        passed=["shards"],
    )


def _collect(stage: Stage, image: str) -> str:
    (port,) = [p for p, record in stage.outputs.items() if not issubclass(record, Folder)][:1]
    return _module(
        f"Put the parts that branches made of `{port}` together: the port of one process.",
        image,
        stage,
        name=f"collect_{stage.name}",
        between=["    parts: Input[list[Dataset]],"],
        last=[],
        args=["config: The stage's parameters as JSON text, as the branches had them."],
        door="collect_step",
        passed=["parts"],
    )


def _module(
    summary: str,
    image: str,
    stage: Stage,
    *,
    name: str,
    between: list[str],
    last: list[str],
    args: list[str],
    door: str,
    passed: list[str],
) -> str:
    takes = [f"    {port}: Input[{artifact(port, record)}]," for port, record in stage.inputs.items()]
    gives = [f"    {port}: Output[{artifact(port, record)}]," for port, record in stage.outputs.items()]
    ports = [*takes, *between, *gives]
    used = [kind for kind in KINDS if re.search(rf"\b{kind}\b", str(ports))]
    return "\n".join(
        [
            f'"""{summary}"""\n',
            f"from kfp.dsl import {', '.join([*used, 'component'])}\n",
            f"from components.images import {image}\n\n",
            f"@component(base_image={image}, install_kfp_package=False)",
            f"def {name}(",
            "    config: str,",
            *ports,
            *last,
            ") -> None:",
            f'    """{summary}\n',
            "    Args:",
            *(f"        {line}" for line in args),
            '    """',
            f"    from music_flamingo.runs.kfp_step import {door}\n",
            f"    {door}(",
            f'        "{stage.name}",',
            "        config,",
            *_mapping(stage.inputs),
            *_mapping(stage.outputs),
            *(f"        {argument}," for argument in passed),
            "    )\n",
        ]
    )


def _mapping(ports: Mapping[str, PortType]) -> list[str]:
    line = "        {" + ", ".join(f'"{port}": {port}' for port in ports) + "},"
    if len(line) <= LINE:
        return [line]
    return ["        {", *(f'            "{port}": {port},' for port in ports), "        },"]
