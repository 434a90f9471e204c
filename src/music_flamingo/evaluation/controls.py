"""The two controls of every score: is it the music that answers, or the words of the question?

- `shuffled`: the question is put to the recording of another work for which this family's true answer differs,
  drawn by seed. A model that does not listen scores as it does with the true audio. A model that listens answers for
  what it hears and falls below chance: so this control alone proves little, and a gain is counted over the highest
  of shuffled, silence and chance.
- `none`: silence as long as the stretch that would have been heard. Over balanced answers this is chance.
"""

from collections.abc import Sequence

import numpy as np

from music_flamingo.core.errors import UserError
from music_flamingo.evaluation.items import Item, rng_of


def shuffled_tracks(items: Sequence[Item], seed: int) -> list[str]:
    """For each item the id of the track to be heard in its place.

    Raises UserError when a family has no work with another answer to borrow from.
    """
    by_family: dict[str, list[Item]] = {}
    for item in items:
        by_family.setdefault(item.family, []).append(item)
    return [_other(item, by_family[item.family], seed).track_id for item in items]


def _other(item: Item, family: Sequence[Item], seed: int) -> Item:
    candidates = [other for other in family if other.reference != item.reference and other.work_id != item.work_id]
    if not candidates:
        raise UserError(
            f"the shuffled control of `{item.family}` finds no other work whose answer is not {item.reference!r}: "
            "give the test split more works, or leave the family out of evaluate.families."
        )
    return candidates[rng_of(seed, "shuffled", item.id).integers(len(candidates))]


def silence(num_samples: int) -> np.ndarray:
    return np.zeros(num_samples, dtype=np.float32)
