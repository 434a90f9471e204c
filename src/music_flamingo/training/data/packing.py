"""Pack samples into rows of a token budget, from a lookahead window over the schedule.

A row takes the lesson that has waited longest, and with it those of the next `look_ahead` that fill it best: which
sums can be reached is worked out for all of them at once, as bits of one number (subset sums), so that no fuller row
exists. Older lessons are preferred where sums are equal.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import overload

from music_flamingo.training.data.schedule import Lesson, TrainingSchedule


def fullest(sizes: Sequence[int], capacity: int) -> list[int]:
    """Places of the sizes whose sum comes closest to `capacity` from below; the first is always among them."""
    if sizes[0] > capacity:
        raise ValueError(f"a lesson of {sizes[0]} tokens and a row of {capacity}")
    room = capacity - sizes[0]
    within = (1 << (room + 1)) - 1
    reached = [1]  # bit k: the sum k can be reached with the sizes so far
    for size in sizes[1:]:
        reached.append(reached[-1] | (reached[-1] << size) & within)
    rest, taken = reached[-1].bit_length() - 1, [0]
    for place in range(len(sizes) - 1, 0, -1):
        if not reached[place - 1] >> rest & 1:
            taken.append(place)
            rest -= sizes[place]
    return sorted(taken)


def filled(
    lessons: Iterator[int], tokens: Callable[[int], int], capacity: int, look_ahead: int
) -> Iterator[tuple[list[int], int]]:
    """(numbers of a row's lessons, their tokens), row after row."""
    waiting: list[tuple[int, int]] = []
    while True:
        waiting += [(lesson, tokens(lesson)) for lesson in islice(lessons, look_ahead - len(waiting))]
        if not waiting:
            return
        taken = fullest([size for _, size in waiting], capacity)
        yield [waiting[place][0] for place in taken], sum(waiting[place][1] for place in taken)
        gone = set(taken)
        waiting = [lesson for place, lesson in enumerate(waiting) if place not in gone]


@dataclass
class Rows(Sequence[tuple[Lesson, ...]]):
    """A plan in rows of several lessons."""

    plan: TrainingSchedule
    capacity: int
    lessons: array = field(default_factory=lambda: array("q"))
    lesson_from: array = field(default_factory=lambda: array("q", [0]))
    num_tokens: int = 0

    def add(self, lessons: Sequence[int], num_tokens: int) -> None:
        """Append a row of these samples with `num_tokens` tokens in all."""
        self.lessons.extend(lessons)
        self.lesson_from.append(len(self.lessons))
        self.num_tokens += num_tokens

    def __len__(self) -> int:
        return len(self.lesson_from) - 1

    @overload
    def __getitem__(self, number: int) -> tuple[Lesson, ...]: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[tuple[Lesson, ...]]: ...
    def __getitem__(self, number: int | slice) -> tuple[Lesson, ...] | Sequence[tuple[Lesson, ...]]:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        if not 0 <= number < len(self):
            raise IndexError(f"row {number} of {len(self)}")
        return tuple(self.plan[i] for i in self.lessons[self.lesson_from[number] : self.lesson_from[number + 1]])

    @property
    def lessons_per_row(self) -> float:
        """Mean number of samples per row."""
        return len(self.lessons) / len(self)

    @property
    def waste(self) -> float:
        """The part of the rows that holds nothing."""
        return 1 - self.num_tokens / (len(self) * self.capacity)
