"""The plan of samples: which window of which track is heard at which step, with which questions, fixed by a seed.

A lesson is one window of audio and several questions with their answers, in random order: the sound is encoded once
and supervises them all. A lone question is the first of a conversation, and each item comes first in its turn.
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from music_flamingo.audio.windows import Rule
from music_flamingo.core.hashing import sha256_json
from music_flamingo.model.context import Hearing
from music_flamingo.training.items import Item
from music_flamingo.training.sounds import Window


@dataclass(frozen=True)
class Lesson:
    window: Window
    items: tuple[Item, ...]


@dataclass(frozen=True)
class WindowRule:
    """How much of a track is heard, and where."""

    rule: Rule
    max_samples: int
    per_track: int
    """With the rule `random`: how many different windows are drawn from each track."""


def plan_lessons(
    items: Sequence[Item],
    num_samples: Mapping[str, int],
    hearing: Hearing,
    windows: WindowRule,
    *,
    num_lessons: int,
    max_turns: int,
    seed: int,
    weights: Mapping[str, float] | None = None,
) -> list[Lesson]:
    """`num_lessons` lessons; all tracks come once before any comes again. `num_samples`: of each track.

    With `weights` (of tracks, their mean about 1) a track comes so often in a round, on average over rounds.
    """
    rng = random.Random(seed)
    by_track: defaultdict[str, list[Item]] = defaultdict(list)
    for item in sorted(items, key=lambda item: item.id):
        by_track[item.track_id].append(item)
    heard = {track: draw_windows(track, num_samples[track], hearing, windows, rng) for track in sorted(by_track)}
    lessons: list[Lesson] = []
    for order in rounds({track: (weights or {}).get(track, 1.0) for track in sorted(by_track)}):
        if len(lessons) >= num_lessons:
            break
        rng.shuffle(order)
        for track in order[: num_lessons - len(lessons)]:
            asked = rng.sample(by_track[track], len(by_track[track]))[:max_turns]
            lessons.append(Lesson(rng.choice(heard[track]), tuple(asked)))
    return lessons


def rounds(weights: Mapping[str, float]) -> Iterator[list[str]]:
    """Tracks of each round: what is over of a weight is carried into the next one, so 0.5 comes every other time."""
    # half a turn ahead: the rounding of a weight goes both ways, and 1.0 comes once in each round
    owed = dict.fromkeys(weights, 0.5)
    while weights:
        order: list[str] = []
        for track, weight in weights.items():
            owed[track] += weight
            times = int(owed[track] + 1e-9)
            owed[track] -= times
            order += [track] * times
        yield order


def draw_windows(
    track_id: str, num_samples: int, hearing: Hearing, windows: WindowRule, rng: random.Random
) -> list[Window]:
    """The windows that training hears of a track."""
    repeats = windows.per_track if windows.rule == "random" else 1
    return [
        Window(track_id, *hearing.window_of(num_samples, windows.rule, rng, windows.max_samples))
        for _ in range(repeats)
    ]


def samples_digest(sample_ids: Sequence[str]) -> str:
    """Stands for the samples of a step in the log: equal digests, equal samples in equal order."""
    return sha256_json(list(sample_ids))[:16]
