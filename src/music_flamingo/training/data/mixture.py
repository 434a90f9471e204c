"""Mix several sources of samples: the share of each, and the order.

A source's share of the lessons is p_i ~ (w_i * n_i) ** (1 / T), with its weight w_i, its number of samples n_i and the
temperature T: 1 draws sources by their size, a large one all alike. Every part of the plan holds the shares, to
within one lesson; each source runs through its own epochs. The order of the whole does not know how many ranks there
are: they take turns at the lessons of a step.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pyarrow.compute as pc

from music_flamingo.core.errors import UserError
from music_flamingo.core.ports import Table
from music_flamingo.model.chat import Turn, tokenise
from music_flamingo.model.context import MARKS, Hearing
from music_flamingo.training.data.audio import RecordingIndex
from music_flamingo.training.data.item_store import ItemStore
from music_flamingo.training.data.items import TrainingItem
from music_flamingo.training.data.samples import (
    NO_RECORDING,
    Divider,
    RequiredSpan,
    SampleTable,
    WindowRule,
    heard_samples,
)
from music_flamingo.training.data.schedule import TrainingSchedule, drawn_lessons


@dataclass(frozen=True)
class MixtureSource:
    """Items and the recordings they are about; any record with an `id`, `audio` and `duration_s` is a recording."""

    name: str
    items: Iterable[TrainingItem]
    recordings: Table
    families: Mapping[str, float]
    """Those that are taught -> weight of their loss."""
    is_even: bool = False
    """Every token of a target weighs the same, as in a transcript: sound decides them all."""


def chosen(sources: Sequence[MixtureSource], weights: Mapping[str, float], stage: str) -> list[MixtureSource]:
    """The sources with a weight. Raises UserError for a weight without its source."""
    missing = sorted(set(weights) - {source.name for source in sources})
    if missing:
        known = ", ".join(source.name for source in sources)
        raise UserError(f"`{stage}.mixture.sources` names {missing[0]!r}; this stage has: {known}.")
    return [source for source in sources if weights.get(source.name, 0.0) > 0]


def shares(num_samples: Sequence[int], weights: Sequence[float], temperature: float, stage: str) -> list[float]:
    """Part of the lessons that each source gives. Raises UserError when there are no samples at all."""
    raw = [(w * n) ** (1 / temperature) if n else 0.0 for n, w in zip(num_samples, weights, strict=True)]
    if not any(raw):
        raise UserError(
            f"`{stage}` has nothing to teach: every sample is quarantined, or its source has no weight. Give longer "
            f"windows or a larger context, or other weights under `{stage}.mixture.sources`."
        )
    return [value / sum(raw) for value in raw]


def interleaved(parts: Sequence[float]) -> Iterator[int]:
    """Sources without end, the one furthest behind its share first."""
    owed = [0.0] * len(parts)
    while True:
        owed = [debt + part for debt, part in zip(owed, parts, strict=True)]
        source = max(range(len(parts)), key=lambda i: (owed[i], -i))
        owed[source] -= 1.0
        yield source


@dataclass(frozen=True)
class TokenCounts:
    """How many tokens the words of each item take: a bound that costs nothing, and the number counted when asked."""

    item_store: ItemStore
    count: Callable[[TrainingItem], int]
    template_tokens: int
    """Of a turn without words."""
    shared_tokens: int
    """Those of them that stand before the sound."""
    counted: np.ndarray
    """-1 where nobody asked yet."""

    def __call__(self, row: int) -> int:
        if self.counted[row] < 0:
            self.counted[row] = self.count(self.item_store[row])
        return int(self.counted[row])

    def of_lesson(self, rows: Sequence[int], apart: bool) -> int:
        """A conversation has all tokens of its turns; turns that stand apart share what comes before the sound."""
        return sum(map(self, rows)) - (self.shared_tokens * (len(rows) - 1) if apart else 0)

    def bounds(self) -> np.ndarray:
        """Upper bounds of the items' text tokens, from their bytes."""
        # a token of a byte-level vocabulary has at least one byte
        return self.item_store.column("num_bytes") + self.template_tokens


def words_of(processor, item_store: ItemStore) -> TokenCounts:
    """Count text tokens of stored items by the processor's tokenizer."""

    def tokens(prompt: str, target: str) -> tuple[int, ...]:
        return tokenise(processor, (Turn(prompt, target),), 0).ids

    empty = tokens("", "")
    return TokenCounts(
        item_store,
        lambda item: len(tokens(item.prompt, item.target)) - MARKS,
        len(empty) - MARKS,
        empty.index(processor.audio_bos_token_id),
        np.full(len(item_store), -1, np.int32),
    )


def divided(
    item_store: ItemStore,
    recordings: RecordingIndex,
    hearing: Hearing,
    windows: WindowRule,
    words: TokenCounts,
    rngs: Sequence[random.Random],
    max_turns: int,
) -> list[SampleTable]:
    """The sample table of each source, recordings in the order of their ids."""
    tables = [SampleTable() for _ in rngs]
    order = item_store.in_order()
    order = order[item_store.taught()[order]]
    source_of = item_store.column("source")
    place = np.asarray(pc.fill_null(pc.index_in(item_store.table["track_id"], recordings.ids), -1))
    # the last one stands for recordings that are not there
    lengths = np.append(recordings.num_samples, 0)[place]
    marks = item_store.column("names_a_time"), item_store.column("is_about_all")
    starts, ends = heard_samples(*item_store.spans(), *marks, lengths, windows.whole_above, hearing.sample_rate_hz)
    bounds = words.bounds()
    dividers = [Divider(hearing, windows, max_turns, words, rng) for rng in rngs]
    for source in range(len(tables)):
        mine = order[source_of[order] == source]
        known = place[mine] >= 0
        if not known.all():
            tables[source].set_aside[NO_RECORDING] += int((~known).sum())
        rows = mine[known]
        for number, group in groupby(zip(place[rows].tolist(), rows.tolist(), strict=True), key=lambda pair: pair[0]):
            needs = [
                RequiredSpan(row, (int(starts[row]), int(ends[row])) if ends[row] > 0 else None, int(bounds[row]))
                for _, row in group
            ]
            samples, weight = int(recordings.num_samples[number]), float(recordings.sampling_weight[number])
            dividers[source].divide(tables[source], recordings.ids[number].as_py(), samples, weight, needs)
    return tables


def mixed(plan: TrainingSchedule, rngs: Sequence[random.Random], parts: Sequence[float]) -> Iterator[int]:
    """Append lessons to the plan without end; gives the number of each."""
    streams = [drawn_lessons(table, rng) for table, rng in zip(plan.tables, rngs, strict=True)]
    for source in interleaved(parts):
        plan.add(source, next(streams[source]))
        yield len(plan) - 1
