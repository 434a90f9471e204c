"""A release on disk: contents, seal, and the checks at loading.

model/            safetensors weights and the processor (absent from a refused release)
MODEL_CARD.md     for people
evaluation.json   every score and difference
release.json      for serving: status, prompt, listening rule, what was trained on
checksums.json    SHA-256 of every other file

Nothing here is ever loaded as a pickle, and no code comes with a model: `trust_remote_code` is never on.
"""

import json
import struct
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from music_flamingo.core.errors import CorruptDataError, MissingInputError, UserError
from music_flamingo.core.hashing import sha256_file
from music_flamingo.core.manifest import MANIFEST_NAME, PROGRESS_NAME
from music_flamingo.core.record import RecordPart
from music_flamingo.core.shards import write_atomic
from music_flamingo.prompts import load as load_prompt
from music_flamingo.serving.template_trial import require_ending_templates

RELEASE_FILE = "release.json"
CHECKSUMS_FILE = "checksums.json"
CARD_FILE = "MODEL_CARD.md"
EVALUATION_FILE = "evaluation.json"
MODEL_FOLDER = "model"
ADAPTERS = "adapters"
"""Of a stage's port: what lies next to `model/` in peft's layout. A release holds merged weights."""
ALLOWED_SUFFIXES = (".safetensors", ".json", ".jinja", ".txt", ".md")
"""Everything a processor and safetensors weights need. What else lies there (.bin, .pt, .pkl, .py) is refused."""

_NOT_SEALED = (CHECKSUMS_FILE, MANIFEST_NAME, PROGRESS_NAME)
_PICKLE_OR_ZIP = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")
"""First bytes of binary pickles, and of the zip archives that torch.save wraps them in."""


class TrainedQuestion(RecordPart):
    """A family of questions that the model was trained on."""

    family: str
    question: str | None
    """In its training's words; None where training put it in several ways."""


class ReleaseInfo(RecordPart):
    """The release's status, name, prompt, limits and trained questions."""

    status: Literal["released", "examined_by_facts", "unevaluated", "refused"]
    """`examined_by_facts`: no truth, but it agrees with what tools measured on held-out recordings. `unevaluated`:
    there was nothing to ask against. `refused`: by the gate, and there are no weights."""
    reasons: list[str]
    """Why it was refused."""
    name: str
    """The model's name in requests."""
    think: bool
    """Whether the model is asked to think before it answers."""
    prompt_id: str
    prompt_sha256: str
    max_new_tokens: int
    max_audio_s: float
    """The model hears this much of a recording: its middle. What its context has room for, where its ears take more."""
    questions: list[TrainedQuestion]
    teacher: str
    """Who wrote the training texts, e.g. `scripted`."""
    parents: dict[str, str]
    """Port -> digest of what the release was made from."""


def seal(folder: Path) -> None:
    """Write the checksums of every file. Raises CorruptDataError for a file that no release may hold."""
    files = _files(folder)
    for path in files:
        require_harmless(path)
    write_atomic(folder / CHECKSUMS_FILE, _checksums_text({_name(folder, p): sha256_file(p) for p in files}))


def open_release(folder: Path) -> ReleaseInfo:
    """Check every byte of a release, and that its chat template ends, and say what it is.

    Raises MissingInputError when there is none, CorruptDataError naming the file that is changed, missing, too many
    or harmful, UserError for a release that was refused or needs another version of this package.
    """
    if not (folder / RELEASE_FILE).is_file():
        raise MissingInputError(f"{folder} holds no {RELEASE_FILE}: run the pipeline first (`make run`).")
    verify_checksums(folder)
    try:
        info = ReleaseInfo.model_validate_json((folder / RELEASE_FILE).read_text())
    except ValidationError as error:
        raise CorruptDataError(f"{folder / RELEASE_FILE} is not a release: {error}. Run the stage again.") from error
    if info.status == "refused":
        raise UserError(
            f"the release in {folder} was refused and holds no weights: {'; '.join(info.reasons)}. "
            f"See {folder / CARD_FILE}."
        )
    if load_prompt(info.prompt_id).sha256 != info.prompt_sha256:
        raise UserError(
            f"the model in {folder} was trained with another wording of the prompt `{info.prompt_id}`: serve it with "
            "the version of this package that made it, or run the pipeline again."
        )
    require_ending_templates(folder / MODEL_FOLDER)
    return info


def require_digest(folder: Path, sha256: str) -> None:
    """Raises CorruptDataError unless the release is the one whose checksums.json has this SHA-256."""
    found = sha256_file(folder / CHECKSUMS_FILE) if (folder / CHECKSUMS_FILE).is_file() else "none"
    if found != sha256:
        raise CorruptDataError(
            f"{folder} is not the release that was deployed: its {CHECKSUMS_FILE} has the SHA-256 {found}, "
            f"not {sha256}. Deploy again what should serve."
        )


def verify_checksums(folder: Path) -> None:
    """Raises CorruptDataError unless the folder holds exactly the sealed files, byte for byte, and no harmful one."""
    expected = _read_checksums(folder / CHECKSUMS_FILE)
    found = {_name(folder, path): path for path in _files(folder)}
    for name in sorted(set(expected) | set(found)):
        if name not in found:
            raise CorruptDataError(f"{folder / name} is missing from the release. {_REMEDY}")
        if name not in expected:
            raise CorruptDataError(f"{found[name]} is no part of the release: its checksum is not listed. {_REMEDY}")
        require_harmless(found[name])
        if sha256_file(found[name]) != expected[name]:
            raise CorruptDataError(f"{found[name]} does not match its checksum. {_REMEDY}")


_REMEDY = "Fetch the release again, or delete it and run the stage `release`."


def require_harmless(path: Path) -> None:
    """Raises CorruptDataError for a pickle under any name, code, a link, or a file that is not what its name says."""
    if path.is_symlink() or path.suffix not in ALLOWED_SUFFIXES:
        raise CorruptDataError(f"{path} may not be part of a release: only {', '.join(ALLOWED_SUFFIXES)} files are.")
    with path.open("rb") as file:
        start = file.read(8)
        if start.startswith(_PICKLE_OR_ZIP):
            raise CorruptDataError(f"{path} holds a pickle, which can run code when loaded: delete it.")
        if path.suffix == ".safetensors":
            header = file.read(_header_length(start))
            _require_safetensors(path, start, header, path.stat().st_size)
    if path.suffix == ".json":
        _require_json_without_code(path)


def _header_length(start: bytes) -> int:
    # safetensors allows headers up to 100 MB; a forged length must not make us read more
    return min(struct.unpack("<Q", start)[0], 100_000_000) if len(start) == 8 else 0


def _require_safetensors(path: Path, start: bytes, header: bytes, num_bytes: int) -> None:
    try:
        whole = len(start) == 8 and struct.unpack("<Q", start)[0] == len(header)
        if whole and num_bytes - 8 - len(header) == _data_bytes(json.loads(header)):
            return
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    raise CorruptDataError(f"{path} is not a safetensors file. {_REMEDY}")


def _data_bytes(header: dict[str, Any]) -> int:
    """Where the last tensor ends, and so the file."""
    return max((t["data_offsets"][1] for name, t in header.items() if name != "__metadata__"), default=0)


def _require_json_without_code(path: Path) -> None:
    try:
        value = json.loads(path.read_text())
    except ValueError as error:
        raise CorruptDataError(f"{path} is not JSON: {error}. {_REMEDY}") from error
    if _names_code(value):
        raise CorruptDataError(f"{path} names Python code to be run with the model (`auto_map`): it is not loaded.")


def _names_code(value: object) -> bool:
    """An `auto_map` at any depth: configurations hold those of their parts."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if "auto_map" in part:
                return True
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    return False


def _files(folder: Path) -> list[Path]:
    return [p for p in sorted(folder.rglob("*")) if not p.is_dir() and _name(folder, p) not in _NOT_SEALED]


def _name(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def _checksums_text(checksums: dict[str, str]) -> str:
    return json.dumps(checksums, indent=1, sort_keys=True) + "\n"


def _read_checksums(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise CorruptDataError(f"{path} is missing: a release without checksums is not loaded. {_REMEDY}")
    try:
        text = path.read_bytes().decode()
        checksums = json.loads(text)
    except ValueError as error:
        raise CorruptDataError(f"{path} is not JSON: {error}. {_REMEDY}") from error
    if not isinstance(checksums, dict) or _checksums_text(checksums) != text:
        raise CorruptDataError(f"{path} was changed after it was written. {_REMEDY}")
    return checksums
