"""Load params.yaml with profiles merged over it: stage name to parameters."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

import yaml

from music_flamingo.core.errors import ConfigError

SHARED = "shared"
"""The key of params.yaml that holds anchors only."""

PLAN = "plan"
"""The key of what `mf plan` assumes: no stage reads it."""


def load_params(path: Path, overlays: tuple[Path, ...] = (), settings: tuple[str, ...] = ()) -> dict[str, Any]:
    """Parameters of every stage: `path`, then each overlay, then `stage.name=value` settings (values in YAML).

    Mappings merge key by key; a mapping whose `kind` changes, and everything else, is replaced whole.
    Raises ConfigError naming the file for what is not YAML or not a mapping.
    """
    params = _laid_over(path, overlays, settings)
    return {name: value for name, value in params.items() if name not in (SHARED, PLAN)}


def load_assumptions(path: Path, overlays: tuple[Path, ...] = (), settings: tuple[str, ...] = ()) -> dict[str, Any]:
    """What `mf plan` assumes, found and laid over as the stages' parameters are."""
    assumed: dict[str, Any] = _laid_over(path, overlays, settings).get(PLAN, {})
    return assumed


def _laid_over(path: Path, overlays: tuple[Path, ...], settings: tuple[str, ...]) -> dict[str, Any]:
    params = _read(path)
    for overlay in overlays:
        params = merge(params, _read(overlay))
    for setting in settings:
        params = merge(params, parse_setting(setting))
    return params


def stage_json(params: Mapping[str, Any], stage: str) -> str:
    """One stage's parameters as JSON text: the form in which they travel (numbers keep their digits)."""
    if stage not in params:
        raise ConfigError(f"the parameters have no section `{stage}:`. There are: {', '.join(sorted(params))}.")
    return json.dumps(params[stage], sort_keys=True)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested mappings; values of `over` win."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if _same_kind(old, value) else value
    return merged


def _same_kind(old: Any, new: Any) -> TypeGuard[Mapping[str, Any]]:
    """Both are mappings, and the new one does not name another `kind`."""
    both = isinstance(old, Mapping) and isinstance(new, Mapping)
    return both and new.get("kind", old.get("kind")) == old.get("kind")


def parse_setting(setting: str) -> dict[str, Any]:
    """`sft.steps=20` -> {"sft": {"steps": 20}}."""
    name, separator, text = setting.partition("=")
    if not separator or not name:
        raise ConfigError(f"a setting reads stage.name=value, not {setting!r}.")
    value: Any = yaml.safe_load(text)
    for part in reversed(name.split(".")):
        value = {part: value}
    return dict(value)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ConfigError(f"{path} does not exist. Give a parameter file with --params or a profile with --profile.")
    try:
        value = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {error}") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{path} must hold a mapping of stages, not {type(value).__name__}.")
    return value
