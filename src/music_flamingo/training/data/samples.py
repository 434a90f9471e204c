"""Group a track's questions into (window, questions) training samples, within the context's limits.

A question that names seconds must be asked where they are heard. A reference that spans almost all of the recording
speaks of the whole (its tempo, its texture) and may be asked of any window; every other one names seconds that
belong to the window. Sound, its marks and the words of a question together stay within the context. What keeps to
neither is set aside, and counted by its reason.
"""

import random
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from music_flamingo.audio.windows import Rule
from music_flamingo.model.context import MARKS, Hearing
from music_flamingo.training.data.audio import TrainingWindow
from music_flamingo.training.data.items import TrainingItem
from music_flamingo.training.settings import OnOverflow

NO_RECORDING = "no_recording"
TOO_SHORT = "too_short_to_hear"
NOT_HEARD = "references_not_heard"
TOO_FAR_APART = "references_too_far_apart"
NOT_WHOLE = "recording_longer_than_window"
TOO_LONG = "longer_than_context"
TEXT_TOO_LONG = "text_longer_than_context"


@dataclass(frozen=True)
class WindowRule:
    """How much of a recording is heard, and where."""

    rule: Rule
    max_samples: int
    per_track: int
    """With the rule `random`: how many different windows are drawn from each recording."""
    on_overflow: OnOverflow = "window_by_references"
    """Where seconds that a question names are not heard in these windows, or sound and words exceed the context: a
    window of its own that holds the seconds and fits, or none."""
    whole_above: float = 0.95
    """A reference that spans this part of the recording names no seconds."""


class RequiredSpan(NamedTuple):
    """What a question asks for."""

    row: int
    heard: tuple[int, int] | None
    """Samples that must be heard; None where any segment will do."""
    text_bound: int
    """Never less than the tokens of its words."""


@dataclass
class SampleTable:
    """Numbers of every sample, column by column: its recording, its windows, its questions."""

    ids: list[str] = field(default_factory=list)
    windows: array = field(default_factory=lambda: array("i"))
    """start, end, start, end ..."""
    window_from: array = field(default_factory=lambda: array("q", [0]))
    rows: array = field(default_factory=lambda: array("i"))
    row_from: array = field(default_factory=lambda: array("q", [0]))
    turns: array = field(default_factory=lambda: array("i"))
    """Questions that fit into one lesson of the sample."""
    weights: array = field(default_factory=lambda: array("d"))
    own_windows: Counter[str] = field(default_factory=Counter)
    """Why questions have windows of their own -> how many."""
    set_aside: Counter[str] = field(default_factory=Counter)
    """Why questions are never asked -> how many."""

    def __len__(self) -> int:
        return len(self.ids)

    def add(
        self, name: str, windows: Sequence[tuple[int, int]], needs: Sequence[RequiredSpan], turns: int, weight: float
    ):
        """Append one recording's sample: its windows (samples), its questions by row, their turns and weight."""
        self.ids.append(name)
        for window in windows:
            self.windows.extend(window)
        self.window_from.append(len(self.windows) // 2)
        self.rows.extend(need.row for need in needs)
        self.row_from.append(len(self.rows))
        self.turns.append(turns)
        self.weights.append(weight)

    def window(self, sample: int, number: int) -> TrainingWindow:
        """Window `number` of a sample."""
        at = 2 * (self.window_from[sample] + number)
        return TrainingWindow(self.ids[sample], self.windows[at], self.windows[at + 1])

    def num_windows(self, sample: int) -> int:
        """Number of candidate windows of a sample."""
        return self.window_from[sample + 1] - self.window_from[sample]

    def rows_of(self, sample: int) -> array:
        """Row numbers of a sample's questions in the item store."""
        return self.rows[self.row_from[sample] : self.row_from[sample + 1]]

    @property
    def num_samples(self) -> int:
        """Number of questions over all samples."""
        return len(self.rows)


@dataclass(frozen=True)
class Divider:
    """Divides the questions of recordings into samples."""

    hearing: Hearing
    windows: WindowRule
    max_turns: int
    text_tokens: Callable[[int], int]
    """The tokens of a row's words, counted."""
    rng: random.Random

    def divide(
        self, table: SampleTable, name: str, num_samples: int, weight: float, needs: Sequence[RequiredSpan]
    ) -> None:
        """Append the samples of one recording."""
        rule = self.windows
        if num_samples < self.hearing.min_samples:
            table.set_aside[TOO_SHORT] += len(needs)
            return
        drawn = draw_windows(name, num_samples, self.hearing, rule, self.rng)
        spans = [(w.start, w.end) for w in drawn]
        length = spans[0][1] - spans[0][0]
        needs = [_up_to(need, self.hearing.trimmed(num_samples)) for need in needs]
        together, local = [], []
        for need in needs:
            if not self._fits(need, length):
                self._apart(table, name, num_samples, weight, [need], length, TOO_LONG)
            elif need.heard is None or all(s <= need.heard[0] and need.heard[1] <= e for s, e in spans):
                together.append(need)
            else:
                local.append(need)
        if together:
            table.add(name, spans, together, self._turns(together, length), weight)
        for group in _neighbours(local, length):
            self._apart(table, name, num_samples, weight, group, length, NOT_HEARD)

    def _fits(self, need: RequiredSpan, length: int) -> bool:
        room = self.hearing.context_tokens - MARKS - self.hearing.audio_tokens(length)
        return need.text_bound <= room or self.text_tokens(need.row) <= room

    def _apart(
        self,
        table: SampleTable,
        name: str,
        num_samples: int,
        weight: float,
        needs: Sequence[RequiredSpan],
        length: int,
        why: str,
    ) -> None:
        """A sample with windows around what its questions name, shorter ones where the context wants it."""
        if self.windows.on_overflow == "quarantine":
            table.set_aside[why] += len(needs)
            return
        if why == TOO_LONG:
            length = min(length, self.hearing.room_for_audio(self.text_tokens(needs[0].row)))
            if not length:
                table.set_aside[TEXT_TOO_LONG] += len(needs)
                return
        heard = _union(needs)
        if heard is not None and heard[1] - heard[0] > length:
            whole = (0, self.hearing.trimmed(num_samples))
            table.set_aside[NOT_WHOLE if heard == whole else TOO_FAR_APART] += len(needs)
            return
        repeats = self.windows.per_track if self.windows.rule == "random" else 1
        spans = [self._around(num_samples, heard, length) for _ in range(repeats)]
        table.own_windows[why] += len(needs)
        table.add(name, spans, needs, self._turns(needs, length), weight)

    def _around(self, num_samples: int, heard: tuple[int, int] | None, length: int) -> tuple[int, int]:
        if heard is None:
            return self.hearing.window_of(num_samples, self.windows.rule, self.rng, length)
        return self.hearing.window_around(num_samples, heard, self.windows.rule, self.rng, length)

    def _turns(self, needs: Sequence[RequiredSpan], length: int) -> int:
        """How many of the questions fit next to the sound, whichever they are."""
        room = self.hearing.context_tokens - MARKS - self.hearing.audio_tokens(length)
        most = min(self.max_turns, len(needs))
        sizes = sorted((need.text_bound for need in needs), reverse=True)[:most]
        if sum(sizes) <= room:
            return most
        sizes = sorted((self.text_tokens(need.row) for need in needs), reverse=True)[:most]
        return max(1, int(np.searchsorted(np.cumsum(sizes), room, side="right")))


def heard_samples(
    span_of: np.ndarray,
    spans_s: np.ndarray,
    names_a_time: np.ndarray,
    is_about_all: np.ndarray,
    num_samples: np.ndarray,
    whole_above: float,
    rate_hz: int,
) -> tuple[np.ndarray, np.ndarray]:
    """(start, end) in samples that each question must hear of its recording; end is 0 where any segment will do.

    `spans_s[k]` (start, end) is what a reference of question `span_of[k]` names; `num_samples`: of its recording.
    """
    local = spans_s[:, 1] - spans_s[:, 0] < whole_above * num_samples[span_of] / rate_hz
    start_s, end_s = np.full(len(num_samples), np.inf), np.zeros(len(num_samples))
    np.minimum.at(start_s, span_of[local], spans_s[local, 0])
    np.maximum.at(end_s, span_of[local], spans_s[local, 1])
    # its clock starts with the recording
    start_s[names_a_time | (end_s == 0)] = 0.0
    end_s[is_about_all | (names_a_time & (end_s == 0))] = np.inf
    ends = np.minimum(np.ceil(end_s * rate_hz), num_samples).astype(np.int64)
    return np.minimum(np.floor(start_s * rate_hz), ends).astype(np.int64), ends


def heard_of(item: TrainingItem, num_samples: int, whole_above: float, hearing: Hearing) -> tuple[int, int] | None:
    """What one question must hear of a recording of so many samples; None where any segment will do."""
    spans_s = np.array(item.spans_s, dtype=float).reshape(-1, 2)
    marks = np.array([item.names_a_time]), np.array([item.is_about_all])
    span_of, lengths = np.zeros(len(spans_s), int), np.array([hearing.trimmed(num_samples)])
    starts, ends = heard_samples(span_of, spans_s, *marks, lengths, whole_above, hearing.sample_rate_hz)
    return (int(starts[0]), int(ends[0])) if ends[0] else None


def draw_windows(
    track_id: str, num_samples: int, hearing: Hearing, windows: WindowRule, rng: random.Random
) -> list[TrainingWindow]:
    """The windows that training hears of a recording."""
    repeats = windows.per_track if windows.rule == "random" else 1
    return [
        TrainingWindow(track_id, *hearing.window_of(num_samples, windows.rule, rng, windows.max_samples))
        for _ in range(repeats)
    ]


def _up_to(need: RequiredSpan, end: int) -> RequiredSpan:
    """Samples after `end` are never heard, and need not be."""
    return need if need.heard is None else need._replace(heard=(need.heard[0], min(need.heard[1], end)))


def _neighbours(needs: Sequence[RequiredSpan], length: int) -> Iterator[list[RequiredSpan]]:
    """Groups of questions whose seconds fit into one window of that length, by their time."""
    group: list[RequiredSpan] = []
    for need in sorted(needs, key=lambda need: (need.heard, need.row)):
        heard = _union([*group, need])
        if group and heard is not None and heard[1] - heard[0] > length:
            yield group
            group = []
        group.append(need)
    if group:
        yield group


def _union(needs: Sequence[RequiredSpan]) -> tuple[int, int] | None:
    heard = [need.heard for need in needs if need.heard is not None]
    return (min(start for start, _ in heard), max(end for _, end in heard)) if heard else None
