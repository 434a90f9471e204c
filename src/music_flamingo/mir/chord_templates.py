"""Secondary chord estimator: the triad template nearest to the chroma of each chord's segment."""

from dataclasses import dataclass

import numpy as np

from music_flamingo.mir import NothingFoundError, Signal
from music_flamingo.mir.opinions import triad
from music_flamingo.mir.tonal import FRAMES_PER_S, tonal
from music_flamingo.records import Chords, Opinion

THIRDS = (4, 3)
"""Semitones of a major and of a minor third."""


@dataclass(frozen=True)
class ChordTemplates:
    """Judges chords by triad templates."""

    def judge(self, signal: Signal, fact: Chords) -> Opinion:
        """Agrees with the share of the chords' time that it would name alike. Raises NothingFoundError without any."""
        chroma, templates = signal.shared(tonal).chroma, _templates()
        same_s = heard_s = 0.0
        for segment in fact.segments:
            named = triad(segment.label)
            first = int(segment.start_s * FRAMES_PER_S)
            frames = chroma[first : max(first + 1, round(segment.end_s * FRAMES_PER_S))]
            if named is None or not len(frames):
                continue
            likest = int((templates @ frames.mean(axis=0)).argmax())
            heard_s += segment.end_s - segment.start_s
            same_s += (segment.end_s - segment.start_s) * ((likest % 12, likest >= 12) == named)
        if not heard_s:
            raise NothingFoundError("no chord to judge")
        share = round(same_s / heard_s, 4)
        return Opinion(tool="triad_templates", tool_version="1", value=f"the same triads in {share:.0%}", agrees=share)


def _templates() -> np.ndarray:
    """The 12 major triads, then the 12 minor ones. Shape (24, 12)."""
    rows = np.zeros((24, 12))
    for index, third in enumerate(THIRDS):
        for root in range(12):
            rows[12 * index + root, [(root + step) % 12 for step in (0, third, 7)]] = 1
    return rows
