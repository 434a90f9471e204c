"""A shard's published entries as examples, and as the chains of those that come with a thought."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from music_flamingo.core.ports import Table, Writer
from music_flamingo.core.progress import Progress
from music_flamingo.core.shards import shard_index, shard_path
from music_flamingo.records import Chain, Example, Track
from music_flamingo.sources.conversations.config import ConversationsConfig
from music_flamingo.sources.conversations.dealing import DealtEntry, dealt_entries
from music_flamingo.sources.conversations.entries import MalformedEntryError, turns_of
from music_flamingo.sources.conversations.examples import (
    TrackOfEntry,
    chain_of,
    example_of,
    refused,
    repeats_last,
)
from music_flamingo.sources.conversations.wording import SpokenTurn

FOLLOW_UP = "follow_up"


def import_examples(config: ConversationsConfig, tracks: Table[Track], candidates: Writer[Example]) -> None:
    """Write the published turns about the tracks as candidates, shard by shard."""
    mine = [shard_index(path) for path in tracks.shards]
    work = candidates.work / "conversations"
    with Progress("synthesize", len(mine), "shards") as progress:
        for shard, entries in dealt_entries(config, tracks.root, mine, work, "synthesize"):
            if not candidates.has(shard):
                candidates.write(shard, examples_of_shard(entries, tracks.root, shard, config))
            progress.advance()


def published_counts(candidates: Writer[Example]) -> dict[str, dict[str, int]]:
    """File of the folder -> status -> number of its turns; what follows a second colon is left out."""
    table = candidates.columns("teacher", "status")
    statuses = pc.replace_substring_regex(table["status"], "^([^:]*:[^:]*):.*", r"\1")
    named = pa.table({"file": pc.struct_field(table["teacher"], "model"), "status": statuses})
    found: dict[str, dict[str, int]] = {}
    for row in named.group_by(["file", "status"]).aggregate([([], "count_all")]).sort_by("status").to_pylist():
        found.setdefault(row["file"], {})[row["status"]] = row["count_all"]
    return dict(sorted(found.items()))


def examples_of_shard(
    entries: Sequence[DealtEntry], tracks: Path, shard: int, config: ConversationsConfig
) -> list[Example]:
    """Every turn of a shard's entries as an Example, in the order of the folder; refused ones under their reason."""
    known = _tracks(tracks, shard)
    made = [example for entry in entries for example, _ in _turns(entry, known, config)]
    return repeats_last(made)


def chains_of_shard(
    entries: Sequence[DealtEntry],
    tracks: Path,
    shard: int,
    config: ConversationsConfig,
    skills: Mapping[str, Example],
) -> list[Chain]:
    """The chain of every turn with a thought whose question is among `skills` (by id); each question's first alone."""
    known, chains = _tracks(tracks, shard), dict[str, Chain]()
    for entry in entries:
        for example, turn in _turns(entry, known, config):
            if turn is not None and turn.thinking is not None and example.is_ok and example.id in skills:
                chains.setdefault(example.id, chain_of(turn, skills[example.id]))
    return list(chains.values())


def _tracks(tracks: Path, shard: int) -> list[TrackOfEntry]:
    columns = pq.read_table(shard_path(tracks, shard), columns=["id", "work_id", "split"]).to_pydict()
    return [TrackOfEntry(*row) for row in zip(*columns.values(), strict=True)]


def _turns(
    entry: DealtEntry, known: Sequence[TrackOfEntry], config: ConversationsConfig
) -> Iterator[tuple[Example, SpokenTurn | None]]:
    track = known[entry.row] if entry.row >= 0 else TrackOfEntry("unknown", "unknown", "train")
    if entry.reason is not None:
        yield refused(entry.reason, track, entry.place, config.skill), None
        return
    try:
        turns = turns_of(entry.value)
    except MalformedEntryError as error:
        yield refused(str(error), track, entry.place, config.skill), None
        return
    for number, turn in enumerate(turns):
        place = entry.place if number == 0 else f"{entry.place}.{number}"
        if isinstance(turn, str):
            yield refused(turn, track, place, config.skill), None
        elif number > 0 and config.follow_ups == "refuse":
            yield example_of(turn, track, place, config, entry.span_s).quarantined(FOLLOW_UP), None
        else:
            yield example_of(turn, track, place, config, entry.span_s), turn
