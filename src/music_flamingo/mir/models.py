"""Model folders of MIR adapters: local, safetensors only, identified by a digest of their content."""

from pathlib import Path
from typing import Literal

from music_flamingo.core.errors import MissingInputError
from music_flamingo.core.hashing import sha256_file, sha256_json

Device = Literal["cpu", "cuda"]


def folder_sha256(folder: Path) -> str:
    """Of a model folder's files by name, whatever the folder is called. Raises MissingInputError where none is."""
    files = sorted(p for p in folder.glob("*") if p.is_file() and not p.name.startswith("."))
    if not any(p.suffix == ".safetensors" for p in files):
        raise MissingInputError(
            f"{folder} holds no model: a folder with config.json and *.safetensors is looked for. "
            "Bring the model there, or choose another tool."
        )
    return sha256_json({p.name: sha256_file(p) for p in files})
