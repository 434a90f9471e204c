"""Reward for seconds that hold: the share of a thought's timed sentences whose claim is heard at those seconds."""

from collections.abc import Sequence

from music_flamingo.records.chain import HeardClaim
from music_flamingo.scoring.extract import split_thinking
from music_flamingo.scoring.timed import claims_by_words, holds_there, timed_sentences


def timed_reward(output: str, heard: Sequence[HeardClaim]) -> float | None:
    """0 to 1; 0 for a thought that names no seconds of a known claim. None where nothing is known of the recording.

    A claim that is said twice, with the same or with other seconds, counts once, and only where all of it holds.
    """
    if not heard:
        return None
    thinking, _ = split_thinking(output)
    said: dict[tuple[str, str], bool] = {}
    for span, words in timed_sentences(thinking or ""):
        claim = claims_by_words().get(words)
        if claim is not None:
            holds = span[0] < span[1] and holds_there(*claim, span, heard) is True
            said[claim] = said.get(claim, True) and holds
    return sum(said.values()) / len(said) if said else 0.0
