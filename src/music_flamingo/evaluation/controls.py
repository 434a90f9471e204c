"""The two controls of every score: is it the music that answers, or the words of the question?

- `shuffled`: the question is put to the recording of another work, drawn by seed whatever its answer. A model that does
  not listen scores as it does with the true audio; a model that listens answers for what it hears, which over balanced
  answers comes to chance.
- `none`: silence as long as the stretch that would have been heard. Over balanced answers this is chance.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from music_flamingo.core.errors import UserError
from music_flamingo.evaluation.items import Item, rng_of


def shuffled_tracks(items: Sequence[Item], seed: int) -> list[str]:
    """For each item the id of the track to be heard in its place.

    Raises UserError when a family has only one work.
    """
    works: dict[str, dict[str, str]] = {}
    for item in items:
        works.setdefault(item.family, {})[item.track_id] = item.work_id
    return [_other_track(item, works[item.family], seed) for item in items]


def _other_track(item: Item, work_of: Mapping[str, str], seed: int) -> str:
    """One and the same for all that is asked of a track in this family: it is then listened to once."""
    candidates = sorted(track_id for track_id, work_id in work_of.items() if work_id != item.work_id)
    if not candidates:
        raise UserError(
            f"the shuffled control of `{item.family}` finds no other work to play: "
            "give the test split more works, or leave the family out of evaluate.families."
        )
    return candidates[rng_of(seed, "shuffled", item.family, item.track_id).integers(len(candidates))]


def silence(num_samples: int) -> np.ndarray:
    return np.zeros(num_samples, dtype=np.float32)
