"""Write what DVC sees of a stage's code, `data/_identity/STAGE.json`, before each run of the graph.

The file holds the digest of the stage's code. Where dvc.lock takes a stage for done and the manifests of its ports say
otherwise (parameters that changed in the moment the stage ended, ports that were replaced), it names the manifest's key
too, so that DVC runs the stage again; `mf run` makes what is missing and leaves the digest alone.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from music_flamingo import stages
from music_flamingo.core.errors import UserError
from music_flamingo.core.hashing import sha256_json
from music_flamingo.core.manifest import finished_key, read_manifest
from music_flamingo.core.params import stage_json
from music_flamingo.core.shards import write_atomic
from music_flamingo.core.stage import Stage, parse_config

FOLDER = "_identity"
LOCK = "dvc.lock"


def write_all(data: Path, params: Mapping[str, Any]) -> list[str]:
    """Write the file of every stage below `data`; gives the stages that dvc.lock and manifests disagree about."""
    lock = _locked(data.parent / LOCK)
    disputed = []
    for name in stages.ORDER:
        stage = stages.load(name)
        plain = text_of(stage)
        key = _foreign_key(stage, data, params) if _is_done(lock.get(name), plain, params, name) else None
        if key is not None:
            disputed.append(name)
        _write(data, name, plain if key is None else text_of(stage, key))
    return disputed


def settle(stage: Stage, data: Path) -> None:
    """Write the file of one stage, whose ports are now what its manifests say."""
    _write(data, stage.name, text_of(stage))


def text_of(stage: Stage, foreign_key: str | None = None) -> str:
    """The file's content; `foreign_key` is that of ports which dvc.lock wrongly takes for the stage's."""
    content = {"stage": stage.name, "code": stage.code().digest}
    return json.dumps(content | ({"ports_have_key": foreign_key} if foreign_key else {})) + "\n"


def _write(data: Path, name: str, text: str) -> None:
    path = data / FOLDER / f"{name}.json"
    # an unchanged file keeps its time, by which DVC knows it
    if not path.is_file() or path.read_text() != text:
        write_atomic(path, text)


def _locked(path: Path) -> dict[str, Any]:
    locked = yaml.safe_load(path.read_text()) if path.is_file() else None
    entries: dict[str, Any] = (locked or {}).get("stages", {})
    return entries


def _is_done(entry: Mapping[str, Any] | None, plain: str, params: Mapping[str, Any], name: str) -> bool:
    """dvc.lock has the stage, with these parameters and this code."""
    if entry is None:
        return False
    known = {dep["path"].rpartition("/")[2]: dep.get("md5") for dep in entry.get("deps", ())}
    same_code = known.get(f"{name}.json") == hashlib.md5(plain.encode(), usedforsecurity=False).hexdigest()
    given = [section.get(name) for section in entry.get("params", {}).values()]
    return same_code and [sha256_json(g) for g in given] == [sha256_json(params.get(name))]


def _foreign_key(stage: Stage, data: Path, params: Mapping[str, Any]) -> str | None:
    """The key of the stage's finished ports where it is not that of this code, these parameters and the inputs."""
    made = {finished_key(data / port) for port in stage.outputs}
    try:
        inputs = {port: read_manifest(data / port).digest for port in stage.inputs}
        key = stage.key(parse_config(stage, stage_json(params, stage.name)), inputs)
    except UserError:
        # an input or a source is missing: the stage's own run says which, and how to mend it
        return None
    return None if made == {key} else next((m for m in made if m not in (None, key)), None)
