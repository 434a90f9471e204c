"""A stage is a plain function with a typed configuration and named ports; `execute` is the one door to it.

The command line, `kfp.local` and pods of a cluster all come in by `execute`: it validates the configuration,
refuses inputs without a completion manifest, continues what an interrupted run left, runs the function, and
writes the manifests last.

A stage that trains may run in several equal processes (torchrun): each runs the function, the first one alone begins
and completes the ports. The function must bring the processes together before any of them writes.
"""

import json
import logging
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from music_flamingo.core import manifest as manifests
from music_flamingo.core import telemetry
from music_flamingo.core.contradictions import contradictions, refused_parameters
from music_flamingo.core.errors import ConfigError
from music_flamingo.core.hashing import sha256_json
from music_flamingo.core.identity import Closure, closure
from music_flamingo.core.licences import Licence, licences_of, united
from music_flamingo.core.locks import alone
from music_flamingo.core.manifest import Manifest
from music_flamingo.core.ports import Folder, InputFolder, OutputFolder, Table, Writer
from music_flamingo.core.progress import clock
from music_flamingo.core.ranks import is_first, num_ranks
from music_flamingo.core.record import Record
from music_flamingo.core.shards import write_atomic
from music_flamingo.core.unchanged import TRIES_WHILE_SONGS_CHANGE, ChangedWhileRunningError, SourceChangedError, Start

log = logging.getLogger(__name__)

Metrics = dict[str, Any]
"""Numbers a stage reports about its result: JSON values, no clocks."""

ORIGINALS = "originals"
"""The port of recordings as the source gave them."""

PortType = type[Record] | type[Folder]

NOT_IDENTITY: dict[str, Any] = {"identity": False}
"""`json_schema_extra` of a field that changes how fast a stage runs and never what it gives (workers, devices)."""


class StageConfig(BaseModel):
    """Parameters of a stage: frozen, strict, no unknown names, no scientific defaults (values live in params.yaml)."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    def identity(self) -> dict[str, Any]:
        """What the result depends on next to its inputs; a configuration that reads a folder adds what lies there."""
        return self.model_dump(mode="json", exclude=_not_identity(self))


def _not_identity(config: BaseModel) -> dict[str, Any]:
    """The fields marked NOT_IDENTITY, of the configuration and of those inside it, as pydantic's `exclude`."""
    skip: dict[str, Any] = {}
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if field.json_schema_extra == NOT_IDENTITY:
            skip[name] = True
        elif isinstance(value, BaseModel) and (inner := _not_identity(value)):
            skip[name] = inner
    return skip


@dataclass(frozen=True)
class StageTitle:
    """How the report shows a stage: its group, its title, and what it does in one sentence."""

    group: str
    title: str
    does: str


@dataclass(frozen=True)
class Stage:
    """One room of the pipeline. Port names are unique over the whole graph: a port lies in `<data>/<port>`."""

    name: str
    config: type[StageConfig]
    inputs: Mapping[str, PortType]
    outputs: Mapping[str, PortType]
    run: Callable[..., Metrics]
    many_ranks: bool = False
    """Whether `run` shares its work among the ranks of torchrun."""
    uncached: frozenset[str] = frozenset()
    """Outputs that DVC neither keeps in its cache nor pushes: pages and copies, which a rerun makes again."""
    title: StageTitle | None = None
    """None for a stage that the report does not show."""
    first_pass: Callable[..., None] | None = None
    """(config, *inputs, folder): what `run` does to each shard alone, into the scratch of its first output."""

    def code(self) -> Closure:
        """The definitions and data files that `run` can reach, as they stand in the source now."""
        handed = (Table, Writer, InputFolder, OutputFolder, *self.inputs.values(), *self.outputs.values())
        return closure(self.run, self.config, *handed)

    def key(self, config: StageConfig, input_digests: Mapping[str, str]) -> str:
        """What the result depends on, as one digest: stage, parameters, inputs, and code as it stands now."""
        return _key(Start.of(self.name, self.code(), config.identity()), input_digests)


def _key(start: Start, input_digests: Mapping[str, str]) -> str:
    code = sha256_json(start.code)
    return sha256_json({"stage": start.stage, "config": start.parameters, "inputs": dict(input_digests), "code": code})


def parse_config(stage: Stage, config_json: str) -> StageConfig:
    """The stage's configuration from JSON text. Raises ConfigError naming each field, its value and the rule."""
    try:
        config = stage.config.model_validate_json(config_json)
    except ValidationError as error:
        found = [(".".join(map(str, e["loc"])), f"{e['msg']} (found {e['input']!r})") for e in error.errors()]
        raise refused_parameters(stage.name, found) from error
    if found := list(contradictions(config)):
        raise refused_parameters(stage.name, found)
    return config


def execute(
    stage: Stage,
    config_json: str,
    inputs: Mapping[str, Path],
    outputs: Mapping[str, Path],
    *,
    shards: range | None = None,
    made_by_branches: bool = False,
    config_now: Callable[[], str] | None = None,
) -> bool:
    """Run a stage on the given port folders. Gives False when the outputs were already there for this very work.

    The outputs are sealed only where code and parameters are the same in the end: `config_now` gives the latter anew,
    for a driver that read them from files. Raises ChangedWhileRunningError otherwise.

    `shards` shows it that part of its tables alone: a branch, whose outputs core.branches puts together. With
    `made_by_branches` every shard of the outputs lies there already: what is left is to count and to complete.
    """
    config = parse_config(stage, config_json)
    read = read_inputs(stage, inputs, shards)
    _same_names(stage, "outputs", stage.outputs, outputs)
    if num_ranks() > 1 and not stage.many_ranks:
        raise ConfigError(
            f"stage `{stage.name}` runs in one process, but was started in {num_ranks()} (WORLD_SIZE): "
            "start it without torchrun."
        )
    if not is_first():
        return _take_part(stage, config, read, inputs, outputs)
    with alone(stage.name, next(iter(outputs.values())).parent):
        for _ in range(TRIES_WHILE_SONGS_CHANGE - 1):
            try:
                return _execute(stage, config, read, inputs, outputs, made_by_branches, config_now)
            except SourceChangedError as error:
                log.warning("%s Once more, with what lies there now.", error)
                config = parse_config(stage, config_json)
        return _execute(stage, config, read, inputs, outputs, made_by_branches, config_now)


def read_inputs(stage: Stage, inputs: Mapping[str, Path], shards: range | None = None) -> dict[str, Manifest]:
    """The manifests of a stage's inputs; those of tables narrowed to `shards`, if given."""
    _same_names(stage, "inputs", stage.inputs, inputs)
    read = {name: manifests.read_manifest(inputs[name]) for name in stage.inputs}
    if shards is None:
        return read
    return {
        name: m if issubclass(stage.inputs[name], Folder) else manifests.narrowed(m, shards) for name, m in read.items()
    }


def _take_part(
    stage: Stage,
    config: StageConfig,
    read: Mapping[str, Manifest],
    inputs: Mapping[str, Path],
    outputs: Mapping[str, Path],
) -> bool:
    """Run on rank > 0: no logging, no manifest."""
    logging.disable(logging.INFO)
    key = stage.key(config, {name: m.digest for name, m in read.items()})
    if all(manifests.finished_key(outputs[name]) == key for name in stage.outputs):
        return False
    _run(stage, config, read, inputs, outputs)
    return True


def _run(
    stage: Stage,
    config: StageConfig,
    read: Mapping[str, Manifest],
    inputs: Mapping[str, Path],
    outputs: Mapping[str, Path],
    made_by_branches: bool = False,
) -> Metrics:
    return stage.run(
        config,
        **{name: open_input(stage.inputs[name], inputs[name], read[name]) for name in stage.inputs},
        **{name: _open_output(port, outputs[name], made_by_branches) for name, port in stage.outputs.items()},
    )


def _execute(
    stage: Stage,
    config: StageConfig,
    read: Mapping[str, Manifest],
    inputs: Mapping[str, Path],
    outputs: Mapping[str, Path],
    made_by_branches: bool,
    config_now: Callable[[], str] | None,
) -> bool:
    digests = {name: m.digest for name, m in read.items()}
    start = Start.of(stage.name, stage.code(), config.identity())
    key = _key(start, digests)
    if all(manifests.finished_key(outputs[name]) == key for name in stage.outputs):
        if all(manifests.is_whole(outputs[name]) for name in stage.outputs):
            log.info("%s: up to date, nothing to do", stage.name)
            return False
        log.info("%s: files of its outputs are gone or cut; they are made again", stage.name)
    _verify_inputs(stage, read, inputs)
    continued = [name for name in stage.outputs if manifests.begin(outputs[name], key)]
    if continued:
        log.info("%s: continuing an interrupted run (%s)", stage.name, ", ".join(continued))
    started, cpu_before_s = time.monotonic(), telemetry.cpu_s()
    with telemetry.span(f"stage {stage.name}", holds_others=True, key=key):
        metrics = _run(stage, config, read, inputs, outputs, made_by_branches)
    wall_s = time.monotonic() - started
    _require_unchanged(stage, config, start, config_now, outputs)
    licences = united(licences_of(config), *(m.licences for m in read.values()))
    counts: dict[str, Mapping[str, int]] = {}
    for name, port in stage.outputs.items():
        described = _describe(stage, name, port, outputs[name], key, start, digests, metrics, licences)
        manifests.complete(outputs[name], described)
        log.info("%s: %s", stage.name, in_words(described))
        counts[name] = described.status
    log.info("%s: done in %s", stage.name, clock(wall_s))
    _write_timing(stage, outputs, wall_s)
    telemetry.measured(stage.name, counts, wall_s, telemetry.cpu_s() - cpu_before_s)
    return True


def _verify_inputs(stage: Stage, read: Mapping[str, Manifest], inputs: Mapping[str, Path]) -> None:
    """Raises CorruptDataError for an input whose bytes are not those that were sealed.

    Original recordings are verified one by one, by whoever opens them (audio/originals.py).
    """
    for name, manifest in read.items():
        if name != ORIGINALS:
            manifests.verify_files(inputs[name], manifest)


def _require_unchanged(
    stage: Stage,
    config: StageConfig,
    start: Start,
    config_now: Callable[[], str] | None,
    outputs: Mapping[str, Path],
) -> None:
    """Raises ChangedWhileRunningError where the result would vouch for other code or parameters than made it."""
    try:
        start.require_same_code(stage.code())
    except ChangedWhileRunningError:
        # shards of uncertain code are none to go on from
        for root in outputs.values():
            manifests.abandon(root)
        raise
    start.require_same_parameters(
        lambda: (config if config_now is None else parse_config(stage, config_now())).identity()
    )


def _same_names(stage: Stage, kind: str, declared: Mapping[str, PortType], given: Mapping[str, Path]) -> None:
    if set(declared) != set(given):
        raise ConfigError(f"stage `{stage.name}` has the {kind} {sorted(declared)}, but was given {sorted(given)}.")


def open_input(port: PortType, root: Path, manifest: Manifest) -> Table[Any] | InputFolder:
    """A port to read from, as a stage is given it."""
    return InputFolder(root, manifest) if issubclass(port, Folder) else Table(root, port, manifest)


def _open_output(port: PortType, root: Path, made_by_branches: bool) -> Writer[Any] | OutputFolder:
    return OutputFolder(root) if issubclass(port, Folder) else Writer(root, port, made_by_branches)


def _describe(
    stage: Stage,
    name: str,
    port: PortType,
    root: Path,
    key: str,
    start: Start,
    digests: Mapping[str, str],
    metrics: Metrics,
    licences: tuple[Licence, ...],
) -> Manifest:
    num_records, status = (None, {}) if issubclass(port, Folder) else Writer(root, port).status_counts()
    files = manifests.list_files(root)
    return Manifest(
        stage=stage.name,
        port=name,
        record="folder" if issubclass(port, Folder) else port.__name__,
        key=key,
        config=dict(start.parameters),
        inputs=dict(digests),
        files=files,
        num_records=num_records,
        status=status,
        metrics=metrics,
        digest=manifests.files_digest(files),
        licences=licences,
    )


def in_words(manifest: Manifest) -> str:
    """`facts, 440 records (438 ok, 2 quarantined:silent)`."""
    if manifest.num_records is None:
        return f"{manifest.port}, {len(manifest.files)} files"
    counts = ", ".join(f"{n} {status}" for status, n in _by_reason(manifest.status).items())
    return f"{manifest.port}, {manifest.num_records} records" + (f" ({counts})" if counts else "")


def _by_reason(status: Mapping[str, int]) -> dict[str, int]:
    """Statuses counted by reason: what follows a second colon is a detail."""
    counts: dict[str, int] = {}
    for name, count in status.items():
        reason = ":".join(name.split(":")[:2])
        counts[reason] = counts.get(reason, 0) + count
    return counts


def _write_timing(stage: Stage, outputs: Mapping[str, Path], wall_s: float) -> None:
    """Next to the ports, never inside: times differ from run to run, results do not."""
    folder = next(iter(outputs.values())).parent / "_timing"
    peak_rss_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    timing = {"stage": stage.name, "wall_s": round(wall_s, 1), "peak_rss_mib": peak_rss_mib}
    write_atomic(folder / f"{stage.name}.json", json.dumps(timing) + "\n")
