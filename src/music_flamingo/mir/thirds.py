"""Correct the thirds of chords: the fifth partial of a bass note is a major third and makes minor chords look major.

Where a chord's third is foreign to the key and the other third is at home in it, both are compared in the register of
the chords, where few partials of the bass lie. On bands of exact truth (Am in C major over a picked bass) a chord
recogniser and templates both said A major throughout.
"""

from math import log2

import numpy as np

from music_flamingo.mir import RATE_HZ, Signal
from music_flamingo.mir.keys import pitch_class
from music_flamingo.mir.tonal import FRAME_SIZE, FRAMES_PER_S, NUM_BINS, tonal
from music_flamingo.mir.tuning import A_HZ, in_tune
from music_flamingo.records import Chords, Key, Segment

LOWEST_HZ, HIGHEST_HZ = 125.0, 500.0
CLEARER = 0.15
"""Octaves of strength by which the third at home must be stronger."""
SURE_KEY = 0.45
"""A key less sure than this corrects nothing."""
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
DOMINANT = 7
"""Semitones: the fifth degree of a minor key has a major third as often as not."""
OTHER = {"maj": "min", "maj6": "min6", "7": "min7", "maj7": "min", "min": "maj", "min6": "maj6", "min7": "7"}
"""Quality -> the one with the other third."""


def with_thirds_of(key: Key, chords: Chords, signal: Signal) -> Chords:
    """The chords, some with the other third; as they are where the key is not sure."""
    if key.changes or key.confidence < SURE_KEY:
        return chords
    heard = signal.shared(thirds_register)
    segments = [_corrected(segment, key, heard) for segment in chords.segments]
    return chords.model_copy(update={"segments": _joined(segments)})


def thirds_register(signal: Signal) -> np.ndarray:
    """Strength of the 12 pitch classes, from C on, between 125 and 500 Hz. Shape (T, 12)."""
    found = signal.shared(tonal)
    hz = np.arange(1, NUM_BINS) * RATE_HZ / FRAME_SIZE
    semitones = 12 * np.log2(hz / A_HZ) + 9  # C is 0
    distance = (semitones[:, None] - np.arange(12) + 6) % 12 - 6
    inside = ((hz >= LOWEST_HZ) & (hz <= HIGHEST_HZ))[:, None]
    bank = np.vstack([np.zeros(12), np.maximum(0, 1 - 1.2 * np.abs(distance)) * inside / hz[:, None] * A_HZ])
    return np.asarray(np.sqrt(in_tune(found.magnitudes, found.tuning_cents)) @ bank.astype(np.float32))


def _corrected(segment: Segment, key: Key, heard: np.ndarray) -> Segment:
    root_name, _, rest = segment.label.partition(":")
    quality, slash, bass = rest.partition("/")
    if quality not in OTHER:
        return segment
    root, tonic = pitch_class(root_name), pitch_class(key.tonic)
    third = 3 if quality.startswith("min") else 4
    said, other = (root + third) % 12, (root + 7 - third) % 12
    degree, at_home = (root - tonic) % 12, {(tonic + step) % 12 for step in SCALES[key.mode]}
    if said in at_home or other not in at_home or root not in at_home or (key.mode, degree) == ("minor", DOMINANT):
        return segment
    first = int(segment.start_s * FRAMES_PER_S) + 1
    inside = heard[first : max(first + 1, int(segment.end_s * FRAMES_PER_S))]
    if len(inside) == 0:  # a last segment shorter than a frame
        return segment
    strength = inside.mean(axis=0) + 1e-6
    if not np.isfinite(strength).all() or log2(strength[other] / strength[said]) < CLEARER:
        return segment
    bass = "" if bass in ("3", "b3") else bass
    return segment.model_copy(update={"label": f"{root_name}:{OTHER[quality]}{slash if bass else ''}{bass}"})


def _joined(segments: list[Segment]) -> list[Segment]:
    """Equal neighbours are one."""
    joined: list[Segment] = []
    for segment in segments:
        if joined and joined[-1].label == segment.label:
            joined[-1] = joined[-1].model_copy(update={"end_s": segment.end_s})
        else:
            joined.append(segment)
    return joined
