"""Format reward: 1 for strictly one think block followed by one answer block, else 0."""

from music_flamingo.scoring.extract import has_full_form


def format_reward(output: str) -> float:
    return 1.0 if has_full_form(output) else 0.0
