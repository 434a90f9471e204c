"""Deal published entries to the shards of their tracks, on disk: millions of entries in bounded memory.

One pass over the folder finds each entry's track and appends the entry to its stripe, a file of several neighbouring
shards; then each stripe is read, and its shards are handed on. An entry without a track goes to a shard drawn by its
place, so that nothing is lost.
"""

import json
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from music_flamingo.core.progress import Progress
from music_flamingo.core.shards import shard_index, shard_paths, write_atomic
from music_flamingo.sources.conversations.config import ConversationsConfig
from music_flamingo.sources.conversations.entries import MalformedEntryError, recording_of
from music_flamingo.sources.conversations.matching import LocatedEntry, TracksByName
from music_flamingo.sources.conversations.reading import ConversationEntry, entries_of, files_of

log = logging.getLogger(__name__)

MAX_STRIPES = 256
BUFFER_CHARS = 64 * 2**20
"""Of entries on their way to their stripes, all together."""
DEALT = "dealt.json"
"""Written last: all stripes are whole."""


class DealtEntry(NamedTuple):
    """An entry at its shard."""

    shard: int
    row: int
    """Of its track in the shard; -1 where it has none."""
    reason: str | None
    span_s: tuple[float, float] | None
    place: str
    value: Mapping[str, Any]


def dealt_entries(
    config: ConversationsConfig, tracks: Path, mine: Sequence[int], work: Path, label: str
) -> Iterator[tuple[int, list[DealtEntry]]]:
    """(shard, its entries in the order of the folder) for each shard of `mine`.

    `tracks` is the port of tracks, whose other shards are other branches' work. Stripes lie in `work` and stay until
    the stage is done: an interrupted run reads them again.
    """
    size = max(1, -(-len(mine) // MAX_STRIPES))
    stripe_of = {shard: place // size for place, shard in enumerate(mine)}
    if not (work / DEALT).exists():
        _deal(config, shard_paths(tracks), stripe_of, work, label)
    for stripe in range(-(-len(mine) // size)):
        by_shard: dict[int, list[DealtEntry]] = defaultdict(list)
        if (path := work / _name(stripe)).exists():
            with path.open(encoding="utf-8") as file:
                for line in file:
                    entry = DealtEntry(*json.loads(line))
                    by_shard[entry.shard].append(entry)
        for shard in mine[stripe * size : (stripe + 1) * size]:
            yield shard, by_shard.pop(shard, [])


def _name(stripe: int) -> str:
    return f"stripe-{stripe:03d}.jsonl"


def _deal(
    config: ConversationsConfig, shards: Sequence[Path], stripe_of: Mapping[int, int], work: Path, label: str
) -> None:
    work.mkdir(parents=True, exist_ok=True)
    for left in work.glob("stripe-*.jsonl"):
        left.unlink()  # of a run that was interrupted while it dealt
    by_name = TracksByName(shards, config.recordings, config.max_duration_difference_s)
    indices = [shard_index(path) for path in shards]
    buffers: dict[int, list[str]] = defaultdict(list)
    folder, num_chars, number = Path(config.path), 0, 0
    with Progress(f"{label}: conversations", len(files_of(folder)), "files") as progress:
        for number, entry in enumerate(entries_of(folder), start=1):
            progress.advance(entry.file_number - progress.done)
            dealt = _dealt(entry, by_name, indices)
            if dealt.shard not in stripe_of:
                continue
            line = json.dumps(dealt, separators=(",", ":"))
            buffers[stripe_of[dealt.shard]].append(line)
            num_chars += len(line)
            if num_chars > BUFFER_CHARS:
                _flush(buffers, work)
                num_chars = 0
                log.info("%s: %d conversations read", label, number)
        progress.advance(progress.total - progress.done)
    _flush(buffers, work)
    write_atomic(work / DEALT, json.dumps({"entries": number}))


def _dealt(entry: ConversationEntry, by_name: TracksByName, indices: Sequence[int]) -> DealtEntry:
    if entry.problem is not None:
        located = LocatedEntry(-1, -1, entry.problem, None)
    else:
        try:
            located = by_name.locate(recording_of(entry.value))
        except MalformedEntryError as error:
            located = LocatedEntry(-1, -1, str(error), None)
    shard, row, reason, span_s = located
    if shard < 0:
        shard = indices[crc32(entry.place.encode("utf-8", "replace")) % len(indices)]
    return DealtEntry(shard, row, reason, span_s, entry.place, entry.value)


def _flush(buffers: dict[int, list[str]], work: Path) -> None:
    for stripe, lines in sorted(buffers.items()):
        with (work / _name(stripe)).open("a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    buffers.clear()
