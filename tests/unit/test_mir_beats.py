"""Beats and bars: our network against madmom's own, our spectra against madmom's own, the tracker against a score."""

import sys

import mir_eval
import numpy as np
import pytest
from madmom.features.downbeats import DBNDownBeatTrackingProcessor

from music_flamingo.core.errors import MissingToolError
from music_flamingo.mir import NothingFoundError, Signal, madmom_beats, to_signal
from music_flamingo.mir.bar_network import BarNetwork
from music_flamingo.mir.madmom_beats import MadmomBeatTracker
from music_flamingo.mir.playing_level import gain_to, playing_level
from music_flamingo.records import Truth
from music_flamingo.sources.performance import Performance
from music_flamingo.sources.pieces import find_piece
from music_flamingo.sources.reading import read_score
from music_flamingo.sources.render import render_performance

RATE_HZ = 44100
BARS = (2, 3, 4)


@pytest.fixture(scope="module")
def tracker() -> MadmomBeatTracker:
    return MadmomBeatTracker(BARS, 50, 215)


@pytest.fixture(scope="module")
def waltz() -> tuple[Signal, Truth]:
    """20 s in three-four time at 168 BPM."""
    performance = Performance(
        tempo_bpm=168.0, transpose=0, programs=(56, 24), texture="chords", drums="none", comping="held", start_q=0.0,
        lead_in_s=0.5, duration_s=20.0, timing_jitter_s=0.006, velocity_jitter=8,
    )  # fmt: skip
    samples, truth = render_performance(read_score(find_piece("verdi-laDonnaEMobile")), performance, seed=10)
    return to_signal(samples, RATE_HZ), truth


def madmoms_own(bars: tuple[int, ...], min_bpm: float, max_bpm: float, activations: np.ndarray) -> np.ndarray:
    """With every interval that there is, as ours."""
    network = DBNDownBeatTrackingProcessor(
        beats_per_bar=list(bars), min_bpm=min_bpm, max_bpm=max_bpm, num_tempi=None, fps=100
    )
    return network(activations)


def drummed(period_s: float, bar: int, duration_s: float, rng: np.random.Generator) -> np.ndarray:
    """Activations of a band that plays in bars of `bar` beats, not quite in time, over noise. Shape (T, 2)."""
    activations = rng.uniform(0.001, 0.2, (round(duration_s * 100), 2))
    for index, time_s in enumerate(np.arange(0.37, duration_s - 0.1, period_s)):
        frame = round((time_s + rng.normal(0, 0.008)) * 100)
        activations[frame, 1 if index % bar == 0 else 0] += 0.6
    return activations.astype(np.float32)


@pytest.mark.parametrize(
    ("period_s", "bar", "bars", "min_bpm", "max_bpm"),
    [(0.5, 4, BARS, 50, 215), (0.333, 3, BARS, 50, 215), (0.9, 2, (2,), 55, 80), (0.61, 3, (3, 4), 50, 215)],
)
def test_our_network_finds_the_beats_of_madmoms(period_s, bar, bars, min_bpm, max_bpm):
    activations = drummed(period_s, bar, 23.0, np.random.default_rng(bar))
    found = BarNetwork(bars, min_bpm, max_bpm).decode(activations)
    assert found.beats == pytest.approx(madmoms_own(bars, min_bpm, max_bpm, activations))
    assert found.beats[:, 1].max() == bar
    assert bars[int(np.argmax(found.log_likelihoods))] == bar


def test_our_network_agrees_with_madmoms_on_mere_noise_too():
    activations = np.random.default_rng(5).uniform(0, 0.45, (1500, 2)).astype(np.float32)
    assert BarNetwork(BARS, 50, 215).decode(activations).beats == pytest.approx(madmoms_own(BARS, 50, 215, activations))


def test_nothing_audible_has_no_beats():
    assert BarNetwork(BARS, 50, 215).decode(np.full((500, 2), 0.04)).beats.shape == (0, 2)


def test_our_spectra_give_the_activations_of_madmoms_own_chain(tracker, waltz):
    from madmom.audio.signal import Signal as MadmomSignal
    from madmom.features.downbeats import RNNDownBeatProcessor

    samples = waltz[0].samples[: 8 * RATE_HZ]
    samples = samples * gain_to(madmom_beats.HEARD_LEVEL, samples)
    own = RNNDownBeatProcessor()(MadmomSignal(samples, RATE_HZ))
    assert tracker.activations(samples)[5:-5] == pytest.approx(own[5:-5], abs=0.03)


def test_a_waltz_is_heard_in_three_at_its_tempo(tracker, waltz):
    signal, truth = waltz
    rhythm = tracker.track(signal)
    assert rhythm.beats.beats_per_bar == 3
    assert rhythm.tempo.bpm == pytest.approx(168, abs=1)
    assert mir_eval.beat.f_measure(np.array(truth.beats_s), np.array(rhythm.beats.beats_s)) > 0.95
    assert mir_eval.beat.f_measure(np.array(truth.downbeats_s), np.array(rhythm.beats.downbeats_s)) > 0.95
    assert rhythm.tempo.tool == "madmom" and 0 < rhythm.tempo.confidence <= 1


def test_where_the_tempo_range_begins_does_not_decide_at_which_level_beats_are_counted(waltz, tracker):
    activations = tracker.activations(waltz[0].samples)
    wide, narrow = (BarNetwork(BARS, low, 215).decode(activations).beats for low in (45, 55))
    assert wide == pytest.approx(narrow)


def test_a_quiet_recording_has_the_activations_of_a_loud_one(tracker, waltz):
    samples = waltz[0].samples[: 8 * RATE_HZ]
    loud, quiet = (tracker.activations(samples * np.float32(gain)) for gain in (1.5, 0.02))
    assert quiet == pytest.approx(loud, abs=1e-3)


def test_pauses_do_not_count_for_the_level_and_silence_is_not_made_louder():
    tone = np.sin(np.arange(2 * RATE_HZ) / 10).astype(np.float32)
    paused = np.concatenate([tone, np.zeros(20 * RATE_HZ, np.float32)])
    assert playing_level(tone) == pytest.approx(0.707, abs=0.01)
    assert playing_level(paused) == pytest.approx(0.707, abs=0.05)
    assert gain_to(0.1, tone * np.float32(5e-5)) == 1


def test_silence_has_no_beats(tracker):
    with pytest.raises(NothingFoundError, match="hears 0 beats"):
        tracker.track(Signal(np.zeros(5 * RATE_HZ, np.float32)))


def test_madmom_missing_names_its_alternative(monkeypatch):
    monkeypatch.setitem(sys.modules, "madmom", None)
    with pytest.raises(MissingToolError, match="Or set"):
        MadmomBeatTracker(BARS, 50, 215)


def test_blocks_of_a_long_recording_give_the_beats_of_the_whole(tracker, waltz, monkeypatch):
    samples = waltz[0].samples
    whole = tracker.activations(samples)
    monkeypatch.setattr(madmom_beats, "BLOCK_FRAMES", 700)
    parts = tracker.activations(samples)
    assert len(parts) == len(whole)
    assert np.abs(parts - whole).mean() < 0.01
    assert tracker.track(waltz[0]).beats.beats_s == pytest.approx(
        BarNetwork(BARS, 50, 215).decode(whole).beats[:, 0].tolist(), abs=0.021
    )
