"""Facts of one band, changed in ways that change no music: gain, a later start, two channels, an MP3 in between."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from music_flamingo.audio.decode import DecodeLimits, decode_original
from music_flamingo.core.params import load_params, stage_json
from music_flamingo.mir import RATE_HZ, to_signal
from music_flamingo.records import Facts
from music_flamingo.scoring.families import meter_class
from music_flamingo.sources.plan import Event
from music_flamingo.sources.render import RATE_HZ as RENDER_HZ
from music_flamingo.sources.render import synthesise
from music_flamingo.stages.facts import FactsConfig, gated, measure, open_toolbox

pytestmark = pytest.mark.slow
BEAT_S, BARS = 0.5, 10
CHORDS = ((60, 64, 67), (65, 69, 72), (67, 71, 74), (60, 64, 67))


def band() -> np.ndarray:
    """Piano chords in C major over a rock beat at 120 BPM. Shape (n,)."""
    events: list[Event] = []

    def play(start_s: float, length_s: float, channel: int, program: int, pitch: int) -> None:
        kept = {"channel": channel, "program": program, "pitch": pitch}
        events.append(Event(time_s=start_s, is_on=True, velocity=90, **kept))
        events.append(Event(time_s=start_s + length_s, is_on=False, velocity=0, **kept))

    for beat in range(4 * BARS):
        start_s = 0.2 + beat * BEAT_S
        play(start_s, 0.1, 9, 0, (36, 38)[beat % 2])
        for half in (0.0, BEAT_S / 2):
            play(start_s + half, 0.1, 9, 0, 42)
        for pitch in CHORDS[beat // 4 % 4]:
            play(start_s, 0.45, 0, 0, pitch)
    return synthesise(sorted(events, key=lambda e: (e.time_s, e.is_on)), 4 * BARS * BEAT_S + 1.0)


@pytest.fixture(scope="module")
def config() -> FactsConfig:
    stored = stage_json(load_params(Path(__file__).parents[2] / "params.yaml"), "facts")
    return FactsConfig.model_validate_json(stored).model_copy(update={"lyrics": None})


@pytest.fixture(scope="module")
def hear(config: FactsConfig, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Facts]:
    def heard(samples: np.ndarray, name: str = "band.wav", start_s: float = 0.0) -> Facts:
        path = tmp_path_factory.mktemp("band") / name
        soundfile.write(path, samples[round(start_s * RENDER_HZ) :], RENDER_HZ)
        limits: DecodeLimits = config.limits
        signal = to_signal(*decode_original(path, limits))
        return gated(measure(None, signal, open_toolbox(config.model_dump_json())), config.trust)

    return heard


@pytest.fixture(scope="module")
def plain(hear: Callable[..., Facts]) -> Facts:
    return hear(band())


def same(one: Facts, other: Facts) -> None:
    assert one.tempo is not None and other.tempo is not None
    assert other.tempo.bpm == pytest.approx(one.tempo.bpm, rel=0.01) and other.tempo.also_bpm == one.tempo.also_bpm
    assert one.key is not None and other.key is not None and other.key.label == one.key.label
    assert one.sound is not None and other.sound is not None
    assert (other.sound.has_drums, other.sound.texture) == (one.sound.has_drums, one.sound.texture)
    assert one.content is not None and other.content is not None and other.content.kind == one.content.kind
    assert one.beats is not None and other.beats is not None
    assert meter_class(other.beats.beats_per_bar) == meter_class(one.beats.beats_per_bar)
    assert abs(len(other.beats.beats_s) - len(one.beats.beats_s)) <= 2


def test_the_facts_of_the_band_are_right(plain: Facts) -> None:
    assert plain.tempo is not None and plain.tempo.bpm == pytest.approx(120, rel=0.02)
    assert plain.key is not None and plain.key.label == "C major"
    assert plain.sound is not None and plain.sound.has_drums


def test_a_gain_keeps_the_facts(plain: Facts, hear: Callable[..., Facts]) -> None:
    same(plain, hear(0.5 * band()))


def test_a_later_start_keeps_the_facts(plain: Facts, hear: Callable[..., Facts]) -> None:
    same(plain, hear(band(), start_s=0.63))


def test_two_channels_keep_the_facts(plain: Facts, hear: Callable[..., Facts]) -> None:
    same(plain, hear(np.stack([band(), band()], axis=1)))


def test_an_mp3_keeps_the_facts(plain: Facts, hear: Callable[..., Facts]) -> None:
    same(plain, hear(band(), name="band.mp3"))


def test_the_rates_of_rendering_and_measuring_are_one() -> None:
    assert RENDER_HZ == RATE_HZ
