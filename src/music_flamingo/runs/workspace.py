"""Workspaces: where a run of the whole pipeline lives. The default runs in the repository; a profile or one's own
songs run next to it, in `runs/NAME-DIGEST`, with their own params.yaml, dvc.yaml and data."""

import os
import shlex
import sys
import sysconfig
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from music_flamingo import stages
from music_flamingo.core.errors import UserError
from music_flamingo.core.params import PLAN, load_assumptions, load_params, merge
from music_flamingo.core.shards import write_atomic
from music_flamingo.runs.closing import closing_lines
from music_flamingo.runs.driving import run_dvc
from music_flamingo.runs.folders import SITE, RunDescription, describe_run
from music_flamingo.runs.graph import graph
from music_flamingo.sources.audio_folder import AudioFolderConfig
from music_flamingo.sources.table import TableConfig

PROFILES = Path("pipelines/profiles")
ANNOTATED, LAST = "validate", "report"
"""The stage that ends annotation, and the last one of all."""
SONGS = "songs"
"""The folder of the site of a run that has annotated and trained nothing."""
LISTING = "songs.yaml"
LISTED: dict[str, type[AudioFolderConfig] | type[TableConfig]] = {
    "audio_folder": AudioFolderConfig,
    "table": TableConfig,
}
DVC_CONFIG = "[core]\n    no_scm = true\n    analytics = false\n    check_update = false\n"
"""Of a workspace outside of any DVC repository: as the checkout's."""


def next_line(folder: Path) -> str:
    """What to do with a finished run, as it is typed where the user stands: the default's ports need no naming."""
    if folder.resolve() == Path.cwd():
        return '  next: mf ask SONG "How fast is it?", make serve, mf explain ID'
    data = shlex.quote(os.path.relpath(folder / "data"))
    ask = f'mf ask SONG "How fast is it?" --release {data}/release'
    return f"  next: {ask}\n        mf serve --release {data}/release\n        mf explain ID --data {data}"


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


def reproduce(
    profiles: tuple[str, ...],
    source: Path | None,
    settings: tuple[str, ...],
    workspace: Path | None,
    until: str | None = None,
) -> int:
    """Prepare the workspace, let DVC run what is missing up to `until`, and print the address of the report.

    Where annotation is done and the report was not asked for, a site of the songs alone is written next to the data.
    """
    if until is not None and until not in stages.ORDER:
        raise UserError(f"there is no stage `{until}`. Stages: {', '.join(stages.ORDER)}.")
    home = repository()
    description = describe(profiles, source, settings)
    folder = workspace or _default_workspace(home, profiles, source, settings)
    if folder.resolve() != home:
        prepare(home, folder, profiles, settings, source)
        if before := describe_run(folder, description):
            print(f"mf: {folder} held {before.in_words()}; from now on it holds {description.in_words()}.")
    status = run_dvc(folder, until)
    if status:
        print(f"mf: the pipeline stopped; what is finished stays in {folder / 'data'}.", file=sys.stderr)
        return status
    print("\n".join(["", *closing_lines(folder / "data")]))
    if until in (None, LAST):
        print(next_line(folder))
        print(f"\nReport: {(folder / SITE).resolve().as_uri()}")
    elif stages.ORDER.index(until) >= stages.ORDER.index(ANNOTATED):
        print(f"\nSongs: {write_songs(folder).resolve().as_uri()}")
    else:
        print(f"\n{until} is done: {folder / 'data'}")
    return 0


def write_songs(folder: Path) -> Path:
    """Write the site of a workspace's annotated songs, by the parameters of its report; gives its first page."""
    from music_flamingo.report.songs import START, write_annotated_site
    from music_flamingo.stages.report import ReportConfig

    report = ReportConfig.model_validate(load_params(folder / "params.yaml")["report"])
    write_annotated_site(
        folder / "data",
        folder / SONGS,
        num_pages=report.num_listening_pages,
        max_audio_bytes=int(1e6 * report.max_audio_mb),
        bins_per_s=report.waveform_bins_per_s,
        px_per_s=report.px_per_s,
        seed=report.seed,
    )
    return folder / SONGS / START


def describe(profiles: tuple[str, ...], source: Path | None, settings: tuple[str, ...]) -> RunDescription:
    """What a run is: the songs' folder and a profile of one's own by their whole paths, whatever they are called."""
    named = tuple(
        str(Path(name).resolve()) if profile_path(name).suffix == Path(name).suffix else name for name in profiles
    )
    return RunDescription(named, str(_checked_source(source)) if source is not None else None, settings)


def prepare(
    home: Path, folder: Path, profiles: tuple[str, ...], settings: tuple[str, ...], source: Path | None = None
) -> None:
    """Write the workspace's params.yaml (resolved, with what `mf plan` assumes) and dvc.yaml (that of the repository,
    with the listing of songs).

    `source` goes in as a value, never through the syntax of a setting: a folder may have any name.
    """
    overlays = tuple(profile_path(name) for name in profiles)
    params = load_params(home / "params.yaml", overlays, settings)
    if assumed := load_assumptions(home / "params.yaml", overlays, settings):
        params[PLAN] = assumed
    if source is not None:
        songs = {"kind": "audio_folder", "path": str(_checked_source(source))}
        params["ingest"]["source"] = merge({"source": params["ingest"]["source"]}, {"source": songs})["source"]
    derived = graph()
    if (listing := _listing(params["ingest"]["source"])) is not None:
        _write_if_changed(folder / LISTING, "# What the source lists, as mf repro found it.\n", listing)
        derived["stages"]["ingest"]["deps"].append(LISTING)
    if not any((place / ".dvc").is_dir() for place in (folder.resolve(), *folder.resolve().parents)):
        write_atomic(folder / ".dvc/config", DVC_CONFIG)
    _write_if_changed(folder / "params.yaml", "# Resolved parameters of this workspace.\n", params)
    _write_if_changed(folder / "dvc.yaml", "# dvc.yaml of the repository, with this workspace's songs.\n", derived)


def _listing(source: dict[str, Any]) -> dict[str, str] | None:
    """Stands for songs that lie in files here, so that DVC sees them come and go without reading a song itself."""
    if source.get("kind") not in LISTED:
        return None
    try:
        config = LISTED[source["kind"]].model_validate(source)
    except ValidationError:  # ingest says which field, and what is wrong with it
        return None
    return {"kind": source["kind"], "sha256": config.listing_sha256()}


def _write_if_changed(path: Path, header: str, value: Any) -> None:
    text = header + yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_atomic(path, text)


def _checked_source(source: Path) -> Path:
    if not source.is_dir():
        raise UserError(f"SOURCE={str(source)!r} is not a folder. Give a folder of wav, flac, mp3 or other recordings.")
    try:
        str(source.resolve()).encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"SOURCE={str(source)!r} has a name that is no UTF-8, which parameters cannot hold. Rename the folder, or "
            "give a symbolic link to what lies in it."
        ) from error
    return source.resolve()


def _default_workspace(home: Path, profiles: tuple[str, ...], source: Path | None, settings: tuple[str, ...]) -> Path:
    description = describe(profiles, source, settings)
    if not is_checkout(home):
        return Path.cwd() / "runs" / description.folder_name
    if description == RunDescription((), None, ()):
        return home
    return home / "runs" / description.folder_name


def runs_folder() -> Path:
    """Where runs lie: below the checkout, else below the working directory."""
    home = repository()
    return (home if is_checkout(home) else Path.cwd()) / "runs"


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
