"""Published chains of thought as MF-Think: those whose question stands in MF-Skills, held to the limits of chains."""

from collections.abc import Callable
from typing import Literal

from music_flamingo.core.ports import Table, Writer
from music_flamingo.core.shards import shard_index
from music_flamingo.quality.claims import reason_against_steps
from music_flamingo.quality.steps import StepLimits, reason_against_text
from music_flamingo.quality.timed_steps import reason_against_seconds
from music_flamingo.records import Chain, Example, Facts, Track, trusted
from music_flamingo.sources.conversations.config import ConversationsConfig
from music_flamingo.sources.conversations.dealing import dealt_entries
from music_flamingo.sources.conversations.importing import chains_of_shard

Names = Callable[[Table[Track], int], dict[str, tuple[str, ...]]]
"""Title, artist and file of a shard's tracks, by id."""


def import_chains(
    config: ConversationsConfig,
    limits: StepLimits,
    published: Literal["check", "pass"],
    skills: Table[Example],
    facts: Table[Facts],
    tracks: Table[Track],
    names: Names,
    think: Writer[Chain],
    think_rejects: Writer[Chain],
) -> None:
    """Write the chains about the questions of MF-Skills, shard by shard. `pass` looks at their form alone."""
    mine = [shard_index(path) for path in skills.shards]
    for shard, entries in dealt_entries(config, tracks.root, mine, think.work / "conversations", "reason"):
        if think.has(shard) and think_rejects.has(shard):
            continue
        known = {e.id: e for e in skills.read_shard(shard)}
        measured = {f.id: trusted(f) for f in facts.read_shard(shard)} if published == "check" else {}
        named = names(tracks, shard) if published == "check" else {}
        chains = [
            _judged(chain, limits, measured.get(chain.track_id), named.get(chain.track_id, ()))
            for chain in chains_of_shard(entries, tracks.root, shard, config, known)
        ]
        think_rejects.write(shard, [c for c in chains if not c.is_ok])
        think.write(shard, [c for c in chains if c.is_ok])


def _judged(chain: Chain, limits: StepLimits, facts: Facts | None, names: tuple[str, ...]) -> Chain:
    reason = reason_against_text(chain.steps, limits, names)
    if reason is None and facts is not None:
        reason = reason_against_steps(chain.steps, facts) or reason_against_seconds(chain.steps, facts)
    return chain.quarantined(reason) if reason else chain
