"""Sample schedule: which window is trained at which step, with which questions, fixed by a seed.

A lesson is one window of audio and several questions with their answers, in random order: the sound is encoded once
and supervises them all. An epoch asks every question once. A plan holds numbers; a lesson is made when it is asked for.
"""

import random
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import overload

import numpy as np

from music_flamingo.core.hashing import sha256_json
from music_flamingo.training.data.audio import TrainingWindow
from music_flamingo.training.data.items import TrainingItem
from music_flamingo.training.data.samples import SampleTable


@dataclass(frozen=True)
class Lesson:
    """One training sample: an audio window and the items asked about it."""

    window: TrainingWindow
    items: tuple[TrainingItem, ...]


Drawn = tuple[int, int, Sequence[int]]
"""A lesson in numbers: its sample, which of the sample's windows, the rows of its questions."""


def drawn_lessons(table: SampleTable, rng: random.Random) -> Iterator[Drawn]:
    """Lessons without end, epoch after epoch: every question once before any comes again.

    With the recordings' weights (their mean about 1) a recording comes so often in an epoch, on average over epochs.
    """
    left: dict[int, list[int]] = {}
    for order in _epochs(table):
        rng.shuffle(order)
        for sample in order:
            if not left.get(sample):
                rows = table.rows_of(sample).tolist()
                left[sample] = rng.sample(rows, len(rows))
            asked, left[sample] = left[sample][: table.turns[sample]], left[sample][table.turns[sample] :]
            if not left[sample]:
                del left[sample]
            yield sample, rng.randrange(table.num_windows(sample)), asked


def _epochs(table: SampleTable) -> Iterator[list[int]]:
    """Samples of each epoch, as often as their lessons: what is over of a weight is carried into the next epoch."""
    # half a turn ahead: the rounding of a weight goes both ways, and 1.0 comes once in each epoch
    owed = np.full(len(table), 0.5)
    weights = np.frombuffer(table.weights, dtype=np.float64) if len(table) else np.empty(0)
    num_rows = np.diff(np.frombuffer(table.row_from, dtype=np.int64))
    turns = np.frombuffer(table.turns, dtype=np.int32) if len(table) else np.empty(0, np.int32)
    lessons = -(-num_rows // np.maximum(turns, 1))
    while len(table):
        owed += weights
        times = np.floor(owed + 1e-9).astype(np.int64)
        owed -= times
        yield np.repeat(np.arange(len(table)), times * lessons).tolist()


@dataclass
class TrainingSchedule(Sequence[Lesson]):
    """Lessons in order. `items` gives the question of a row."""

    tables: Sequence[SampleTable]
    """Of each source."""
    items: Sequence[TrainingItem]
    source: array = field(default_factory=lambda: array("B"))
    sample: array = field(default_factory=lambda: array("i"))
    window: array = field(default_factory=lambda: array("i"))
    rows: array = field(default_factory=lambda: array("i"))
    row_from: array = field(default_factory=lambda: array("q", [0]))

    def add(self, source: int, drawn: Drawn) -> None:
        """Append a drawn sample of the source with this number."""
        sample, window, rows = drawn
        self.source.append(source)
        self.sample.append(sample)
        self.window.append(window)
        self.rows.extend(rows)
        self.row_from.append(len(self.rows))

    def __len__(self) -> int:
        return len(self.sample)

    @overload
    def __getitem__(self, number: int) -> Lesson: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Lesson]: ...
    def __getitem__(self, number: int | slice) -> Lesson | Sequence[Lesson]:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        if not 0 <= number < len(self):
            raise IndexError(f"lesson {number} of {len(self)}")
        return Lesson(self.window_of(number), tuple(self.items[row] for row in self.rows_of(number)))

    def window_of(self, number: int) -> TrainingWindow:
        """Audio window of the sample with this number."""
        return self.tables[self.source[number]].window(self.sample[number], self.window[number])

    def rows_of(self, number: int) -> array:
        """Row numbers of the sample's items in its source's item store."""
        return self.rows[self.row_from[number] : self.row_from[number + 1]]

    @property
    def num_lessons_by_source(self) -> Counter[int]:
        """Number of scheduled samples by source number."""
        return Counter(self.source)

    @property
    def num_asked_by_source(self) -> Counter[int]:
        """Questions asked, each time it is."""
        asked = np.diff(np.frombuffer(self.row_from, dtype=np.int64))
        return Counter({s: int(asked[np.frombuffer(self.source, np.uint8) == s].sum()) for s in set(self.source)})


def samples_digest(sample_ids: Sequence[str]) -> str:
    """Stands for the samples of a step in the log: equal digests, equal samples in equal order."""
    return sha256_json(list(sample_ids))[:16]
