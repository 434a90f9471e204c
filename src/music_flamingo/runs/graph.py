"""The graph for DVC, from the stages themselves: command, parameters, ports and code of each.

DVC must see a change of code, and a comment is none. So the first of its stages, `identity`, always runs: it writes a
digest of each stage's code, as the stage's key has it, and the stages depend on these files.
"""

from typing import Any

import yaml

from music_flamingo import stages
from music_flamingo.runs.identity_files import FOLDER

DATA = "data"
HEADER = """\
# The graph for DVC: `dvc repro` runs what is missing. Derived from the stages by `make derive`.
# `persist`: an interrupted stage goes on from its shards.
"""


def graph() -> dict[str, Any]:
    """dvc.yaml as a mapping."""
    return {"stages": {"identity": _identity(), **{name: _stage(name) for name in stages.ORDER}}}


def graph_text() -> str:
    """dvc.yaml as text."""
    return HEADER + yaml.safe_dump(graph(), sort_keys=False)


def identity_file(name: str) -> str:
    """The file that stands for the code of a stage, seen from the folder of dvc.yaml."""
    return f"{DATA}/{FOLDER}/{name}.json"


def _identity() -> dict[str, Any]:
    outs = [{identity_file(name): {"persist": True, "cache": False}} for name in stages.ORDER]
    return {"cmd": "mf identity --write", "always_changed": True, "outs": outs}


def _stage(name: str) -> dict[str, Any]:
    stage = stages.load(name)
    uncached = {"persist": True, "cache": False}
    return {
        "cmd": f"mf run {name}",
        "params": [name],
        "deps": [identity_file(name), *(f"{DATA}/{port}" for port in stage.inputs)],
        "outs": [
            {f"{DATA}/{port}": dict(uncached) if port in stage.uncached else {"persist": True}}
            for port in stage.outputs
        ],
    }
