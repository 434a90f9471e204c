"""Sound, dynamics, sections and lyrics on rendered and synthesised music."""

from itertools import pairwise

import numpy as np
import pytest

from music_flamingo.mir import NothingFoundError, Signal, to_signal
from music_flamingo.mir.dynamics import LoudnessDynamics, short_term_loudness
from music_flamingo.mir.lyrics import SourceLyrics
from music_flamingo.mir.repeated_sections import RepeatedSections, letters, novelty, repeats, unit
from music_flamingo.mir.sound import SoundAnalyst, excerpts, load_model
from music_flamingo.mir.sound_features import describe
from music_flamingo.records import Track
from music_flamingo.sources.performance import Performance
from music_flamingo.sources.pieces import find_piece
from music_flamingo.sources.reading import read_score
from music_flamingo.sources.render import render_performance

RATE_HZ = 44100
ORGAN, GUITAR, VIOLIN, PIANO = 19, 24, 40, 0


def performed(program: int, texture: str, drums: str) -> Signal:
    performance = Performance(
        tempo_bpm=100.0, transpose=2, programs=(program,), texture=texture, drums=drums, comping="held", start_q=0.0,
        lead_in_s=0.1, duration_s=12.0, timing_jitter_s=0.006, velocity_jitter=8,
    )  # fmt: skip
    return to_signal(render_performance(read_score(find_piece("bach-bwv253")), performance, seed=3)[0], RATE_HZ)


def tones(pitches: list[int], note_s: float = 0.5) -> np.ndarray:
    t = np.arange(round(note_s * RATE_HZ)) / RATE_HZ
    waves = [
        sum(np.sin(2 * np.pi * 440 * 2 ** ((p - 69) / 12) * k * t) / k for k in (1, 2, 3)) * np.exp(-2 * t)
        for p in pitches
    ]
    return (0.2 * np.concatenate(waves)).astype(np.float32)


@pytest.mark.parametrize(
    ("program", "texture", "drums", "envelope"),
    [
        (ORGAN, "chords", "none", "sustained"),
        (VIOLIN, "melody", "kit", "sustained"),
        (GUITAR, "melody", "none", "decaying"),
        (PIANO, "chords", "kit", "decaying"),
    ],
)
def test_drums_texture_and_envelope_are_told(program, texture, drums, envelope):
    sound = SoundAnalyst().describe(performed(program, texture, drums))
    assert (sound.has_drums, sound.texture, sound.lead_envelope) == (drums == "kit", texture, envelope)
    assert 0.5 <= sound.confidence <= 1


def test_a_recordings_gain_changes_no_feature():
    samples = performed(PIANO, "melody", "none").samples[: 3 * RATE_HZ]
    loud, soft = describe(samples), describe(samples * np.float32(0.1))
    assert list(loud) == list(load_model().features)
    assert all(soft[name] == pytest.approx(loud[name], abs=0.02) for name in loud)


def test_silence_has_no_sound_to_describe():
    with pytest.raises(NothingFoundError, match="silent"):
        SoundAnalyst().describe(Signal(np.zeros(5 * RATE_HZ, np.float32)))


@pytest.mark.parametrize(("seconds", "lengths"), [(2, [2]), (12, [12]), (17, [17]), (19, [12, 7]), (40, [12, 12, 16])])
def test_longer_recordings_are_described_in_excerpts_without_a_gap(seconds, lengths):
    samples = np.arange(seconds * RATE_HZ, dtype=np.float32)
    parts = excerpts(samples)
    assert [round(len(p) / RATE_HZ) for p in parts] == lengths
    assert np.array_equal(np.concatenate(parts), samples)


def test_a_crescendo_rises_and_its_mirror_falls():
    samples = tones([60, 64, 67, 72] * 8)
    swell = samples * np.linspace(0.05, 1, len(samples), dtype=np.float32)
    meter = LoudnessDynamics(trend_db=3.0)
    rising, falling, steady = (meter.measure(Signal(s)) for s in (swell, np.ascontiguousarray(swell[::-1]), samples))
    assert (rising.trend, falling.trend, steady.trend) == ("rising", "falling", "steady")
    assert rising.range_db > 8 > steady.range_db
    assert steady.confidence > 0.8


def test_a_change_just_below_the_border_is_steady():
    samples = tones([60] * 40)
    gain = 10 ** (np.linspace(0, 1, len(samples)) * 3.0 / 20)
    assert LoudnessDynamics(trend_db=3.0).measure(Signal((samples * gain).astype(np.float32))).trend == "steady"


def test_short_term_loudness_is_essentias():
    from essentia.standard import LoudnessEBUR128

    samples = tones([60, 64, 67, 72] * 6)
    reference = LoudnessEBUR128(sampleRate=RATE_HZ, hopSize=0.1)(np.stack([samples, samples], axis=1))[1]
    ours = short_term_loudness(samples) + 10 * np.log10(2)  # two equal channels are 3 dB louder than one
    assert len(ours) == len(reference)
    assert np.abs(ours - reference).max() < 0.1


def test_what_is_shorter_than_3_s_has_no_short_term_loudness():
    with pytest.raises(NothingFoundError, match="3 s"):
        LoudnessDynamics(trend_db=3.0).measure(Signal(tones([60] * 4)))


def test_what_is_repeated_gets_its_letter_again():
    rng = np.random.default_rng(0)
    first, second = unit(rng.normal(size=(60, 12))), unit(rng.normal(size=(50, 12)))
    later = unit(first + 0.2 * rng.normal(size=first.shape))[2:]
    harmony = np.concatenate([first, second, later])
    assert letters(harmony, [0, 60, 110], alike_above=0.7) == ["A", "B", "A"]
    assert letters(harmony, [0, 60, 110], alike_above=0.99) == ["A", "B", "C"]


def test_novelty_is_highest_where_the_music_changes():
    rng = np.random.default_rng(2)
    features = unit(np.repeat(rng.normal(size=(2, 12)), 200, axis=0) + 0.3 * rng.normal(size=(400, 12)))
    assert abs(int(novelty(features)[20:-20].argmax()) + 20 - 200) <= 1


def test_a_beginning_is_found_again_wherever_the_music_goes_on_alike():
    rng = np.random.default_rng(3)
    verse, chorus = rng.normal(size=(60, 12)), rng.normal(size=(50, 12))
    features = unit(np.concatenate([verse, chorus, verse, chorus]) + 0.3 * rng.normal(size=(220, 12)))
    assert list(repeats(features, 0, least=20, above=0.65)) == [110]
    assert list(repeats(features, 60, least=20, above=0.65)) == [170]


def test_music_that_is_nearly_alike_is_no_repetition():
    rng = np.random.default_rng(4)
    verse = rng.normal(size=(60, 12))
    features = unit(np.concatenate([verse, verse + 1.2 * rng.normal(size=(60, 12))]))
    assert repeats(features, 0, least=20, above=0.65) == {}


FORM = {"min_section_s": 4.0, "repeat_above": 0.65, "min_novelty": 0.5, "split_above_s": 16.0, "alike_above": 0.7}


def test_a_tune_played_three_times_has_three_sections_of_one_letter():
    tune = tones(list(np.random.default_rng(5).choice([60, 62, 64, 65, 67, 69, 71], 24)))
    sections = RepeatedSections(**FORM).find(Signal(np.concatenate([tune, tune, tune])))
    assert [s.label for s in sections.segments] == ["A", "A", "A"]
    assert [s.start_s for s in sections.segments] == pytest.approx([0, 12, 24], abs=0.3)
    assert sections.confidence > 0.9


def test_a_modulation_by_a_tritone_is_a_boundary():
    rng = np.random.default_rng(1)
    tune = rng.choice([60, 64, 67], 48)
    sections = RepeatedSections(**FORM).find(Signal(np.concatenate([tones(tune), tones(tune + 6)])))
    assert min(abs(s.start_s - 24) for s in sections.segments) <= 1.0
    assert sections.segments[-1].end_s == pytest.approx(48)
    times = [(s.start_s, s.end_s) for s in sections.segments]
    assert times[0][0] == 0 and all(a[1] == b[0] for a, b in pairwise(times))


@pytest.mark.parametrize(("tail_s", "last"), [(4.5, "A"), (12.0, "B")])
def test_a_tail_of_less_than_a_twentieth_is_no_section(tail_s, last):
    body, tail = tones([60, 64, 67] * 64, 0.5), tones([66], tail_s)
    sections = RepeatedSections(**{**FORM, "repeat_above": 2.0}).find(Signal(np.concatenate([body, tail])))
    assert (sections.segments[-1].label, sections.segments[-1].end_s) == (last, pytest.approx(96 + tail_s))


@pytest.mark.parametrize("seconds", [0.05, 0.5, 3.0])
def test_a_short_recording_is_one_section(seconds):
    sections = RepeatedSections(**FORM).find(Signal(tones([60], seconds)))
    assert [(s.start_s, s.label) for s in sections.segments] == [(0.0, "A")]


SIGNAL = Signal(np.zeros(12 * RATE_HZ, np.float32))


def a_track(**changes: object) -> Track:
    return Track.model_construct(**{"id": "t", "duration_s": 12.0, "lyrics": None, "language": None, **changes})


def test_lyrics_are_the_sources_own_words_line_by_line():
    lyrics = SourceLyrics().read(a_track(lyrics="Swing low,\n\n sweet chariot ", language="en"), SIGNAL, None)
    assert lyrics.available and [line.label for line in lyrics.lines] == ["Swing low,", "sweet chariot"]
    assert lyrics.language == "en"


@pytest.mark.parametrize("words", [None, "", " \n "])
def test_without_words_lyrics_are_unavailable(words):
    lyrics = SourceLyrics().read(a_track(lyrics=words), SIGNAL, None)
    assert not lyrics.available and lyrics.lines == [] and lyrics.confidence == 0
    assert lyrics.why_not == "none_in_source"


def test_other_rates_are_resampled_to_44100_hz():
    samples = tones([69])
    signal = to_signal(np.interp(np.arange(24000) / 48000, np.arange(22050) / 44100, samples).astype("f4"), 48000)
    assert signal.duration_s == pytest.approx(0.5, abs=1e-3)
    assert to_signal(samples, RATE_HZ).samples is samples


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.zeros((2, 9), np.float32), np.zeros(9)])
def test_what_is_no_mono_float32_signal_is_refused(samples):
    with pytest.raises(ValueError, match="float32 of shape"):
        Signal(samples)
