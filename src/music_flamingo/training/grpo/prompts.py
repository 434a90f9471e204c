"""Choose GRPO's prompts by seed: balanced over families and answers, uncertain ones preferred.

A group of answers that all earn the same teaches nothing. So more candidates are drawn than needed, the model says how
sure it is of the options of each, and the least sure ones are kept.
"""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice, zip_longest

from music_flamingo.model.context import Hearing
from music_flamingo.scoring.families import parts_asked
from music_flamingo.training.data.audio import TrainingWindow
from music_flamingo.training.data.items import TrainingItem
from music_flamingo.training.data.samples import (
    NO_RECORDING,
    NOT_HEARD,
    NOT_WHOLE,
    TOO_FAR_APART,
    TOO_LONG,
    TOO_SHORT,
    WindowRule,
    draw_windows,
    heard_of,
)
from music_flamingo.training.grpo.tasks import GrpoPrompt
from music_flamingo.training.settings import AskFirst

AskedFirst = Sequence[Collection[str]]
"""Ids of items that are asked before the rest: collections that take turns, and share no id."""


def draw_prompts(
    items: Sequence[TrainingItem],
    first: AskedFirst,
    shares: Mapping[str, float],
    num_samples: Mapping[str, int],
    hearing: Hearing,
    windows: WindowRule,
    *,
    count: int,
    seed: int,
    weights: Mapping[str, float] | None = None,
    must_hear: Mapping[str, tuple[int, int]] | None = None,
) -> dict[str, list[GrpoPrompt]]:
    """Family -> its candidates, `count` in all by the families' shares.

    Items of `first` come before the rest, and none comes again before all have come. With `weights` (of
    tracks, their mean about 1) an item comes as often in a round as its track weighs, on average over rounds. A window
    holds the samples that its item (by id) must hear.
    """
    rng = random.Random(seed)
    present = sorted({item.family for item in items})
    total = sum(shares[family] for family in present)
    drawn: dict[str, list[GrpoPrompt]] = {}
    for family in present:
        mine = _in_turn([item for item in items if item.family == family], first, weights or {}, rng)
        wanted = math.ceil(count * shares[family] / total)
        drawn[family] = [
            GrpoPrompt(
                _window(item, num_samples[item.track_id], hearing, windows, (must_hear or {}).get(item.id), rng), item
            )
            for item in islice(mine, wanted)
        ]
    return drawn


def asked_first(items: Iterable[TrainingItem], hard: Collection[str], rule: AskFirst) -> AskedFirst:
    """What is asked before the rest. `hard`: ids of the items that MF-Think has chains about."""
    if rule == "think":
        return (hard,)
    parts = {item.id: frozenset(parts_asked(item.family, item.question) or ()) for item in items}
    chained = {parts[id] for id in hard if id in parts}
    return frozenset(id for id, asked in parts.items() if asked and asked not in chained), hard


def _window(
    item: TrainingItem,
    num_samples: int,
    hearing: Hearing,
    windows: WindowRule,
    heard: tuple[int, int] | None,
    rng: random.Random,
) -> TrainingWindow:
    if heard is None:
        return rng.choice(draw_windows(item.track_id, num_samples, hearing, windows, rng))
    return TrainingWindow(
        item.track_id, *hearing.window_around(num_samples, heard, windows.rule, rng, windows.max_samples)
    )


def within_reach(
    items: Iterable[TrainingItem],
    num_samples: Mapping[str, int],
    hearing: Hearing,
    windows: WindowRule,
    room: Callable[[TrainingItem], int],
) -> tuple[list[TrainingItem], dict[str, tuple[int, int]], Counter[str]]:
    """The items that can be asked; required audio spans by question id; why others are not asked.

    `room`: samples of sound that fit into the context next to an item's words and the answer to come.
    """
    kept, must_hear, set_aside = list[TrainingItem](), dict[str, tuple[int, int]](), Counter[str]()
    for item in items:
        length = num_samples.get(item.track_id)
        if length is None or length < hearing.min_samples:
            set_aside[NO_RECORDING if length is None else TOO_SHORT] += 1
            continue
        window = hearing.trimmed(min(length, hearing.max_samples, windows.max_samples))
        heard = heard_of(item, length, windows.whole_above, hearing)
        if window > room(item):
            set_aside[TOO_LONG] += 1
        elif heard is not None and heard[1] - heard[0] > window:
            set_aside[NOT_WHOLE if heard == (0, hearing.trimmed(length)) else TOO_FAR_APART] += 1
        elif heard is not None and window < length and windows.on_overflow == "quarantine":
            set_aside[NOT_HEARD] += 1
        else:
            kept.append(item)
            if heard is not None:
                must_hear[item.id] = heard
    return kept, must_hear, set_aside


def _in_turn(
    items: Sequence[TrainingItem], first: AskedFirst, weights: Mapping[str, float], rng: random.Random
) -> Iterator[TrainingItem]:
    """Round after round of the items."""
    by_id = {item.id: item for item in items}
    for ids in _rounds({item.id: weights.get(item.track_id, 1.0) for item in items}):
        yield from _even_over_answers([by_id[i] for i in ids], first, rng)


def _even_over_answers(items: Sequence[TrainingItem], first: AskedFirst, rng: random.Random) -> list[TrainingItem]:
    """All items, the answers taking turns until the rarest runs out of its own; those of `first` before the rest."""
    by_answer: defaultdict[str, list[TrainingItem]] = defaultdict(list)
    for item in sorted(items, key=lambda item: item.id):
        by_answer["" if item.is_caption else item.reference].append(item)
    for group in by_answer.values():
        rng.shuffle(group)
    return _alternating([_first_of(by_answer[answer], first) for answer in sorted(by_answer)])


def _first_of(items: Sequence[TrainingItem], first: AskedFirst) -> list[TrainingItem]:
    """The collections of `first` in turns, then the rest."""
    leading = _alternating([[item for item in items if item.id in ids] for ids in first])
    return leading + [item for item in items if not any(item.id in ids for ids in first)]


def _alternating(groups: Iterable[Sequence[TrainingItem]]) -> list[TrainingItem]:
    return [item for turn in zip_longest(*groups) for item in turn if item is not None]


def _rounds(weights: Mapping[str, float]) -> Iterator[list[str]]:
    """Names of each round: what is over of a weight is carried into the next one, so 0.5 comes every other time."""
    # half a turn ahead: the rounding of a weight goes both ways, and 1.0 comes once in each round
    owed = dict.fromkeys(weights, 0.5)
    while weights:
        order: list[str] = []
        for name, weight in weights.items():
            owed[name] += weight
            times = int(owed[name] + 1e-9)
            owed[name] -= times
            order += [name] * times
        yield order


def most_doubtful(candidates: Sequence[GrpoPrompt], sureness: Sequence[float], keep: int) -> list[GrpoPrompt]:
    """The `keep` candidates that the model is least sure of, in their old order. Sureness: of the likeliest option."""
    order = sorted(range(len(candidates)), key=lambda i: (sureness[i], i))[:keep]
    return [candidates[i] for i in sorted(order)]


def interleave(by_family: Mapping[str, Sequence[GrpoPrompt]], seed: int) -> list[GrpoPrompt]:
    """All prompts, each segment of them with every family in its share."""
    rng = random.Random(seed)
    placed = []
    for family in sorted(by_family):
        prompts = list(by_family[family])
        rng.shuffle(prompts)
        placed += [((i + 0.5) / len(prompts), family, prompt) for i, prompt in enumerate(prompts)]
    return [prompt for _, _, prompt in sorted(placed, key=lambda row: row[:2])]
