"""Branches: run a sharded stage on ranges of shards and collect the parts into one port.

A branch is `execute` on a range. Its port is whole in itself, with a manifest under a key of its own: the same stage,
configuration and code on that part of the inputs. `collect` compares that key, lays the shards together and goes
through `execute` once more, which finds nothing left to do but to count and to complete. So the port, its key and its
digest are those of one process, and a branch that failed is run again without the others.
"""

import logging
import shutil
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path, PurePath

from music_flamingo.core import manifest as manifests
from music_flamingo.core.errors import ConfigError, CorruptDataError, MissingInputError
from music_flamingo.core.manifest import Manifest
from music_flamingo.core.shards import atomic_path, shard_index
from music_flamingo.core.stage import Stage, StageConfig, execute, parse_config, read_inputs

log = logging.getLogger(__name__)

MOST_BRANCHES = 32
"""Each is a pod that fetches its inputs whole: more of them wait for the store rather than for processors."""


def divide(port: Path, branches: int) -> list[str]:
    """Ranges of a table's shards for `branches` branches, as even as may be; fewer where there are fewer shards."""
    if not 1 <= branches <= MOST_BRANCHES:
        raise ConfigError(f"branches must lie between 1 and {MOST_BRANCHES}, not be {branches}.")
    indices = _indices(manifests.read_manifest(port))
    count = min(branches, len(indices))
    edges = [len(indices) * i // count for i in range(count + 1)]
    return [f"{indices[start]}-{indices[end - 1]}" for start, end in pairwise(edges)]


def collect(
    stage: Stage,
    config_json: str,
    inputs: Mapping[str, Path],
    outputs: Mapping[str, Path],
    parts: Sequence[Path],
) -> bool:
    """Complete the one port of `stage` from the ports of its branches. Gives False when it was there already.

    Raises CorruptDataError for a part of other work than this or of damaged bytes, MissingInputError for shards that
    no branch gave.
    """
    config = parse_config(stage, config_json)
    read = read_inputs(stage, inputs)
    [root] = outputs.values()
    key = stage.key(config, _digests(read))
    if manifests.finished_key(root) != key:
        manifests.begin(root, key)
        missing = _expected(read)
        for part in parts:
            made = _checked(stage, config, inputs, part)
            missing -= set(_indices(made))
            _take(made, part, root)
        if missing:
            raise MissingInputError(
                f"no branch gave the shards {sorted(missing)} of `{root.name}`: {len(parts)} parts were given. "
                "Divide the shards of this run's inputs, and run every branch."
            )
    return execute(stage, config_json, inputs, outputs, made_by_branches=True)


def _checked(stage: Stage, config: StageConfig, inputs: Mapping[str, Path], part: Path) -> Manifest:
    made = manifests.verify(part)
    indices = _indices(made)
    of_part = read_inputs(stage, inputs, range(indices[0], indices[-1] + 1))
    if made.key != stage.key(config, _digests(of_part)):
        raise CorruptDataError(
            f"{part} holds shards {indices[0]}-{indices[-1]} of `{made.port}` by `{made.stage}`, made from other "
            f"inputs, parameters or code than `{stage.name}` is asked for. Run that branch again, past any cache."
        )
    return made


def copy_missing(part: Path, made: Manifest, root: Path) -> None:
    """Copy the files of a verified part into `root`; those that lie there already stay."""
    for entry in made.files:
        if not (root / entry.path).exists():
            with atomic_path(root / entry.path) as temporary:
                shutil.copyfile(part / entry.path, temporary)


def _take(made: Manifest, part: Path, root: Path) -> None:
    copy_missing(part, made, root)
    log.info("%s: %d shards of %s", made.stage, len(made.shards), part)


def _expected(read: Mapping[str, Manifest]) -> set[int]:
    """The numbers of the shards that the stage gives: those of its inputs."""
    return {index for manifest in read.values() for index in _indices(manifest)}


def _indices(manifest: Manifest) -> list[int]:
    return [shard_index(PurePath(shard.path)) for shard in manifest.shards]


def _digests(read: Mapping[str, Manifest]) -> dict[str, str]:
    return {name: manifest.digest for name, manifest in read.items()}
