"""The parameters that a pipeline is compiled with: params.yaml under a profile, as one JSON text."""

import json
import os
from pathlib import Path
from typing import Any

from music_flamingo.core.params import load_assumptions, load_params
from music_flamingo.runs.workspace import profile_path

BRANCHES = 8
"""Pods at work side by side on the shards of a catalogue, unless a run says otherwise (at most 32)."""

_ROOT = Path(__file__).resolve().parents[1]


def default_profile() -> str:
    """The name of the profile that a pipeline is compiled for: PROFILE of the environment, or the stem of its file."""
    return Path(os.environ.get("PROFILE") or "default").stem


def is_fused() -> bool:
    """Whether neighbouring light stages share a step: FUSE of the environment is set to other than 0."""
    return os.environ.get("FUSE", "0") not in ("", "0")


def default_params() -> str:
    """All parameters as JSON text; `PROFILE` of the environment names a profile to lay over params.yaml."""
    # as one string: KFP turns the 4 of a dict into 4.0 and rounds large seeds
    return json.dumps(load_params(_ROOT / "params.yaml", _overlays()), sort_keys=True)


def default_assumptions() -> dict[str, Any]:
    """What the profile plans with (`plan:`), which no stage reads: the GPUs of each stage among it."""
    return load_assumptions(_ROOT / "params.yaml", _overlays())


def _overlays() -> tuple[Path, ...]:
    profile = os.environ.get("PROFILE")
    return (profile_path(profile),) if profile else ()
