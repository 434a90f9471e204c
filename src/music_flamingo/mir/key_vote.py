"""The key by a vote of several tools."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from music_flamingo.mir import KeyEstimator, NothingFoundError, Signal
from music_flamingo.mir.opinions import key_opinion
from music_flamingo.records import Key


@dataclass(frozen=True)
class KeyVote:
    """Every tool has a vote, and the first breaks ties.

    The confidence is the mean confidence of the votes for the key, less those against it. Every vote is kept among
    the opinions.
    """

    voters: Sequence[KeyEstimator]

    def estimate(self, signal: Signal) -> Key:
        """Raises NothingFoundError where no tool hears a key."""
        votes = [vote for voter in self.voters if (vote := _ask(voter, signal))]
        if not votes:
            raise NothingFoundError("no tool hears a key")
        label = Counter(vote.label for vote in votes).most_common(1)[0][0]  # of equals the one that came first
        won = [vote for vote in votes if vote.label == label]
        return Key(
            tool="vote:" + "+".join(vote.tool for vote in votes),
            tool_version="+".join(vote.tool_version for vote in votes),
            confidence=round(sum(vote.confidence for vote in won) / len(self.voters), 4),
            tonic=won[0].tonic,
            mode=won[0].mode,
            opinions=[key_opinion(vote, won[0]) for vote in votes],
        )


def _ask(voter: KeyEstimator, signal: Signal) -> Key | None:
    try:
        return voter.estimate(signal)
    except NothingFoundError:
        return None  # an abstention
