"""Section segmentation by repetition and novelty.

A section begins where the music of another section's beginning comes again (as in a verse after the chorus), and where
harmony and timbre of the next seconds differ from those of the last (Foote's novelty, with the kernel as long as a
phrase). Every beginning is looked for again, so a chorus found by its contrast is found wherever it returns. Equal
letters mark sections that go alike: A B A.

T moments, five a second; D features of a moment.
"""

import string
from dataclasses import dataclass

import numpy as np

from music_flamingo.mir import NothingFoundError, Signal
from music_flamingo.mir.tonal import FRAMES_PER_S, tonal
from music_flamingo.records import Sections, Segment

TOOL, VERSION = "repeated_sections", "1"
FRAMES_PER_MOMENT = 2
MOMENTS_PER_S = FRAMES_PER_S // FRAMES_PER_MOMENT
TIMBRE_WEIGHT = 0.3
COLOUR_RANGE_DB = 60.0
PHRASE, SHORTEST_PHRASE = 8 * MOMENTS_PER_S, 3 * MOMENTS_PER_S
"""A beginning is known again by its first 8 s; by 3 s where the recording ends."""
BEFORE_AND_AFTER = 16 * MOMENTS_PER_S
"""Novelty compares the last 16 s with the next 16 s."""
AUDIBLE_DB = -40.0
"""Relative to the loudest moment: the first section begins with the first sound."""
STEADY_CHROMA, STEADY_DB = 0.02, 3.0
"""Harmony (shares of 12 pitch classes) and timbre (24 bands) that move less than this are one steady sound."""
SHIFTS = range(-3, 4)
"""Sections are laid upon each other within 0.6 s."""
SILENT_BELOW = 1e-4
TAIL_SHARE = 0.05
"""Of the recording: what is shorter at its end is how the section before it dies away, and no section."""


@dataclass(frozen=True)
class RepeatedSections:
    """Finds sections by repetition and novelty in chroma and timbre."""

    min_section_s: float
    repeat_above: float
    """Correlation of harmony and timbre, over a phrase, above which it is the same music again."""
    min_novelty: float
    """Squared distance between before and after: 0 for the same, 2 for nothing in common."""
    split_above_s: float
    """Only a longer section is divided where the music changes."""
    alike_above: float
    """Sections whose harmony correlates by more than this get one letter."""

    def find(self, signal: Signal) -> Sections:
        """At least one section, A, over the whole recording. Raises NothingFoundError in silence.

        The confidence is the mean clearness of the boundaries; 0.5 where there is none.
        """
        if float(np.abs(signal.samples).max()) < SILENT_BELOW:
            raise NothingFoundError("the recording is silent")
        harmony, features, first = look(signal)
        found = self.boundaries(features, first)
        starts = sorted(found)
        labels = letters(harmony, [0, *starts], self.alike_above)
        times_s = [0.0, *(start / MOMENTS_PER_S for start in starts), round(signal.duration_s, 4)]
        return Sections(
            tool=TOOL,
            tool_version=VERSION,
            confidence=round(min(1.0, sum(found.values()) / len(found)), 4) if found else 0.5,
            segments=[
                Segment(start_s=start_s, end_s=end_s, label=label)
                for start_s, end_s, label in zip(times_s[:-1], times_s[1:], labels, strict=True)
            ],
        )

    def boundaries(self, features: np.ndarray, first: int) -> dict[int, float]:
        """Moment -> clearness, 0 to 1, of each section's beginning after the first one."""
        least, found = round(self.min_section_s * MOMENTS_PER_S), {first: 1.0}
        change, waiting = novelty(features), [first]
        while waiting:
            again = repeats(features, waiting.pop(), least, self.repeat_above)
            for t, clear in sorted(again.items(), key=lambda one: (-one[1], one[0])):
                if all(abs(t - other) >= least for other in found):
                    found[t] = clear
            if not waiting and (split := self._split(change, sorted(found), least)):
                found[split] = min(1.0, float(change[split]))
                waiting = [split]
        last = max(found)
        if last > first and len(features) - last < TAIL_SHARE * len(features):
            del found[last]
        del found[first]
        return {t: clear for t, clear in found.items() if t > 0}

    def _split(self, change: np.ndarray, starts: list[int], least: int) -> int | None:
        """The most novel moment of the long sections, if it is novel enough."""
        longest = round(self.split_above_s * MOMENTS_PER_S)
        inside = [
            start + least + int(change[start + least : end - least].argmax())
            for start, end in zip(starts, [*starts[1:], len(change)], strict=True)
            if end - start >= max(longest, 2 * least + 1)
        ]
        best = max(inside, key=lambda t: float(change[t]), default=None)
        return best if best is not None and change[best] > self.min_novelty else None


def look(signal: Signal) -> tuple[np.ndarray, np.ndarray, int]:
    """(harmony (T, 12), harmony and timbre (T, D), the first audible moment). Rows have length 1."""
    heard = signal.shared(tonal)
    chroma, colour_db = (_moments(values) for values in (heard.chroma, heard.colour_db))
    level_db = colour_db.max(axis=1)
    chroma = chroma / np.maximum(chroma.sum(axis=1, keepdims=True), 1e-9)
    harmony = unit(chroma - chroma.mean(axis=0), STEADY_CHROMA)
    colour_db = np.maximum(colour_db, colour_db.max() - COLOUR_RANGE_DB)
    timbre = unit(colour_db - colour_db.mean(axis=0), STEADY_DB)
    features = np.hstack([np.sqrt(1 - TIMBRE_WEIGHT) * harmony, np.sqrt(TIMBRE_WEIGHT) * timbre])
    return harmony, features, int((level_db > level_db.max() + AUDIBLE_DB).argmax())


def _moments(frames: np.ndarray) -> np.ndarray:
    size = min(FRAMES_PER_MOMENT, len(frames))
    return np.asarray(frames[: len(frames) // size * size].reshape(-1, size, frames.shape[1]).mean(axis=1))


def unit(vectors: np.ndarray, least: float = 1e-9) -> np.ndarray:
    """Rows of length 1; rows shorter than `least` stay below it, so that what is next to nothing is not blown up."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), least))


def novelty(features: np.ndarray) -> np.ndarray:
    """Squared distance between the means of the time before and after each moment. Shape (T,)."""
    count = len(features)
    sums = np.concatenate([np.zeros((1, features.shape[1])), np.cumsum(features, axis=0, dtype=np.float64)])
    now = np.arange(count)
    before, after = np.maximum(now - BEFORE_AND_AFTER, 0), np.minimum(now + BEFORE_AND_AFTER, count)
    was = (sums[now] - sums[before]) / np.maximum(now - before, 1)[:, None]
    comes = (sums[after] - sums[now]) / (after - now)[:, None]
    return np.asarray(np.square(comes - was).sum(axis=1))


def repeats(features: np.ndarray, start: int, least: int, above: float) -> dict[int, float]:
    """Moment -> likeness of each later moment from where the music goes on as from `start`, `least` apart."""
    count = len(features)
    likeness, length = np.zeros(count), np.zeros(count)
    for step in range(min(PHRASE, count - start)):
        likeness[: count - step] += (features @ features[start + step])[step:]
        length[: count - step] += 1
    likeness = np.where(length >= SHORTEST_PHRASE, likeness / np.maximum(length, 1), 0)
    return {
        t: float(likeness[t])
        for t in range(start + least, count)
        if likeness[t] > above and likeness[t] == likeness[max(0, t - least) : t + least].max()
    }


def letters(harmony: np.ndarray, starts: list[int], alike_above: float) -> list[str]:
    """A letter for each section, the letter of the first section that it goes like."""
    sections = [harmony[a:b] for a, b in zip(starts, [*starts[1:], len(harmony)], strict=True)]
    kinds: list[np.ndarray] = []
    labels = []
    for section in sections:
        likeness = [_likeness(section, kind) for kind in kinds]
        if likeness and max(likeness) > alike_above:
            kind = int(np.argmax(likeness))
        else:
            kind = len(kinds)
            kinds.append(section)
        labels.append(string.ascii_uppercase[min(kind, 25)])
    return labels


def _likeness(a: np.ndarray, b: np.ndarray) -> float:
    """Mean correlation of two sections moment by moment, laid upon each other as well as a small shift allows."""
    best = -1.0
    for shift in SHIFTS:
        ours, theirs = a[max(0, shift) :], b[max(0, -shift) :]
        size = min(len(ours), len(theirs))
        if size:
            best = max(best, float((ours[:size] * theirs[:size]).sum(axis=1).mean()))
    return best
