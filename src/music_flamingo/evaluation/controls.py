"""Control conditions of every score: does the audio matter, or are the question's words enough?

- `shuffled`: the question is put to the recording of another work, drawn by seed so that pieces of each answer are
  replaced by pieces of every answer equally often. A model that does not listen scores as it does with the true audio;
  one that listens answers for what it hears, which comes to chance.
- `noise`: Gaussian noise of the recording's length, another for each track (Zang et al. 2025 ask for it).
- `none`: silence as long as the window that would have been heard. Over balanced answers this is chance.
"""

from collections.abc import Sequence

import numpy as np

from music_flamingo.core.errors import UserError
from music_flamingo.evaluation.items import ExamItem, rng_of

NOISE_LEVEL = 0.1


def shuffled_tracks(items: Sequence[ExamItem], seed: int) -> list[str]:
    """For each item the id of the track to be heard in its place.

    A track has one replacement in a family, whatever is asked of it there, so that it is listened to once.
    Raises UserError when a family has only one work.
    """
    families: dict[str, dict[str, ExamItem]] = {}
    for item in items:
        families.setdefault(item.family, {})[item.track_id] = item
    played = {name: _replacements(list(asked.values()), seed) for name, asked in families.items()}
    return [played[item.family][item.track_id] for item in items]


def _replacements(asked: Sequence[ExamItem], seed: int) -> dict[str, str]:
    answers = sorted({_answer(item) for item in asked})
    played = {}
    for answer in answers:
        mine = sorted((item for item in asked if _answer(item) == answer), key=lambda item: item.track_id)
        rng = rng_of(seed, "shuffled", asked[0].family, answer)
        for turn, index in enumerate(rng.permutation(len(mine))):
            played[mine[index].track_id] = _other(mine[index], asked, answers[turn % len(answers)], rng)
    return played


def _answer(item: ExamItem) -> str:
    """A caption has no single answer: any other piece replaces it."""
    return "" if item.category else item.reference


def _other(item: ExamItem, asked: Sequence[ExamItem], answer: str, rng: np.random.Generator) -> str:
    others = sorted((o for o in asked if o.work_id != item.work_id), key=lambda o: o.track_id)
    if not others:
        raise UserError(
            f"the shuffled control of `{item.family}` finds no other work to play: "
            "give the test split more works, or leave the family out of evaluate.families."
        )
    wanted = [o for o in others if _answer(o) == answer] or others
    return wanted[rng.integers(len(wanted))].track_id


def noise(num_samples: int, seed: int, track_id: str) -> np.ndarray:
    """About as loud as music: RMS 0.1 of full scale."""
    drawn = NOISE_LEVEL * rng_of(seed, "noise", track_id).standard_normal(num_samples)
    return drawn.clip(-1, 1).astype(np.float32)


def silence(num_samples: int) -> np.ndarray:
    """Silent audio of `num_samples` samples, as float32."""
    return np.zeros(num_samples, dtype=np.float32)
