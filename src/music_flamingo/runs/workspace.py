"""Workspaces: where a run of the whole pipeline lives. The default runs in the repository; a profile or one's own
songs run beside it, in `runs/NAME`, with their own params.yaml, dvc.yaml and data."""

import importlib.util
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import yaml

from music_flamingo.core.errors import UserError
from music_flamingo.core.params import load_params
from music_flamingo.core.shards import write_atomic
from music_flamingo.runs.graph import graph

PROFILES = Path("pipelines/profiles")
SITE = Path("data/site/index.html")
DVC_CONFIG = "[core]\n    no_scm = true\n    analytics = false\n    check_update = false\n"
"""Of a workspace outside of any DVC repository: as the checkout's."""


def profile_path(name: str) -> Path:
    """`smoke` -> pipelines/profiles/smoke.yaml; a path to a YAML file stays as it is."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return path
    found = repository() / PROFILES / f"{name}.yaml"
    if not found.is_file():
        there = sorted(p.stem for p in found.parent.glob("*.yaml"))
        raise UserError(f"there is no profile `{name}` in {PROFILES}. Profiles: {', '.join(there)}.")
    return found


def reproduce(profile: str | None, source: Path | None, settings: tuple[str, ...], workspace: Path | None) -> int:
    """Prepare the workspace, let DVC run what is missing, and print the address of the report."""
    home = repository()
    if source is not None:
        settings = (*settings, *_source_settings(source))
    folder = workspace or _default_workspace(home, profile, source, settings)
    if folder.resolve() != home:
        prepare(home, folder, profile, settings)
    status = subprocess.run([*_dvc(), "repro"], cwd=folder, env=_environment()).returncode
    if status:
        print(f"mf: the pipeline stopped; what is finished stays in {folder / 'data'}.", file=sys.stderr)
        return status
    print(f"\nReport: {(folder / SITE).resolve().as_uri()}")
    return 0


def prepare(home: Path, folder: Path, profile: str | None, settings: tuple[str, ...]) -> None:
    """Write the workspace's params.yaml (resolved) and dvc.yaml (that of the repository, with the folder of songs)."""
    overlays = (profile_path(profile),) if profile else ()
    params = load_params(home / "params.yaml", overlays, settings)
    derived = graph()
    derived["stages"]["ingest"]["deps"] += _songs(params)
    if not any((place / ".dvc").is_dir() for place in (folder.resolve(), *folder.resolve().parents)):
        write_atomic(folder / ".dvc/config", DVC_CONFIG)
    _write_if_changed(folder / "params.yaml", "# Resolved parameters of this workspace.\n", params)
    _write_if_changed(folder / "dvc.yaml", "# dvc.yaml of the repository, with this workspace's songs.\n", derived)


def _songs(params: dict[str, Any]) -> list[str]:
    """The folder of songs that the source reads, so that DVC sees songs come and go."""
    path = params["ingest"]["source"].get("path")
    return [path] if path else []


def _write_if_changed(path: Path, header: str, value: Any) -> None:
    text = header + yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    if not path.is_file() or path.read_text() != text:
        write_atomic(path, text)


def _source_settings(source: Path) -> tuple[str, ...]:
    if not source.is_dir():
        raise UserError(f"SOURCE={source} is not a folder. Give a folder of wav, flac, mp3, m4a, ogg or opus files.")
    return (f"ingest.source={{kind: audio_folder, path: {yaml.safe_dump(str(source.resolve())).splitlines()[0]}}}",)


def _default_workspace(home: Path, profile: str | None, source: Path | None, settings: tuple[str, ...]) -> Path:
    if not is_checkout(home):
        return Path.cwd() / "runs" / (_run_name(profile, source) or ("custom" if settings else "default"))
    if profile is None and not settings:
        return home
    return home / "runs" / (_run_name(profile, source) or "custom")


def _run_name(profile: str | None, source: Path | None) -> str:
    return "-".join([*([Path(profile).stem] if profile else []), *([source.resolve().name] if source else [])])


def repository() -> Path:
    """Find the project's files (params.yaml, dvc.yaml, pipelines).

    They lie in the checkout around the working directory, in the one this package is installed from, or else in the
    copy that was installed with the package.
    """
    here = Path.cwd().resolve()
    for folder in (here, *here.parents, Path(__file__).resolve().parents[3], *_installed_copies()):
        if (folder / "dvc.yaml").is_file() and (folder / PROFILES).is_dir():
            return folder
    raise UserError(
        "params.yaml, dvc.yaml and pipelines/profiles are neither here or above nor installed with this package: "
        "install it again with pip, or run mf inside a checkout of the repository."
    )


def is_checkout(home: Path) -> bool:
    """Whether runs belong into `home`: an installed copy holds parameters and no data."""
    return home not in _installed_copies()


def _installed_copies() -> tuple[Path, ...]:
    """Where pip puts share/: below the environment, or below the folder given as --target."""
    prefixes = (Path(sysconfig.get_path("data")), Path(__file__).resolve().parents[2])
    return tuple(prefix / "share/music-flamingo" for prefix in prefixes)


def _dvc() -> list[str]:
    if importlib.util.find_spec("dvc") is None:
        raise UserError("DVC is not installed. Install with: pip install 'music-flamingo-kubeflow[all]'.")
    return [sys.executable, "-m", "dvc"]


def _environment() -> dict[str, str]:
    # dvc.yaml says `mf run ...`: the mf beside this interpreter
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
