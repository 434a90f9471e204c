"""Write one page on how a pipeline run ended: stages done, their outputs, failures with their reasons.

Read from the run's folder: completion manifests of finished ports, and the records that failing steps left.
A stage whose ports lie in no folder of this run and were read by a later stage was answered from the cache.
"""

import html
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from music_flamingo import stages
from music_flamingo.core.errors import UserError
from music_flamingo.core.manifest import MANIFEST_NAME, Manifest
from music_flamingo.core.shards import write_atomic
from music_flamingo.core.stage import in_words
from music_flamingo.runs.store import folder_of_run, read_named

log = logging.getLogger(__name__)

FAILURE_NAME = "_failed.json"
"""Left by a step that failed, next to the ports that it was to give."""
COLLECTS = "collect-"
"""How the steps are named that put branches together."""

DONE, CACHED, FAILED, PARTLY, OPEN = "done", "from the cache", "failed", "in part", "not reached"


@dataclass
class StageEnd:
    """How far one stage came."""

    name: str
    state: str = OPEN
    lines: list[str] = field(default_factory=list)
    """What its ports hold; what failed and why."""


def tell(files: Iterable[tuple[str, bytes]], succeeded: bool) -> list[StageEnd]:
    """The end of every stage, from the manifests and failure records of a run's folder (path, content)."""
    whole: dict[str, Manifest] = {}
    num_parts: dict[str, int] = {}
    failures: dict[str, list[Mapping[str, Any]]] = {}
    for path, content in files:
        if PurePosixPath(path).name == FAILURE_NAME:
            failure = json.loads(content)
            failures.setdefault(failure["stage"], []).append(failure)
        else:
            made = Manifest.model_validate_json(content)
            if _is_part(made, path):
                num_parts[made.stage] = num_parts.get(made.stage, 0) + 1
            else:
                whole[made.port] = made
    read = {port for manifest in whole.values() for port in manifest.inputs}
    read |= {port for failed in failures.values() for failure in failed for port in failure["inputs"]}
    return [_end(name, whole, num_parts.get(name, 0), failures.get(name, []), read, succeeded) for name in stages.ORDER]


def _is_part(made: Manifest, path: str) -> bool:
    """Whether a branch made it: the whole port of a branched stage comes from a step that collects."""
    if made.port not in stages.load(made.stage).outputs:
        return True
    step = PurePosixPath(path).parts[0]
    return made.stage in stages.BRANCHED and not step.startswith(COLLECTS)


def _end(
    name: str,
    whole: Mapping[str, Manifest],
    num_parts: int,
    failures: list[Mapping[str, Any]],
    read: set[str],
    succeeded: bool,
) -> StageEnd:
    ports = stages.load(name).outputs
    given = [whole[port] for port in ports if port in whole]
    if len(given) == len(ports):
        return StageEnd(name, DONE, [in_words(manifest) for manifest in given])
    if failures:
        reasons = [f"{f['shards'] and 'shards ' + f['shards'] + ': '}{f['kind']}: {f['message']}" for f in failures]
        done = [f"{num_parts} branches are done; they are not repeated"] if num_parts else []
        return StageEnd(name, FAILED, [*reasons, *done])
    if num_parts:
        return StageEnd(name, PARTLY, [f"{num_parts} branches are done"])
    # a later stage opened its port, so it was finished before
    return StageEnd(name, CACHED if succeeded or any(port in read for port in ports) else OPEN)


def write_outcome(run: str, profile: str, state: str, message: str, page: Path, uri: str) -> None:
    """Write the page of a run, and log the same in lines. `state` and `message` are those of Kubeflow Pipelines."""
    succeeded = state in ("SUCCEEDED", "COMPLETE")
    try:
        ends = tell(read_named(folder_of_run(uri, run), (MANIFEST_NAME, FAILURE_NAME)), succeeded)
        note = ""
    except UserError as error:
        ends, note = [], str(error)
    for end in ends:
        log.info("%-11s %s%s", end.name, end.state, "".join(f"\n            {line}" for line in end.lines))
    write_atomic(page, _page(f"{run}, profile {profile}", state, message, ends, note))


def _page(title: str, state: str, message: str, ends: Iterable[StageEnd], note: str) -> str:
    """Plain HTML with no script and no address in it. Reasons may quote titles and file names: all is escaped."""
    rows = "".join(
        f"<tr class='{end.state.split()[0]}'><th>{end.name}</th><td>{end.state}</td>"
        f"<td>{'<br>'.join(html.escape(line) for line in end.lines)}</td></tr>\n"
        for end in ends
    )
    notes = "".join(f"<p>{html.escape(text)}</p>\n" for text in (message, note) if text)
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Outcome of the run</title>\n"
        "<style>body{font:16px/1.5 sans-serif;margin:2rem;max-width:60rem}th{text-align:left}"
        "td,th{padding:.3rem 1rem .3rem 0;vertical-align:top;border-bottom:1px solid #ddd}"
        ".failed td{color:#a00}.not td,.not th{color:#777}</style>\n"
        f"<h1>Run {html.escape(title)}: {html.escape(state.lower())}</h1>\n{notes}<table>\n{rows}</table></html>\n"
    )
