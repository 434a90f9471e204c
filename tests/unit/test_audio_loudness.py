"""Loudness against two other implementations: essentia's and FFmpeg's."""

import av
import numpy as np
import pytest
from support import sounds

from music_flamingo.audio.loudness import LoudnessMeter, k_weighting
from music_flamingo.records import Loudness


def measure(samples: np.ndarray, rate_hz: int = sounds.RATE_HZ, block: int = 44100) -> Loudness:
    """Samples (C, n)."""
    meter = LoudnessMeter(rate_hz, len(samples))
    for start in range(0, samples.shape[1], block):
        meter.feed(samples[:, start : start + block])
    return meter.result()


def quiet_then_loud() -> np.ndarray:
    left = np.concatenate([0.05 * sounds.tune(10.0, 1), sounds.tune(10.0, 2), 0.4 * sounds.tune(10.0, 3)])
    return np.stack([left, 0.7 * left]).astype("f4")


def test_a_full_scale_sine_of_997_hz_has_minus_3_lufs() -> None:
    assert measure(sounds.sine(5.0, 997.0, 1.0, 48000)[None], 48000).integrated_lufs == pytest.approx(-3.01, abs=0.02)


def test_the_filters_are_the_standards_at_48_khz() -> None:
    """The coefficients that ITU-R BS.1770-4 prints."""
    shelf, high_pass = k_weighting(48000)
    printed = [1.53512485958697, -2.69169618940638, 1.19839281085285, 1, -1.69065929318241, 0.73248077421585]
    assert shelf == pytest.approx(printed, abs=1e-8)
    assert high_pass == pytest.approx([1, -2, 1, 1, -1.99004745483398, 0.99007225036621], abs=1e-8)


def test_loudness_agrees_with_essentia() -> None:
    import essentia

    essentia.log.infoActive = False
    from essentia.standard import LoudnessEBUR128

    samples = quiet_then_loud()
    _, _, integrated, spread = LoudnessEBUR128(sampleRate=sounds.RATE_HZ)(np.ascontiguousarray(samples.T))
    ours = measure(samples)
    assert ours.integrated_lufs == pytest.approx(integrated, abs=0.1)
    assert ours.range_lu == pytest.approx(spread, abs=0.3)


def test_loudness_agrees_with_ffmpeg() -> None:
    samples = quiet_then_loud()
    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=sounds.RATE_HZ, format="fltp", layout="stereo")
    meter, sink = graph.add("ebur128", "metadata=1"), graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    last: dict[str, str] = {}
    for start in range(0, samples.shape[1], 4410):
        block = np.ascontiguousarray(samples[:, start : start + 4410])
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = sounds.RATE_HZ, start
        source.push(frame)
        while True:
            try:
                last = dict(sink.pull().metadata) or last
            except (av.error.BlockingIOError, av.error.EOFError):
                break
    ours = measure(samples)
    assert ours.integrated_lufs == pytest.approx(float(last["lavfi.r128.I"]), abs=0.1)
    assert ours.range_lu == pytest.approx(float(last["lavfi.r128.LRA"]), abs=0.5)


def test_blocks_of_any_length_give_the_same_numbers() -> None:
    samples = np.clip(quiet_then_loud() * 3, -1, 1)
    assert measure(samples, block=997) == measure(samples, block=10**9)


def test_silence_is_minus_70_lufs_and_wholly_silent() -> None:
    silent = measure(np.zeros((1, 3 * sounds.RATE_HZ), "f4"))
    assert (silent.integrated_lufs, silent.range_lu, silent.silence_fraction) == (-70.0, 0.0, 1.0)
    assert silent.peak_dbfs == -120.0


def test_half_silence_is_half_silent() -> None:
    samples = np.concatenate([sounds.sine(2.0), np.zeros(2 * sounds.RATE_HZ, "f4")])[None]
    assert measure(samples).silence_fraction == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("block", [1, 2, 3, 7, 100])
def test_clipping_counts_runs_of_three_also_across_blocks(block: int) -> None:
    samples = np.zeros((1, 100), "f4")
    samples[0, [5, 6]] = 1.0  # two are a peak
    samples[0, 20:23] = -1.0
    samples[0, 50:60] = 1.0
    assert measure(samples, block=block).clipped_fraction == 0.13


def test_a_recording_shorter_than_a_measuring_window_has_no_loudness() -> None:
    assert measure(sounds.sine(0.2)[None]).integrated_lufs == -70.0
