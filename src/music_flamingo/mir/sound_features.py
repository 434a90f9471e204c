"""Features that separate drums from pitched sound, single from several voices, sustained from decaying notes.

Three looks at the same excerpt, each at the frame size that shows it best: short frames for blows, middle ones for the
course of single partials, long ones for the notes that sound together. Levels are relative to the excerpt's own mean
level, so a recording's gain changes nothing.

T frames, B bands, F bins, K notes.
"""

from functools import lru_cache
from itertools import pairwise

import numpy as np

from music_flamingo.mir import RATE_HZ
from music_flamingo.mir.spectrum import magnitudes

HOP_SIZE = RATE_HZ // 100
LEVEL = 0.1
"""Mean level (root of the mean square) that excerpts are brought to."""

BLOW_FRAME, PARTIAL_FRAME, NOTE_FRAME, NOTE_HOP = 1024, 2048, 8192, RATE_HZ // 10
BLOW_EDGES_HZ = (30, 200, 800, 2500, 6000, 10000, 16000)
BRIGHT_HZ = (2500, 14000)
"""Where a drum's noise is hardly covered by partials."""
STRONGEST = 40
"""The strongest 40th of the frames' rises: the blows, if there are any."""

PARTIAL_BINS = slice(4, 400)
PARTIAL_RANGE_DB, PARTIAL_STANDS_OUT_DB = 32.0, 8.0
"""A partial lies within this of the loudest one, and this much above its surroundings."""

LOWEST_NOTE, HIGHEST_NOTE, HIGHEST_BIN, BINS_PER_SEMITONE = 36, 96, 110, 3
SPECTRAL_SLOPES = (0.3, 0.6, 0.85)
"""How much weaker each partial is than the one before: a flute's, a string's, a reed's."""
NUM_PARTIALS, NMF_STEPS = 12, 25
HARMONIC_INTERVALS = (0, 12, 19, 24, 28, 31, 34, 36, -12, -19, -24)
"""Semitones from a note to those that its own partials feign."""


def describe(samples: np.ndarray) -> dict[str, float]:
    """The features of an excerpt of about 12 s, in a fixed order."""
    level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    samples = samples * np.float32(LEVEL / max(level, 1e-9))
    return {**blows(samples), **partials(samples), **notes(samples)}


def blows(samples: np.ndarray) -> dict[str, float]:
    """How sudden, how broad and how noise-like the rises of level are."""
    power = np.concatenate([np.square(b) for b in _spectra(samples, BLOW_FRAME, HOP_SIZE)])
    frequencies_hz = np.fft.rfftfreq(BLOW_FRAME, 1 / RATE_HZ)
    edges = np.searchsorted(frequencies_hz, BLOW_EDGES_HZ)
    bands = np.stack([power[:, a:b].sum(axis=1) for a, b in pairwise(edges)])
    level_db = 10 * np.log10(bands + 1e-10)
    rises_db = np.maximum(level_db[:, 2:] - level_db[:, :-2], 0)
    broad_db = np.sort(rises_db[1:], axis=0)[1]  # all bands but one rise at least this much
    low, high = np.searchsorted(frequencies_hz, BRIGHT_HZ)
    gained = np.maximum(power[2:, low:high] - power[:-2, low:high], 0) + 1e-12
    flatness_db = 10 * (np.log10(gained).mean(axis=1) - np.log10(gained.mean(axis=1)))
    strongest = np.argsort(gained.sum(axis=1), kind="stable")[-max(8, len(gained) // STRONGEST) :]
    return {
        "blow_flatness_db": float(np.percentile(flatness_db[strongest], 90)),
        "low_level_db": _mean_db(level_db[0]),
        "air_level_db": _mean_db(level_db[5]),
        "air_range_db": float(np.percentile(level_db[5], 97) - np.percentile(level_db[5], 40)),
        "low_rise_db": float(np.percentile(rises_db[0], 99)),
        "mid_rise_db": float(np.percentile(rises_db[2], 99)),
        "presence_rise_db": float(np.percentile(rises_db[3], 99)),
        "mean_mid_rise_db": float(rises_db[2].mean()),
        "mean_presence_rise_db": float(rises_db[3].mean()),
        "broad_rise_db": float(np.percentile(broad_db, 99)),
    }


def partials(samples: np.ndarray) -> dict[str, float]:
    """How partials go on after a moment at which they stand out: held, dying away, or let go."""
    spectrum = np.concatenate(list(_spectra(samples, PARTIAL_FRAME, HOP_SIZE)))[:, PARTIAL_BINS]
    level_db = 20 * np.log10(spectrum + 1e-7)
    top_db = np.percentile(level_db.max(axis=1), 95)
    near_db = level_db.copy()
    near_db[:, 1:-1] = np.maximum(np.maximum(level_db[:, :-2], level_db[:, 2:]), level_db[:, 1:-1])
    width = 15
    sums = np.cumsum(np.pad(level_db, ((0, 0), (width // 2 + 1, width // 2)), mode="edge"), axis=1)
    around_db = (sums[:, width:] - sums[:, :-width]) / width
    is_peak = (near_db == level_db) & (level_db > top_db - PARTIAL_RANGE_DB)
    stands_out = is_peak & (level_db > around_db + PARTIAL_STANDS_OUT_DB)
    features: dict[str, float] = {}
    for lag in (6, 20):
        slopes = _slopes_db_per_s(near_db, stands_out, lag)
        features |= {
            f"held_{lag}0_ms": float((slopes > -8).mean()),
            f"dying_{lag}0_ms": float(((slopes < -12) & (slopes > -90)).mean()),
            f"slope_{lag}0_ms": float(np.median(slopes)),
        }
    return {**features, **_attacks(near_db, is_peak, top_db)}


def _slopes_db_per_s(level_db: np.ndarray, partial: np.ndarray, lag: int) -> np.ndarray:
    """Change of each partial over `lag` frames, leaving out those struck again in between."""
    frames, bins = np.nonzero(partial[:-lag])
    start_db = level_db[frames, bins]
    loudest_db = np.max([level_db[frames + i, bins] for i in range(2, lag + 1, 2)], axis=0)
    slopes = (level_db[frames + lag, bins] - start_db)[loudest_db < start_db + 1.5] * (100 / lag)
    return slopes if len(slopes) >= 20 else np.zeros(20)


def _attacks(level_db: np.ndarray, is_peak: np.ndarray, top_db: float) -> dict[str, float]:
    """After a rise of a partial by 10 dB within 80 ms: when the maximum comes, and what is left of it later."""
    rise, length = 8, 32
    rising = np.zeros(level_db.shape, bool)
    rising[rise:] = level_db[rise:] - level_db[:-rise] > 10
    first = rising.copy()
    first[1:] &= ~rising[:-1]
    near_peak = is_peak.copy()
    for shift in (1, 2):
        near_peak[shift:] |= is_peak[:-shift]
        near_peak[:-shift] |= is_peak[shift:]
    frames, bins = np.nonzero((first & near_peak)[:-length])
    course_db = np.stack([level_db[frames + i, bins] for i in range(length)], axis=1)
    peak_db = course_db[:, :10].max(axis=1, initial=-200.0)
    loud = peak_db > top_db - 25
    course_db, peak_db = course_db[loud], peak_db[loud]
    if len(course_db) < 6:
        return {"attack_frames": 5.0, "left_after_200_ms_db": -15.0, "left_after_300_ms_db": -15.0}
    return {
        "attack_frames": float(course_db[:, :10].argmax(axis=1).mean()),
        "left_after_200_ms_db": float(np.percentile(course_db[:, 20] - peak_db, 75)),
        "left_after_300_ms_db": float(np.percentile(course_db[:, 30] - peak_db, 75)),
    }


def notes(samples: np.ndarray) -> dict[str, float]:
    """How strong the second and third note are that sound with the strongest one, by non-negative decomposition."""
    bank, dictionary = _note_bank(), _note_dictionary()
    spectrum = np.concatenate([block @ bank for block in _spectra(samples, NOTE_FRAME, NOTE_HOP)])
    spectrum = np.sqrt(spectrum / max(float(spectrum.max()), 1e-9))
    activity = _decompose(spectrum, dictionary).reshape(len(spectrum), len(SPECTRAL_SLOPES), -1).sum(axis=1)
    loudest = activity.max(axis=1)
    activity = activity[loudest > 0.15 * np.percentile(loudest, 90)]
    padded = np.pad(activity, ((0, 0), (1, 1)))
    activity = np.where((activity >= padded[:, :-2]) & (activity >= padded[:, 2:]), activity, 0)
    relative = activity / np.maximum(activity.max(axis=1, keepdims=True), 1e-9)
    ranked = np.sort(relative, axis=1)[:, ::-1]
    foreign = _foreign(relative)
    return {
        "second_note": float(np.median(ranked[:, 1])),
        "third_note": float(np.median(ranked[:, 2])),
        "mean_third_note": float(ranked[:, 2].mean()),
        "foreign_note": float(np.median(foreign)),
        "mean_foreign_note": float(foreign.mean()),
        "num_notes": float((ranked > 0.35).sum(axis=1).mean()),
    }


def _foreign(relative: np.ndarray) -> np.ndarray:
    """The strongest note of each frame that no partial of the strongest one explains. Shape (T,)."""
    rest, strongest = relative.copy(), relative.argmax(axis=1)
    frames = np.arange(len(rest))
    for interval in HARMONIC_INTERVALS:
        for near in (-1, 0, 1):
            note = strongest + interval + near
            inside = (note >= 0) & (note < rest.shape[1])
            rest[frames[inside], note[inside]] = 0
    return rest.max(axis=1)


def _decompose(spectrum: np.ndarray, dictionary: np.ndarray) -> np.ndarray:
    """(T, B) as non-negative sums of the dictionary's (K, B): multiplicative updates, Kullback-Leibler. (T, K)."""
    activity = np.repeat(spectrum.mean(axis=1, keepdims=True), len(dictionary), axis=1)
    weight = dictionary.sum(axis=1)
    for _ in range(NMF_STEPS):
        activity *= ((spectrum / (activity @ dictionary + 1e-9)) @ dictionary.T) / weight
    return activity


@lru_cache(maxsize=1)
def _note_bank() -> np.ndarray:
    """Triangular filters, three a semitone, no narrower than a bin. Shape (F, B)."""
    frequencies_hz = np.fft.rfftfreq(NOTE_FRAME, 1 / RATE_HZ)
    pitches = np.full(len(frequencies_hz), -99.0)
    pitches[1:] = 69 + 12 * np.log2(frequencies_hz[1:] / 440)
    bins = _bin_pitches()
    bank = np.maximum(0, 1 - np.abs(pitches[:, None] - bins) / _bin_widths(bins))
    return (bank / np.maximum(bank.sum(axis=0), 1e-9)).astype(np.float32)


@lru_cache(maxsize=1)
def _note_dictionary() -> np.ndarray:
    """Spectra of single notes, for each slope in turn. Shape (slopes * K, B)."""
    bins = _bin_pitches()
    rows = []
    for slope in SPECTRAL_SLOPES:
        for note in range(LOWEST_NOTE, HIGHEST_NOTE + 1):
            pitches = note + 12 * np.log2(np.arange(1, NUM_PARTIALS + 1))
            pitches = pitches[pitches <= HIGHEST_BIN]
            shapes = np.maximum(0, 1 - np.abs(bins - pitches[:, None]) / (1.3 * _bin_widths(pitches))[:, None])
            row = (slope ** np.arange(len(pitches))) @ shapes
            rows.append(row / row.sum())
    return np.array(rows, np.float32)


def _bin_pitches() -> np.ndarray:
    lowest = LOWEST_NOTE - BINS_PER_SEMITONE
    return np.arange(lowest * BINS_PER_SEMITONE, HIGHEST_BIN * BINS_PER_SEMITONE + 1) / BINS_PER_SEMITONE


def _bin_widths(pitches: np.ndarray) -> np.ndarray:
    """Semitones: a third, or one bin of the spectrum where that is wider."""
    bin_semitones = 12 / np.log(2) * (RATE_HZ / NOTE_FRAME) / (440 * 2 ** ((pitches - 69) / 12))
    return np.maximum(1 / BINS_PER_SEMITONE, bin_semitones)


def _spectra(samples: np.ndarray, frame_size: int, hop_size: int) -> list[np.ndarray]:
    """Blocks of the spectrum in which a sine of level 1 has height 1/2."""
    scale = np.float32(1 / np.hanning(frame_size).sum())
    return [block * scale for block in magnitudes(samples, frame_size, hop_size)]


def _mean_db(level_db: np.ndarray) -> float:
    """Level of the mean power."""
    return float(10 * np.log10(np.mean(10 ** (level_db / 10))))
