"""The tuning of a recording, and what reads along it."""

import numpy as np
import pytest

from music_flamingo.mir import RATE_HZ, Signal
from music_flamingo.mir.key_changes import key_likeness
from music_flamingo.mir.tonal import FRAME_SIZE, tonal
from music_flamingo.mir.tuning import in_tune, named_surely, tuning_cents

C_MAJOR = (60, 64, 67, 65, 69, 72, 67, 71, 74, 60, 64, 67)


def played(cents: float, notes: tuple[int, ...] = C_MAJOR) -> Signal:
    times = np.arange(RATE_HZ // 2) / RATE_HZ
    parts = []
    for note in notes:
        hz = 440 * 2 ** ((note - 69 + cents / 100) / 12)
        tone = sum(np.sin(2 * np.pi * hz * k * times) / k**2 for k in range(1, 6))
        parts.append(tone * np.exp(-2 * times))
    return Signal((0.2 * np.concatenate(parts)).astype(np.float32))


@pytest.mark.parametrize("cents", [-44, -30, -12, 0, 20, 40])
def test_a_tuning_is_found_within_five_cents(cents: int) -> None:
    assert played(cents).shared(tonal).tuning_cents == pytest.approx(cents, abs=5)


@pytest.mark.parametrize("cents", [-40, 0, 33])
def test_chroma_along_the_tuning_names_the_same_key(cents: int) -> None:
    chroma = played(cents).shared(tonal).chroma.sum(axis=0, keepdims=True)
    assert int(key_likeness(chroma).argmax()) == 0, "C major"


def test_noise_has_no_tuning() -> None:
    noise = Signal(np.random.default_rng(0).normal(0, 0.1, 3 * RATE_HZ).astype(np.float32))
    assert noise.shared(tonal).tuning_cents == 0.0


def test_a_gain_and_a_shift_in_time_keep_the_tuning() -> None:
    signal = played(24)
    later = Signal(np.concatenate([np.zeros(5000, np.float32), 0.1 * signal.samples]))
    assert later.shared(tonal).tuning_cents == pytest.approx(signal.shared(tonal).tuning_cents, abs=4)


def test_spectra_in_tune_have_their_peaks_on_the_grid() -> None:
    sharp, plain = (played(cents).shared(tonal) for cents in (40, 0))
    moved = in_tune(sharp.magnitudes, sharp.tuning_cents)
    assert tuning_cents(moved, RATE_HZ / FRAME_SIZE) == pytest.approx(plain.tuning_cents, abs=6)


def test_a_key_between_two_semitones_is_half_as_sure() -> None:
    assert named_surely(0) == named_surely(-30) == 1.0
    assert named_surely(50) == pytest.approx(0.5)
